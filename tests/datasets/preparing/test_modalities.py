"""One modality's table against plain loops: keys, blocks, presence, types, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Tally
from fusefront.datasets.preparing import modalities
from fusefront.datasets.preparing.encoded import EncodedModality
from fusefront.datasets.preparing.items import ItemFile
from fusefront.datasets.preparing.modalities import Stored, write_modality
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.vectors import VectorBlock
from fusefront.datasets.raw.whole_table import WholeTable
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.table_text import COMMAS

KEYS = [10, 11, 12, 13, 14, 15, 16]


class Written(NamedTuple):
    stored: Stored
    table: np.ndarray[Any, Any]
    scale: np.ndarray[Any, Any] | None
    tally: Tally


def spec_of(modality: dict[str, Any]) -> DatasetSpec:
    return parse_spec(
        {
            "name": "shop",
            "interactions": {"path": "log.parquet"},
            "columns": {"user": "u", "item": "i", "label": "y"},
            "history": {"from": "none"},
            "items": {"path": "items.parquet", "key": "i"},
            "modalities": {"text": modality},
            "split": {"by": "user"},
        },
        "test",
    )


def write(folder: Path, *, file: bool = True, **modality: Any) -> Written:
    """The modality over seven items; without `file` they are of no table."""
    path = folder / "items.parquet"
    if not path.exists():
        pl.DataFrame({"i": KEYS}).write_parquet(path)
    items = ItemFile(
        KeyIndex(pl.Series("i", KEYS), path, "i"), WholeTable((path,), COMMAS) if file else None
    )
    tally, out = Tally(), folder / "store"
    out.mkdir()
    stored = write_modality(out, folder, spec_of(modality), "text", items, tally)
    scale = out / "items" / "scale_text.npy"
    assert not list((out / "work").glob("*"))
    return Written(
        stored,
        np.load(out / "items" / "modality_text.npy"),
        np.load(scale) if scale.exists() else None,
        tally,
    )


def keyed(folder: Path) -> dict[int, list[float]]:
    """Two files of vectors with their keys: two of no item, and none of items 12 and 15."""
    keys = [16, 99, 10, 14, 98, 13, 11]
    vectors = np.array([[k, -2.5 * k, k % 3, 0.25] for k in keys], np.float32)
    np.save(folder / "a.npy", vectors[:4])
    np.save(folder / "b.npy", vectors[4:])
    np.save(folder / "ids.npy", np.array(keys))
    return {key: vector.tolist() for key, vector in zip(keys, vectors, strict=True)}


@pytest.mark.parametrize("rows", [1, 3, 4096])
def test_vectors_find_their_items_from_several_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(modalities, "_BLOCK_ROWS", rows)
    monkeypatch.setattr(modalities, "_BLOCK_BYTES", 16 * rows)  # one row of 4 floats each
    right = keyed(tmp_path)
    written = write(tmp_path, path=["a.npy", "b.npy"], ids="ids.npy")
    assert written.stored.width == 4
    assert written.stored.warnings == ()
    assert written.stored.present.tolist() == [False, *(key in right for key in KEYS)]
    assert written.table.dtype == np.float32
    assert written.table.tolist() == [[0.0] * 4, *(right.get(key, [0.0] * 4) for key in KEYS)]
    assert written.scale is None
    loss = written.tally.losses()["modality.text.unknown_key"]
    assert (loss.count, loss.of) == (2, 7)
    assert loss.what == "vectors of text are of no item; left out"


@pytest.mark.parametrize("rows", [1, 2, 4096])
def test_int8_rows_are_scaled_to_their_largest_component(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(modalities, "_BLOCK_BYTES", 16 * rows)
    right = keyed(tmp_path)
    written = write(tmp_path, path=["a.npy", "b.npy"], ids="ids.npy", dtype="int8")
    assert written.table.dtype == np.int8
    assert written.scale is not None
    assert len(written.scale) == len(KEYS) + 1
    for row, key in enumerate(KEYS, 1):
        vector = right.get(key)
        if vector is None:
            assert written.scale[row] == 0
            assert not written.table[row].any()
            continue
        largest = max(abs(x) for x in vector)
        assert written.scale[row] == np.float32(largest / 127)
        assert written.table[row].tolist() == [round(x / largest * 127) for x in vector]


def vectors(folder: Path, change: dict[tuple[int, int], float] | None = None) -> None:
    table = np.arange(1, 22, dtype=np.float64).reshape(7, 3)
    for place, value in (change or {}).items():
        table[place] = value
    np.save(folder / "text.npy", table.astype(np.float32))


def presence(folder: Path, values: list[Any]) -> None:
    pl.DataFrame({"i": KEYS, "has": values}).write_parquet(folder / "items.parquet")


def test_a_presence_column_rules_and_its_absent_rows_may_hold_anything(tmp_path: Path) -> None:
    vectors(
        tmp_path, {(1, 0): np.nan, (4, 2): np.inf, (5, 0): 1e6, (0, 0): 0, (0, 1): 0, (0, 2): 0}
    )
    presence(tmp_path, ["true", "0", "TRUE", "1", "False", None, "1"])
    written = write(tmp_path, path="text.npy", present="has", dtype="float16")
    assert written.stored.present.tolist() == [False, True, False, True, True, False, False, True]
    zero = [0.0] * 3
    right = [zero, zero, zero, [7, 8, 9], [10, 11, 12], zero, zero, [19, 20, 21]]
    assert written.table.tolist() == right  # item 10 is all zeros, and there


def test_rows_of_zeros_are_absent_unless_the_spec_says_they_are_not(tmp_path: Path) -> None:
    vectors(tmp_path, {(2, 0): 0, (2, 1): 0, (2, 2): 0, (3, 0): 0, (3, 2): 0})
    present = write(tmp_path, path="text.npy").stored.present
    assert np.flatnonzero(~present).tolist() == [0, 3]
    (tmp_path / "again").mkdir()
    vectors(tmp_path / "again", {(2, 0): 0, (2, 1): 0, (2, 2): 0})
    present = write(tmp_path / "again", path="text.npy", zero_is_absent=False).stored.present
    assert present.tolist() == [False] + [True] * 7


@pytest.mark.parametrize(
    ("change", "modality", "sentence"),
    [
        (
            {(4, 1): np.nan, (4, 2): np.inf, (5, 0): np.nan},
            {},
            r"text\.npy, column '1', row 4: modality 'text' holds nan at component 1; replace it",
        ),
        (
            {(0, 2): -np.inf},
            {"zero_is_absent": False},
            r"column '2', row 0: modality 'text' holds -inf at component 2",
        ),
        (
            {(6, 0): 65_505},
            {"dtype": "float16"},
            "exceeds the range of float16; use dtype: float32",
        ),
        ({(6, 0): -70_000}, {"dtype": "float16"}, "exceeds the range of float16"),
        ({}, {"present": "has"}, r"column 'has', row 5: got 'maybe', expected true or false"),
    ],
)
def test_what_a_vector_may_not_hold_is_refused_with_its_place(
    tmp_path: Path, change: dict[tuple[int, int], float], modality: dict[str, Any], sentence: str
) -> None:
    vectors(tmp_path, change)
    presence(tmp_path, ["true"] * 5 + ["maybe", "perhaps"])
    with pytest.raises(DataContractError, match=sentence):
        write(tmp_path, path="text.npy", **modality)


def test_the_largest_number_of_float16_is_kept(tmp_path: Path) -> None:
    vectors(tmp_path, {(6, 0): 65_504, (5, 0): -65_504})
    written = write(tmp_path, path="text.npy", dtype="float16")
    assert (written.table[7, 0], written.table[6, 0]) == (65_504, -65_504)


def test_a_list_column_of_the_item_file_names_itself_in_errors(tmp_path: Path) -> None:
    lists = [[1.0, 2.0], None, [0.0, 0.0], [3.0, float("nan")], [1.0, 1.0], [1.0, 1.0], None]
    pl.DataFrame({"i": KEYS, "v": lists}).write_parquet(tmp_path / "items.parquet")
    sentence = r"items\.parquet, column 'v', row 3: modality 'text' holds nan at component 1"
    with pytest.raises(DataContractError, match=sentence):
        write(tmp_path, column="v")
    (tmp_path / "good").mkdir()
    lists[3] = [3.0, 4.0]
    pl.DataFrame({"i": KEYS, "v": lists}).write_parquet(tmp_path / "good" / "items.parquet")
    written = write(tmp_path / "good", column="v")
    assert written.stored.present.tolist() == [False, True, False, False, True, True, True, False]


def test_columns_of_a_table_that_is_not_there_are_refused(tmp_path: Path) -> None:
    vectors(tmp_path)
    with pytest.raises(DataContractError, match="'present: has' needs an item file; remove it"):
        write(tmp_path, file=False, path="text.npy", present="has")
    (tmp_path / "store").rmdir()
    sentence = "modality 'text' has a column but there is no item file; name it"
    with pytest.raises(DataContractError, match=sentence):
        write(tmp_path, file=False, column="v")


@pytest.mark.parametrize("again", [0, 1])
def test_a_second_vector_of_an_item_is_refused_over_all_files(tmp_path: Path, again: int) -> None:
    for name, keys in {"a": [10, 12], "b": [[16, 12], [10, 16]][again]}.items():
        values = [[1.0, key] for key in keys]
        pl.DataFrame({"k": keys, "v": values}).write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(
        DataContractError, match=f"'text' has two vectors of item {[12, 10][again]}; "
    ):
        write(tmp_path, path=["a.parquet", "b.parquet"], key="k", column="v")


def test_a_modality_that_no_item_has_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "text.npy", np.zeros((7, 3)))
    sentence = r"'text': no item has a vector \(all are zero, absent, or of unknown keys\)"
    with pytest.raises(DataContractError, match=sentence):
        write(tmp_path, path="text.npy")


def test_an_encoder_that_changes_its_width_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_widths(_: EncodedModality) -> Iterator[VectorBlock]:
        for rows, width in (([1, 2], 5), ([3], 4)):
            ones = np.ones((len(rows), width), np.float32)
            yield VectorBlock(np.array(rows), ones, np.array(rows) - 1, Path("items.parquet"))

    monkeypatch.setattr(EncodedModality, "__iter__", two_widths)
    pl.DataFrame({"i": KEYS, "title": ["a"] * 7}).write_parquet(tmp_path / "items.parquet")
    sentence = "modality 'text' became 4 wide after 5; the encoder must return one width"
    with pytest.raises(DataContractError, match=sentence):
        write(tmp_path, column="title", encode="text")
