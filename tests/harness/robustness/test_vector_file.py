"""A second vector file: read by key in any order, and each way in which it is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.robustness.condition import OTHER, Hidden
from fusefront.harness.robustness.vector_file import named_files, second_vectors
from fusefront.harness.robustness.vectors import changed_vectors


def table_of(store: PreparedDataset, scale: float = 2.0) -> pl.DataFrame:
    keys = store.item_keys().sort("row")["key"]
    rows = np.array(store.vectors("text"), np.float32)[1:] * scale
    return pl.DataFrame({"key": keys, "vector": rows.tolist()})


def test_vectors_are_read_by_key_or_by_row(ragged: PreparedDataset, tmp_path: Path) -> None:
    expected = 2 * np.array(ragged.vectors("text"), np.float32)
    mixed = table_of(ragged).sample(fraction=1.0, shuffle=True, seed=4)
    stranger = pl.DataFrame({"key": [10_000], "vector": [[1.0] * 7]}, schema=mixed.schema)
    pl.concat([mixed, stranger]).write_parquet(tmp_path / "a.parquet")
    np.save(tmp_path / "b.npy", expected[1:])
    for name in ("a.parquet", "b.npy"):
        np.testing.assert_array_equal(second_vectors(ragged, "text", tmp_path / name), expected)


def test_a_share_of_the_items_has_the_vectors_of_the_file(ragged: PreparedDataset) -> None:
    own = np.array(ragged.vectors("text"), np.float32)
    other, present = own + 1, np.flatnonzero(np.asarray(ragged.items.present)[:, 0])
    before: set[int] = set()
    for share in (0.3, 0.7, 1.0):
        rows = changed_vectors(ragged, Hidden("text", share, OTHER), other=other)
        moved = set(np.flatnonzero((rows != own).any(axis=1)).tolist())
        assert len(moved) == round(share * len(present))
        assert before <= moved <= set(present.tolist())
        np.testing.assert_array_equal(rows[list(moved)], other[list(moved)])
        before = moved


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (pl.col("vector").list.head(5), "vectors of width 5, the data's text has 7; the trained"),
        (pl.col("vector").cast(pl.List(pl.String)), "expected a list of numbers an item"),
        (pl.col("vector").list.get(0), r"columns key \(int64\), vector \(double\); expected one"),
        (pl.col("key").cast(pl.String).alias("more"), "expected one with the item's key and one"),
        (pl.col("key").cast(pl.Float64), "the keys are .*, those of keys.parquet are"),
        (pl.lit(7).cast(pl.Int64).alias("key"), "the key 7 was there before"),
        (pl.col("vector").list.eval(pl.element() * float("inf")), "a number that is not finite"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    ragged: PreparedDataset, tmp_path: Path, change: pl.Expr, sentence: str
) -> None:
    path = tmp_path / "old.parquet"
    table_of(ragged).with_columns(change).write_parquet(path)
    with pytest.raises(DataContractError, match=sentence):
        second_vectors(ragged, "text", path)


def test_one_number_of_a_vector_may_be_zero_but_not_all_of_them(
    ragged: PreparedDataset, tmp_path: Path
) -> None:
    path, rows = tmp_path / "b.npy", 2 * np.array(ragged.vectors("text"), np.float32)[1:]
    rows[:, 3] = 0
    np.save(path, rows)
    np.testing.assert_array_equal(second_vectors(ragged, "text", path)[1:], rows)
    first = int(np.flatnonzero(np.asarray(ragged.items.present)[1:, 0])[1])
    rows[first] = 0
    np.save(path, rows)
    key = ragged.item_keys().sort("row")["key"][first]
    with pytest.raises(DataContractError, match=f"lacks 1 of the .*, {key} the first"):
        second_vectors(ragged, "text", path)


def test_the_first_item_with_a_number_that_is_not_finite_is_named(
    ragged: PreparedDataset, tmp_path: Path
) -> None:
    path, rows = tmp_path / "b.npy", 2 * np.array(ragged.vectors("text"), np.float32)[1:]
    rows[11, 2], rows[20, 0] = np.nan, np.inf
    np.save(path, rows)
    key = ragged.item_keys().sort("row")["key"][11]
    with pytest.raises(DataContractError, match=f"item {key} has a number that is not finite"):
        second_vectors(ragged, "text", path)


@pytest.mark.parametrize("lists", [0, 2])
def test_a_file_of_many_columns_shows_the_first_200_characters_of_them(
    ragged: PreparedDataset, tmp_path: Path, lists: int
) -> None:
    path = tmp_path / "wide.parquet"
    vectors = {f"vector{n}": [[0.5]] for n in range(lists)}
    numbers = {f"a_long_name_{n:02}": [n] for n in range(20 - 19 * (lists == 2))}
    pl.DataFrame({**numbers, **vectors}).write_parquet(path)
    names = [f"a_long_name_{n:02} (int64)" for n in range(len(numbers))]
    shown = ", ".join(names)
    with pytest.raises(DataContractError) as error:
        second_vectors(ragged, "text", path)
    sentence = str(error.value)
    if lists == 0:
        assert f"columns {shown[:200]}; expected" in sentence
    else:
        assert f"columns {shown}, vector0 (" in sentence


def test_an_item_that_has_the_modality_must_be_there(
    ragged: PreparedDataset, tmp_path: Path
) -> None:
    path, table = tmp_path / "old.parquet", table_of(ragged)
    present = np.asarray(ragged.items.present)[1:, 0]
    first, second = (int(table["key"][int(row)]) for row in np.flatnonzero(present)[[2, 9]])
    table.filter(~pl.col("key").is_in([second, first])).write_parquet(path)
    sentence = f"lacks 2 of the {present.sum()} items that have text, {first} the first"
    with pytest.raises(DataContractError, match=sentence):
        second_vectors(ragged, "text", path)
    table.filter(pl.Series(present)).write_parquet(path)  # of the others none is asked for
    assert second_vectors(ragged, "text", path).shape == (46, 7)


def test_other_files_and_names_are_refused(ragged: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the data has no modality 'sound'; it has text, image"):
        second_vectors(ragged, "sound", tmp_path / "old.parquet")
    with pytest.raises(UsageError, match=r"--vectors text=.*old\.parquet: no such file"):
        second_vectors(ragged, "text", tmp_path / "old.parquet")
    (tmp_path / "old.txt").write_text("1 2 3")
    with pytest.raises(DataContractError, match="neither parquet nor npy"):
        second_vectors(ragged, "text", tmp_path / "old.txt")
    (tmp_path / "old.parquet").write_text("no table")
    with pytest.raises(DataContractError, match=r"old\.parquet"):
        second_vectors(ragged, "text", tmp_path / "old.parquet")
    np.save(tmp_path / "few.npy", np.ones((44, 7), np.float32))
    with pytest.raises(DataContractError, match=r"few\.npy: 44 rows, keys\.parquet has 45 items"):
        second_vectors(ragged, "text", tmp_path / "few.npy")


def test_files_are_named_by_modality() -> None:
    assert named_files(["text=a/b=c.npy", "image=d"]) == {
        "text": Path("a/b=c.npy"),
        "image": Path("d"),
    }
    for text in ("text", "text=", "=a"):
        with pytest.raises(UsageError, match=f"--vectors '{text}': expected MODALITY=FILE"):
            named_files([text])
    with pytest.raises(UsageError, match="got two files of 'text', expected one a modality"):
        named_files(["text=a", "text=b"])
