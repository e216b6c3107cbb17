"""Keys and vectors of items looked up by plain dictionaries, over chunks, files and odd keys."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.vectors import VectorBlock, from_column, from_npy
from fusefront.datasets.raw.whole_table import WholeTable
from fusefront.datasets.table_text import COMMAS

FILE = Path("items.csv")
FAR = 1 << 60  # apart from the others: no table of all numbers between
NUMBERS = {
    "dense": [7, -3, 12, 5],
    "sparse": [7, -FAR, FAR, 5],
    "one": [4],
}


def index(keys: list[int] | list[str], kind: str = "text") -> KeyIndex:
    return KeyIndex(pl.Series("i", keys), FILE, "i", kind)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_found_at_their_row_and_others_nowhere(name: str) -> None:
    keys = NUMBERS[name]
    lookup = index(keys)
    right = {key: row for row, key in enumerate(keys, 1)}
    queries = [*keys[::-1], *(key + step for key in keys for step in (-1, 1)), 0, None, FAR * 4]
    rows = lookup.rows(pl.Series("k", queries, dtype=pl.Int64), Path("log.csv"), "k")
    assert rows.tolist() == [right.get(key, 0) for key in queries]
    assert rows.dtype == np.int32
    assert (len(lookup), lookup.is_text, lookup.kind) == (len(keys), False, "whole numbers")


def test_a_key_of_zero_is_no_null() -> None:
    for keys in ([0, 5], [0, FAR]):
        rows = index(keys).rows(pl.Series("k", [None, 0, keys[1]], dtype=pl.Int64), FILE, "k")
        assert rows.tolist() == [0, 1, 2]


def test_a_table_of_numbers_is_kept_where_few_are_between() -> None:
    room = 4 * 2 + (1 << 20)
    assert index([10, 10 + room])._table is not None
    assert index([10, 10 + room + 1])._table is None


def test_texts_are_found_at_their_row() -> None:
    keys = ["b", "", "007", "7", " b"]
    lookup = index(keys)
    queries = ["7", "b", None, "c", "", " b", "07"]
    rows = lookup.rows(pl.Series("k", queries), Path("log.csv"), "k")
    assert rows.tolist() == [4, 1, 0, 0, 2, 5, 0]
    assert (len(lookup), lookup.is_text, lookup.kind) == (5, True, "text")
    nothing = lookup.rows(pl.Series("k", [None, None]), FILE, "k")
    assert nothing.tolist() == [0, 0]


def test_digits_are_numbers_where_all_files_say_so() -> None:
    lookup = index(["12", "5"], "whole numbers")
    assert lookup.rows(pl.Series("k", ["5", "12", "6"]), FILE, "k").tolist() == [2, 1, 0]
    assert lookup.rows(pl.Series("k", [5, 12], dtype=pl.UInt8), FILE, "k").tolist() == [2, 1]
    with pytest.raises(
        DataContractError,
        match=r"^log\.csv, column 'k', row 32: got '05', expected an integer item key; write the "
        r"keys as in items\.csv$",
    ):
        lookup.rows(pl.Series("k", ["5", None, "05", "x"]), Path("log.csv"), "k", 30)
    with pytest.raises(
        DataContractError,
        match=(
            r"^log\.csv, column 'k', row 30: the keys are whole numbers, those of items\.csv are "
            r"text"
        ),
    ):
        index(["a"]).rows(pl.Series("k", [5]), Path("log.csv"), "k", 30)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ([5, 7, 6, 7, 7], r"column 'i', row 3: the key 7 was there before; keep one row an item"),
        (["a", "c", "b", "b", "a"], r"column 'i', row 3: the key 'b' was there before"),
        ([1, 2, None, None], r"column 'i', row 2: an item without a key; fill or drop the row"),
        ([], r"column 'i': no items; export it again"),
        ([1.5], r"column 'i': the keys are Float64; store keys as integers or text"),
        ([True], r"column 'i': the keys are Boolean"),
    ],
)
def test_keys_that_name_no_item_are_refused_with_their_row(keys: list[int], sentence: str) -> None:
    with pytest.raises(DataContractError, match=sentence):
        index(keys)


def test_keys_end_at_63_bits() -> None:
    largest = pl.Series("i", [2**63 - 1, 3], dtype=pl.UInt64)
    lookup = KeyIndex(largest, FILE, "i")
    assert lookup.rows(pl.Series("k", [3, 2**63 - 1]), FILE, "k").tolist() == [2, 1]
    beyond = pl.Series("k", [2**63 + 5, 3], dtype=pl.UInt64)  # of no item
    assert lookup.rows(beyond, FILE, "k").tolist() == [0, 2]
    with pytest.raises(DataContractError, match="column 'i': a key beyond 63 bits"):
        KeyIndex(pl.Series("i", [2**63], dtype=pl.UInt64), FILE, "i")


def flat(blocks: list[VectorBlock]) -> dict[int, tuple[int, list[float]]]:
    """item row -> (row of the source, vector)."""
    out: dict[int, tuple[int, list[float]]] = {}
    for block in blocks:
        entries = zip(
            block.rows.tolist(), block.source.tolist(), block.vectors.tolist(), strict=True
        )
        out |= {row: (source, vector) for row, source, vector in entries}
    return out


@pytest.mark.parametrize("block", [1, 2, 100])
def test_matrices_in_parts_find_their_items_and_keep_their_source_row(
    tmp_path: Path, block: int
) -> None:
    items = index([10, 20, 30, 40, 50])
    parts = [tmp_path / "a.npy", tmp_path / "b.npy"]
    first, second = np.arange(6.0).reshape(3, 2), np.arange(6.0, 14.0).reshape(4, 2)
    np.save(parts[0], first)
    np.save(parts[1], second)
    keys = [50, 9, 10, 8, 7, 30, 20]
    np.save(tmp_path / "ids.npy", keys)
    blocks = list(from_npy(parts, items, tmp_path / "ids.npy", block))
    assert flat(blocks) == {
        5: (0, [0, 1]),
        1: (2, [4, 5]),
        3: (2, [10, 11]),
        2: (3, [12, 13]),
    }
    assert sum(each.unknown for each in blocks) == 3
    assert max(len(each.rows) + each.unknown for each in blocks) <= block
    rows = index([1, 2, 3, 4, 5, 6, 7])
    by_row = flat(list(from_npy(parts, rows, None, block)))
    assert by_row == {
        row + 1: (row % 3 if row < 3 else row - 3, vector)
        for row, vector in enumerate([*first.tolist(), *second.tolist()])
    }


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([1, 2], r"ids\.npy: 2 keys for 3 vectors; write one key a vector"),
        ([1, 2, 2], r"ids\.npy, column 'ids', row 2: the key 2 was there before; keep one vector"),
        ([2, 9, 2], r"column 'ids', row 2: the key 2 was there before"),
        ([[1], [2], [3]], r"ids\.npy: shape \(3, 1\), type int64; expected one integer or text a"),
        ([1.0, 2.0, 3.0], r"ids\.npy: shape \(3,\), type float64"),
        (None, r"a\.npy: 3 rows, items\.csv has 2 items; row k belongs to item k"),
    ],
)
def test_keys_that_do_not_fit_the_vectors_are_refused(
    tmp_path: Path, ids: list[int] | None, sentence: str
) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 2)))
    path = None
    if ids is not None:
        path = tmp_path / "ids.npy"
        np.save(path, ids)
    with pytest.raises(DataContractError, match=sentence):
        list(from_npy([tmp_path / "a.npy"], index([1, 2]), path, 10))


def test_parts_of_two_widths_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((1, 2)))
    np.save(tmp_path / "b.npy", np.ones((1, 3)))
    parts = [tmp_path / "a.npy", tmp_path / "b.npy"]
    with pytest.raises(DataContractError, match=r"b\.npy: width 3, a\.npy has 2; give every part"):
        list(from_npy(parts, index([1, 2]), None, 10))


@pytest.mark.parametrize(("header", "extra"), [("i", False), ("", False), ("i", True)])
def test_keys_in_a_csv_may_have_a_header_and_other_columns(
    tmp_path: Path, header: str, extra: bool
) -> None:
    np.save(tmp_path / "a.npy", np.arange(3.0)[:, None])
    keys = ["c", "a", "b"]
    more = ",x" if extra else ""
    lines = [f"{header}{more}"] * bool(header) + [key + (",7" if extra else "") for key in keys]
    (tmp_path / "ids.csv").write_text("\n".join(lines) + "\n")
    blocks = list(from_npy([tmp_path / "a.npy"], index(["a", "b", "c"]), tmp_path / "ids.csv", 10))
    assert flat(blocks) == {3: (0, [0]), 1: (1, [1]), 2: (2, [2])}


def test_a_table_of_keys_without_the_items_column_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 1)))
    pl.DataFrame({"x": [1, 2], "z": [1, 2]}).write_parquet(tmp_path / "ids.parquet")
    with pytest.raises(DataContractError, match=r"columns x, z, none of them 'i'; name the column"):
        list(from_npy([tmp_path / "a.npy"], index([1, 2]), tmp_path / "ids.parquet", 10))
    pl.DataFrame({"x": [2, 1]}).write_parquet(tmp_path / "ids.parquet")
    blocks = list(from_npy([tmp_path / "a.npy"], index([1, 2]), tmp_path / "ids.parquet", 10))
    assert flat(blocks).keys() == {1, 2}


@pytest.mark.parametrize("block", [1, 2, 100])
def test_list_columns_are_read_by_row_or_by_key(tmp_path: Path, block: int) -> None:
    lists = [None, [1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]]
    path = tmp_path / "v.parquet"
    keys = [30, 10, 99, 20, 98]
    pl.DataFrame({"k": keys, "v": lists}).write_parquet(path)
    table = WholeTable((path,), COMMAS)
    by_row = flat(list(from_column(table, "v", None, index([1, 2, 3, 4, 5]), block)))
    for row, vector in enumerate(lists, 1):
        if vector is not None or (block == 100 or row > 2):
            assert by_row[row] == (row - 1, vector or [0, 0])
    blocks = list(from_column(table, "v", "k", index([10, 20, 30]), block))
    by_key = flat(blocks)
    assert (by_key[1], by_key[2]) == ((1, [1, 2]), (3, [3, 4]))
    if block == 100:
        assert by_key[3] == (0, [0, 0])
        assert sum(each.unknown for each in blocks) == 2


@pytest.mark.parametrize("block", [1, 2, 100])
@pytest.mark.parametrize(
    ("keys", "lists", "sentence"),
    [
        (
            [1, 2, 3],
            [[1.0, 2.0], None, [1.0]],
            r"column 'v', row 2: 1 numbers, the rows before had 2",
        ),
        ([1, 2, 3], [None, [1.0], [1.0, None]], r"column 'v', row 2: 2 numbers, the rows before"),
        (
            [1, 2, 3],
            [[2.0], [1.0], [None]],
            r"column 'v', row 2: a null in a vector; write a number",
        ),
        ([1, 9, 1], [[2.0], [1.0], [1.0]], r"column 'k', row 2: the key 1 was there before"),
        (
            [1, 2, 3],
            [["a"], ["b"], ["c"]],
            r"column 'v': got List\(String\); expected a list of nu",
        ),
    ],
)
def test_lists_that_are_no_vectors_are_refused_with_their_row(
    tmp_path: Path, block: int, keys: list[int], lists: list[object], sentence: str
) -> None:
    path = tmp_path / "v.parquet"
    pl.DataFrame({"k": keys, "v": lists}).write_parquet(path)
    with pytest.raises(DataContractError, match=sentence):
        list(from_column(WholeTable((path,), COMMAS), "v", "k", index([1, 2, 3]), block))


def test_matrices_end_at_65536_columns_and_hold_real_numbers(tmp_path: Path) -> None:
    def blocks(array: np.ndarray) -> list[VectorBlock]:
        np.save(tmp_path / "a.npy", array)
        return list(from_npy([tmp_path / "a.npy"], index([1]), None, 10))

    assert blocks(np.ones((1, 1 << 16), np.uint8))[0].vectors.shape == (1, 1 << 16)
    for array, sentence in (
        (np.ones((1, (1 << 16) + 1), np.uint8), r"65,537 columns, at most 65,536 are vectors"),
        (np.ones((1, 0)), r"shape \(1, 0\); expected a matrix"),
        (np.ones((1, 2, 1)), r"shape \(1, 2, 1\)"),
        (np.ones((1, 2), bool), "type bool; expected real numbers"),
    ):
        with pytest.raises(DataContractError, match=sentence):
            blocks(array)
