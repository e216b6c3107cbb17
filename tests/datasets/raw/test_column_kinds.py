"""One kind a column over files, chunks and formats: stores against a plain loop over the source."""

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.store import PreparedDataset

from .field_log import FIELDS, ITEMS, PARTS, ROWS, in_two, log, prepared, stored_values

THREE = {"train": "train.csv", "valid": "valid.csv", "test": "test.csv"}


def groups(store: PreparedDataset) -> list[int]:
    """The user code of every row of the log."""
    of = {}
    for name in PARTS:
        split = store.split(name)
        users = np.repeat(split.group, np.diff(split.row_start)).tolist()
        of |= dict(zip(split.row_id.tolist(), users, strict=True))
    return [of[row] for row in sorted(of)]


def same_partition(codes: Sequence[Any], values: Sequence[Any]) -> bool:
    """Whether two columns tell the same rows apart."""
    pairs = set(zip(codes, values, strict=True))
    return len(pairs) == len(set(codes)) == len(set(values))


def as_csv(path: Path, table: pl.DataFrame, **columns: Sequence[str]) -> list[dict[str, str]]:
    """Write a csv with some columns as the texts given; what a plain reader sees in it."""
    texts = [pl.Series(name, values) for name, values in columns.items()]
    table.with_columns(*texts).write_csv(path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


HALF = ROWS // 2
CHANGES: dict[str, tuple[pl.Series, pl.Series, str, str]] = {
    "whole, then fractions": (
        pl.Series([1, 2] * (HALF // 2)),
        pl.Series([1.0, 2.0] * (HALF // 2)),
        "fractions",
        "whole numbers",
    ),
    "0 and 1, then booleans": (
        pl.Series([0, 1] * (HALF // 2)),
        pl.Series([False, True] * (HALF // 2)),
        "booleans",
        "whole numbers",
    ),
    "text, then numbers": (
        pl.Series(["1", "2"] * (HALF // 2)),
        pl.Series([1, 2] * (HALF // 2)),
        "whole numbers",
        "text",
    ),
    "fractions of both widths": (
        pl.Series([0.1, 0.2] * (HALF // 2), dtype=pl.Float32),
        pl.Series([0.1, 0.2] * (HALF // 2)),
        "fractions",
        "fractions of 32 bits",
    ),
    "naive, then zoned": (
        pl.Series([dt.datetime(2020, 1, 1)] * HALF),
        pl.Series([dt.datetime(2020, 1, 1)] * HALF).dt.replace_time_zone("Asia/Tokyo"),
        "dates with a zone",
        "dates",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("role", ["field", "request", "slice"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, role: str) -> None:
    first, second, after, before = CHANGES[name]
    single, other = log()[:HALF].with_columns(c=first), log()[HALF:].with_columns(c=second)
    changes: dict[str, Any] = in_two(tmp_path, single, other)
    if role == "field":
        changes |= FIELDS
    elif role == "request":
        columns = {"user": "u", "item": "i", "label": "y", "timestamp": "t", "request": "c"}
        changes["columns"] = columns
    else:
        changes["slices"] = [{"name": "s", "column": "c"}]
    sentence = (
        f"other.parquet, column 'c', row 0: values are {after}, those of one.parquet are {before}"
    )
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, **changes)


@pytest.mark.parametrize(("column", "noun"), [("u", "users"), ("i", "item keys"), ("t", "times")])
def test_keys_and_times_of_another_kind_are_refused(tmp_path: Path, column: str, noun: str) -> None:
    other = log()[HALF:].with_columns(pl.col(column).cast(pl.Float64))
    changes = in_two(tmp_path, log()[:HALF], other)
    sentence = (
        f"other.parquet, column '{column}', row 0: {noun} are fractions, .*one.parquet.* whole"
    )
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, **changes)


def test_naive_and_zoned_times_are_refused_in_parquet_and_csv(tmp_path: Path) -> None:
    naive = log().with_columns(pl.from_epoch("t"))
    zoned = naive.with_columns(pl.col("t").dt.replace_time_zone("Asia/Tokyo"))
    sentence = "row 0: times are dates with a zone.*, those of one.* are dates;"
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, **in_two(tmp_path, naive[:HALF], zoned[HALF:]))
    as_csv(tmp_path / "one.csv", naive[:HALF])
    texts = zoned["t"].dt.strftime("%Y-%m-%d %H:%M:%S%z")[HALF:]
    as_csv(tmp_path / "other.csv", naive[HALF:], t=texts)
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, interactions={"path": ["one.csv", "other.csv"]})


def test_a_part_without_values_has_no_kind(tmp_path: Path) -> None:
    """pandas writes an empty column of whole numbers as float64."""
    values = [5, 7] * (HALF // 2)
    empty = pl.Series([None] * HALF, dtype=pl.Float64)
    changes = in_two(
        tmp_path, log()[:HALF].with_columns(c=pl.Series(values)), log()[HALF:].with_columns(c=empty)
    )
    store = prepared(tmp_path, **changes, **FIELDS)
    assert store.manifest.kinds["interactions"]["c"] == "whole numbers"
    assert stored_values(store) == [str(value) for value in values] + [None] * HALF


@pytest.mark.parametrize(("value", "kind"), [("7", "whole numbers"), ("TRUE", "booleans")])
@pytest.mark.parametrize("blank", ["", "  ", " \t "])
def test_blanks_in_quotes_are_no_text(tmp_path: Path, value: str, kind: str, blank: str) -> None:
    """A database writes every value in quotes; what is not there becomes "" and no text column."""
    values = [value, blank] * HALF
    log().with_columns(c=pl.Series(values)).write_csv(
        tmp_path / "log.csv", quote_style="always", null_value=""
    )
    store = prepared(tmp_path, interactions={"path": "log.csv"}, **FIELDS)
    assert store.manifest.kinds["interactions"]["c"] == kind
    assert stored_values(store) == [value.lower(), None] * HALF


def test_numbers_of_any_type_are_one_kind_in_a_number_field(tmp_path: Path) -> None:
    first = log()[:HALF].with_columns(c=pl.Series(range(HALF)))
    other = log()[HALF:].with_columns(c=pl.Series([k + 0.5 for k in range(HALF)]))
    store = prepared(
        tmp_path,
        **in_two(tmp_path, first, other),
        candidate_fields=[{"column": "c", "type": "number"}],
    )
    scaling = store.manifest.numbers["candidate.c"]
    for name in PARTS:
        split = store.split(name)
        for row, value in zip(split.row_id, split.candidate_numbers[:, 0], strict=True):
            expected = float(row) if row < HALF else row - HALF + 0.5
            assert value * scaling.deviation + scaling.mean == pytest.approx(expected, abs=1e-4)
    assert store.manifest.kinds["interactions"]["c"] == "fractions"


ODD = {
    "zip codes": ["02139", "2139", "00501", "501"],
    "ids beyond 63 bits": ["10000000000000000001", "10000000000000000002", "5", "6"],
    "an exponent": ["1e3", "1000", "2000", "2e3"],
    "signs": ["+5", "5", "-5", "6"],
    "blanks": [" 7", "7", "7 ", "8"],
    "a fraction written twice": ["0.10", "0.1", "1", "1.0"],
    "words among numbers": ["1", "2", "n/a", "true"],
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_text_that_does_not_print_back_stays_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, chunk: int
) -> None:
    """As a category, a user and a request, in the log and in the tables of users and items."""
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, chunk, 2, 1, 1))
    words = ODD[name]
    values = [words[k % 4] for k in range(ROWS)]
    rows = as_csv(tmp_path / "log.csv", log(), c=values, u=values[::-1])
    people = pl.DataFrame({"u": words, "z": words, "rank": range(4)})
    as_csv(tmp_path / "users.csv", people)
    goods = pl.DataFrame({"i": range(ITEMS), "z": [words[k % 4] for k in range(ITEMS)]})
    as_csv(tmp_path / "items.csv", goods)
    store = prepared(
        tmp_path,
        interactions={"path": "log.csv"},
        users={"path": "users.csv", "key": "u", "fields": [{"column": "z"}]},
        items={"path": "items.csv", "key": "i", "fields": [{"column": "z"}]},
        **FIELDS,
    )
    assert stored_values(store) == [row["c"] for row in rows]
    assert same_partition(groups(store), [row["u"] for row in rows])
    assert set(store.vocabulary("item", "z")["value"]) == set(words)
    zips = dict(store.vocabulary("request", "z").iter_rows())
    by_row = {}
    for part in PARTS:
        split = store.split(part)
        codes = np.repeat(split.request_ids[:, 0], np.diff(split.row_start))
        by_row |= {int(r): zips[int(c)] for r, c in zip(split.row_id, codes, strict=True)}
    assert [by_row[k] for k in range(ROWS)] == [row["u"] for row in rows]
    kinds = store.manifest.kinds
    assert kinds["interactions"]["c"] == kinds["users"]["z"] == kinds["interactions"]["u"] == "text"


def test_keys_with_leading_zeros_are_items(tmp_path: Path) -> None:
    keys = ["0108775015", "108775015", "0000000007", *(f"09{k:08d}" for k in range(ITEMS - 3))]
    values = [keys[k % ITEMS] for k in range(ROWS)]
    rows = as_csv(tmp_path / "log.csv", log(), i=values)
    as_csv(tmp_path / "items.csv", pl.DataFrame({"i": keys}))
    for items in ({"path": "items.csv", "key": "i"}, {"keys": "log"}):
        store = prepared(tmp_path, interactions={"path": "log.csv"}, items=items)
        of = dict(store.item_keys().select("row", "key").iter_rows())
        for name in PARTS:
            split = store.split(name)
            for row, item in zip(split.row_id, split.item, strict=True):
                assert of[int(item)] == rows[int(row)]["i"]
        assert store.manifest.schema_.items == ITEMS
        assert store.manifest.kinds["interactions"]["i"] == "text"


def test_seven_and_double_o_seven_are_two_items_and_two_users(tmp_path: Path) -> None:
    items = ["7", "007", "8", "9"]
    rows = as_csv(
        tmp_path / "log.csv",
        log(),
        i=[items[k % 4] for k in range(ROWS)],
        u=["7" if k % 3 else "007" for k in range(ROWS)],
    )
    store = prepared(tmp_path, interactions={"path": "log.csv"})
    assert store.item_keys()["key"].to_list() == sorted(items)
    assert same_partition(groups(store), [row["u"] for row in rows])


def test_users_7_and_7_point_0_in_two_files_are_refused(tmp_path: Path) -> None:
    table = log()
    cuts = (0, 150, 190, ROWS)
    for name, start, end in zip(PARTS, cuts, cuts[1:], strict=False):
        part = table[start:end]
        users = [f"{u}.0" if name == "test" else str(u) for u in part["u"]]
        as_csv(tmp_path / f"{name}.csv", part, u=users)
    sentence = (
        r"test.csv, column 'u', row 0: users are fractions \('\d+\.0'\), those of train.csv are "
        r"whole"
    )
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, interactions=THREE, split={"by": "given"})


@pytest.mark.parametrize("column", ["c", "y"])
def test_a_csv_of_0_and_1_and_one_of_booleans_are_refused(tmp_path: Path, column: str) -> None:
    table = log(c=[k % 2 for k in range(ROWS)])
    cuts = (0, 150, 190, ROWS)
    for name, start, end in zip(PARTS, cuts, cuts[1:], strict=False):
        part = table[start:end]
        truths = ["True" if value else "False" for value in part[column]]
        as_csv(tmp_path / f"{name}.csv", part, **({column: truths} if name == "test" else {}))
    sentence = (
        f"test.csv, column '{column}', row 0: .* are booleans .*, those of train.csv are whole"
    )
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, interactions=THREE, split={"by": "given"}, **FIELDS)


def test_a_csv_and_a_parquet_of_one_column_agree(tmp_path: Path) -> None:
    """Booleans and numbers print as one text; text takes what the csv holds as it stands."""
    columns: dict[str, list[Any]] = {
        "whole": [k % 3 for k in range(ROWS)],
        "truth": [k % 2 == 0 for k in range(ROWS)],
        "words": ["5" if k % 2 else "a" for k in range(ROWS)],
    }
    table = log(**columns)
    table[:HALF].write_parquet(tmp_path / "one.parquet")
    truths = [str(value) for value in columns["truth"][HALF:]]  # "True", as pandas writes
    as_csv(tmp_path / "other.csv", table[HALF:], truth=truths)
    for name, values in columns.items():
        store = prepared(
            tmp_path,
            interactions={"path": ["one.parquet", "other.csv"]},
            candidate_fields=[{"column": name}],
        )
        assert stored_values(store, name) == [str(value).lower() for value in values]


def test_keys_of_a_csv_take_the_type_of_the_parquet(tmp_path: Path) -> None:
    log().write_parquet(tmp_path / "log.parquet")
    as_csv(tmp_path / "items.csv", pl.DataFrame({"i": range(ITEMS)}))
    items = {"path": "items.csv", "key": "i"}
    assert prepared(tmp_path, items=items).manifest.kinds["items"]["i"] == "whole numbers"
    words = log().with_columns(pl.col("i").cast(pl.String))
    words.write_parquet(tmp_path / "log.parquet")
    store = prepared(tmp_path, items=items)
    assert store.manifest.kinds["items"]["i"] == "text"
    log().write_parquet(tmp_path / "log.parquet")
    as_csv(tmp_path / "items.csv", pl.DataFrame({"i": [f"{k:02d}" for k in range(ITEMS)]}))
    sentence = (
        "log.parquet, column 'i', row 0: item keys are whole numbers|items.csv.*'i'.*text.*'00'"
    )
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, items=items)


def vectors(folder: Path) -> np.ndarray[Any, Any]:
    matrix = np.arange(1.0, 2 * ITEMS + 1).reshape(ITEMS, 2)
    np.save(folder / "v.npy", matrix)
    return matrix


@pytest.mark.parametrize("header", [True, False])
def test_digits_in_an_ids_csv_are_text_where_the_items_are(tmp_path: Path, header: bool) -> None:
    keys = [str(k) for k in range(ITEMS)]
    log().with_columns(pl.col("i").cast(pl.String)).write_parquet(tmp_path / "log.parquet")
    pl.DataFrame({"i": keys}).write_parquet(tmp_path / "items.parquet")
    matrix = vectors(tmp_path)
    lines = [*(["item"] if header else []), *reversed(keys)]
    (tmp_path / "ids.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    store = prepared(
        tmp_path,
        items={"path": "items.parquet", "key": "i"},
        modalities={"v": {"path": "v.npy", "ids": "ids.csv"}},
    )
    for row, key in store.item_keys().select("row", "key").iter_rows():
        assert store.items.vectors["v"][row].tolist() == matrix[ITEMS - 1 - int(key)].tolist()


@pytest.mark.parametrize("name", ["ids.parquet", "ids.csv"])
def test_ids_of_several_columns_take_the_one_named_as_the_key(tmp_path: Path, name: str) -> None:
    log().write_parquet(tmp_path / "log.parquet")
    matrix = vectors(tmp_path)
    table = pl.DataFrame({"row": range(ITEMS), "i": list(reversed(range(ITEMS)))})
    write = {"ids.parquet": pl.DataFrame.write_parquet, "ids.csv": pl.DataFrame.write_csv}[name]
    write(table, tmp_path / name)
    modalities = {"v": {"path": "v.npy", "ids": name}}
    store = prepared(tmp_path, modalities=modalities)
    for row, key in store.item_keys().select("row", "key").iter_rows():
        assert store.items.vectors["v"][row].tolist() == matrix[ITEMS - 1 - key].tolist()
    write(table.rename({"i": "k"}), tmp_path / name)
    with pytest.raises(DataContractError, match=f"{name}: columns row, k, none of them 'i'"):
        prepared(tmp_path, modalities=modalities)
