"""Nulls and padding in histories, of whatever form and type: what is left is right, what goes is
counted."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import yaml

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, LONGEST = 60, 4
PARTS = ("train", "valid", "test")
NAN = float("nan")


class Case(NamedTuple):
    """What the rows hold in turn; the same as plain lists; how many of each kind went in a turn."""

    dtype: Any
    histories: list[Any]
    right: list[list[Any]]
    losses: dict[str, int]
    history: str = "{from: list, column: h}"
    text_keys: bool = False
    csv: bool = False


PADDED = "{from: padded, column: h, padding: %s}"
CUT = "{from: list, column: h, separator: '%s'}"
NULL, ENTRY, PADDING = "null", "null_entry", "padding"
CASES = {
    "null lists": Case(pl.List(pl.Int64), [[1, 2], None, []], [[1, 2], [], []], {NULL: 1}),
    "nulls inside lists": Case(
        pl.List(pl.Int32), [[1, None, 2], [None], None], [[1, 2], [], []], {NULL: 1, ENTRY: 2}
    ),
    "a null takes no place of the newest": Case(
        pl.List(pl.UInt16),
        [[1, 2, 3, 4, None, None, 5]],
        [[2, 3, 4, 5]],
        {ENTRY: 2},
    ),
    "newest first": Case(
        pl.List(pl.Int64),
        [[5, None, 4, 3, 2, 1], [6, 7]],
        [[2, 3, 4, 5], [7, 6]],
        {ENTRY: 1},
        "{from: list, column: h, newest: first}",
    ),
    "lists without a type": Case(
        pl.List(pl.Null), [[None, None], [], None], [[], [], []], {NULL: 1, ENTRY: 2}
    ),
    "a column without a type": Case(pl.Null, [None], [[]], {NULL: 1}),
    "a column of text without a type": Case(
        pl.Null, [None], [[]], {NULL: 1}, CUT % ",", text_keys=True
    ),
    "nulls in arrays": Case(
        pl.Array(pl.Int64, 2), [[1, None], None, [3, 4]], [[1], [], [3, 4]], {NULL: 1, ENTRY: 1}
    ),
    "floats where nulls are NaN": Case(
        pl.List(pl.Float64), [[1.0, NAN, 2.0], [None], [NAN]], [[1, 2], [], []], {ENTRY: 3}
    ),
    "text keys with blanks and words": Case(
        pl.List(pl.String),
        [["k1", "", "k2"], ["nan", "None", " "], ["k3", None]],
        [["k1", "k2"], [], ["k3"]],
        {ENTRY: 5},
        text_keys=True,
    ),
    "categories": Case(
        pl.List(pl.Categorical),
        [["k1", None], None, ["", "k2"]],
        [["k1"], [], ["k2"]],
        {NULL: 1, ENTRY: 2},
        text_keys=True,
    ),
    "padded with 0": Case(
        pl.List(pl.Int64),
        [[0, 0, 1], [0, 2, 3], None, [None, 0, 4]],
        [[1], [2, 3], [], [4]],
        {NULL: 1, ENTRY: 1, PADDING: 4},
        PADDED % 0,
    ),
    "padded with -1": Case(
        pl.Array(pl.Int16, 3),
        [[-1, -1, 1], [4, 2, 3], [-1] * 3],
        [[1], [4, 2, 3], []],
        {PADDING: 5},
        PADDED % -1,
    ),
    "padded with -1, without a sign": Case(
        pl.List(pl.UInt32), [[1, 2], [3, 4]], [[1, 2], [3, 4]], {}, PADDED % -1
    ),
    "padded with nulls beside an item 0": Case(
        pl.List(pl.Int64),
        [[None, None, 0], [0, 1, 2], None],
        [[0], [0, 1, 2], []],
        {NULL: 1, ENTRY: 2},
        PADDED % "null",
    ),
    "padded with NaN": Case(
        pl.List(pl.Float32),
        [[NAN, NAN, 7.0], [1.0, 2.0, 3.0]],
        [[7], [1, 2, 3]],
        {ENTRY: 2},
        PADDED % ".nan",
    ),
    "padded with 0 as a float": Case(
        pl.List(pl.Float64),
        [[0.0, 1.0], [NAN, 2.0]],
        [[1], [2]],
        {ENTRY: 1, PADDING: 1},
        PADDED % "0.0",
    ),
    "padded with empty text": Case(
        pl.List(pl.String),
        [["", "k1"], ["", ""], ["k2", "k3"]],
        [["k1"], [], ["k2", "k3"]],
        {ENTRY: 3},
        PADDED % "''",
        text_keys=True,
    ),
    "padded with the text nan": Case(
        pl.List(pl.String),
        [["nan", "k1"], ["nan", "nan"]],
        [["k1"], []],
        {ENTRY: 3},
        PADDED % "nan",
        text_keys=True,
    ),
    "padded with a word": Case(
        pl.List(pl.String),
        [["PAD", "k1"], ["k2", "k3"]],
        [["k1"], ["k2", "k3"]],
        {PADDING: 1},
        PADDED % "PAD",
        text_keys=True,
    ),
    "written out and padded with 0": Case(
        pl.String,
        ["0^0^5", "1^2^3", None],
        [[5], [1, 2, 3], []],
        {NULL: 1, PADDING: 2},
        "{from: padded, column: h, separator: '^'}",
    ),
    "written out and padded with nothing": Case(
        pl.String,
        ["||5", "1|2|3", "||"],
        [[5], [1, 2, 3], []],
        {ENTRY: 5},
        "{from: padded, column: h, separator: '|', padding: ''}",
    ),
    "written out": Case(
        pl.String,
        ["1 2", "", None, "nan", " 3  4 "],
        [[1, 2], [], [], [], [3, 4]],
        {NULL: 1, ENTRY: 1},
        CUT % " ",
    ),
    "as Python writes lists": Case(
        pl.String,
        ["[1, 2]", "[]", "[None, 3]", "(4,)"],
        [[1, 2], [], [3], [4]],
        {ENTRY: 1},
        CUT % ",",
    ),
    "as JSON writes lists": Case(
        pl.String,
        ["[1, 2]", "[]", "[null, 3]", None, ""],
        [[1, 2], [], [3], [], []],
        {NULL: 1, ENTRY: 1},
    ),
    "as JSON writes lists of text": Case(
        pl.String,
        ['["k1","k,2"]', "['k3', 'k1']", '["k1", null]'],
        [["k1", "k,2"], ["k3", "k1"], ["k1"]],
        {ENTRY: 1},
        text_keys=True,
    ),
    "as NumPy writes arrays": Case(
        pl.String, ["[1  2 12]", "[ 3 10]", "[]"], [[1, 2, 12], [3, 10], []], {}, CUT % " "
    ),
    "written out in a csv": Case(
        pl.String,
        ["1|2", None, "3||4", "NaN|5"],
        [[1, 2], [], [3, 4], [5]],
        {NULL: 1, ENTRY: 2},
        CUT % "|",
        csv=True,
    ),
    "JSON in a csv": Case(pl.String, ["[1, 2]", "[]", None], [[1, 2], [], []], {NULL: 1}, csv=True),
}


def spec(case: Case, items: dict[str, Any]) -> DatasetSpec:
    history = yaml.safe_load(case.history) | {"max_length": LONGEST}
    return parse_spec(
        {
            "name": "nulls",
            "interactions": {"path": "log.csv" if case.csv else "log.parquet"},
            "columns": {"user": "u", "item": "i", "label": "y"},
            "history": history,
            "items": items,
            "split": {"by": "user", "valid": 0.2, "test": 0.2},
        },
        "test",
    )


def write(folder: Path, case: Case) -> None:
    turns = -(-ROWS // len(case.histories))
    number = np.random.default_rng(0).permutation(ROWS) % 14
    keys = [f"k{k}" for k in number] if case.text_keys else number.tolist()
    column = pl.Series("h", (case.histories * turns)[:ROWS], case.dtype)
    frame = pl.DataFrame({"u": [k % 20 for k in range(ROWS)], "i": keys})
    frame = frame.with_columns(y=pl.int_range(pl.len()) // 20 % 2, h=column)
    if case.csv:
        frame.write_csv(folder / "log.csv")
    else:
        frame.write_parquet(folder / "log.parquet")
    known = [f"k{k}" for k in range(14)] + ["k,2"] if case.text_keys else list(range(14))
    pl.DataFrame({"i": known}).write_parquet(folder / "items.parquet")


def stored(store: PreparedDataset) -> dict[int, list[Any]]:
    """row -> keys of its history."""
    keys, by_row = dict(store.item_keys().iter_rows()), {}
    for name in PARTS:
        split = store.split(name)
        for r in range(len(split.group)):
            start, length = int(split.history_start[r]), int(split.history_length[r])
            entries = [keys[int(k)] for k in store.history_values[start : start + length]]
            for n in range(int(split.row_start[r]), int(split.row_start[r + 1])):
                by_row[int(split.row_id[n])] = entries
    return by_row


@pytest.mark.parametrize("items", [{"keys": "log"}, {"path": "items.parquet", "key": "i"}])
@pytest.mark.parametrize("name", CASES)
def test_nulls_and_padding_leave_the_items(
    name: str, items: dict[str, Any], tmp_path: Path
) -> None:
    case = CASES[name]
    assert ROWS % len(case.histories) == 0
    write(tmp_path, case)
    nulls = isinstance(case.dtype, pl.Array) and None in case.histories
    if nulls and int(pa.__version__.partition(".")[0]) < 26:
        with pytest.raises(DataContractError, match=r"pyarrow reads it from 26 on, this is "):
            prepare(spec(case, items), tmp_path, tmp_path / "out")
        return
    store = prepare(spec(case, items), tmp_path, tmp_path / "out")
    by_row = stored(store)
    assert sorted(by_row) == list(range(ROWS))
    for row, entries in by_row.items():
        assert entries == case.right[row % len(case.histories)][-LONGEST:], row
    turns = ROWS // len(case.histories)
    expected = Counter({key: turns * count for key, count in case.losses.items()})
    losses = store.manifest.losses
    counted = {key: losses[f"history.{key}"].count for key in expected}
    assert counted == expected
    assert not {key for key in losses if key.startswith("history.")} - {
        f"history.{key}" for key in expected
    }


def test_unknown_items_make_room_for_older_ones_that_are_known(tmp_path: Path) -> None:
    """The newest items that are items: what is dropped, padding or not, takes no place."""
    case = Case(pl.List(pl.Int64), [[1, 2, 3, 4, 5, 99, 98], [99]], [[2, 3, 4, 5], []], {})
    write(tmp_path, case)
    items = {"path": "items.parquet", "key": "i", "unknown": "drop"}
    store = prepare(spec(case, items), tmp_path, tmp_path / "out")
    for row, entries in stored(store).items():
        assert entries == case.right[row % 2]
    assert store.manifest.losses["history.unknown_item"].count == ROWS // 2 * 3


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int64])
def test_padded_columns_side_by_side_may_hold_nulls(dtype: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 8, (ROWS, 3))
    columns = {f"hist_{k}": [int(v) if v != 7 else None for v in table[:, k]] for k in range(3)}
    log = pl.DataFrame({"u": np.arange(ROWS) % 20, "i": np.arange(ROWS) % 8})
    log = log.with_columns(y=pl.int_range(pl.len()) // 20 % 2)
    whole = log.with_columns(
        **{name: pl.Series(entries, dtype=dtype) for name, entries in columns.items()}
    )
    whole = whole.with_columns(hist_3=pl.Series([None] * ROWS, dtype=pl.Null))
    whole.write_parquet(tmp_path / "log.parquet")
    case = Case(None, [], [], {}, "{from: padded, column: 'hist_*'}")
    store = prepare(spec(case, {"keys": "log"}), tmp_path, tmp_path / "out")
    for row, entries in stored(store).items():
        assert entries == [int(v) for v in table[row] if v not in (0, 7)]
    losses = store.manifest.losses
    assert losses["history.null_entry"].count == int((table == 7).sum()) + ROWS
    assert losses["history.padding"].count == int((table == 0).sum())


@pytest.mark.parametrize(
    ("histories", "dtype", "history", "sentence"),
    [
        (
            [[1, 2.5]],
            pl.List(pl.Float64),
            "{from: list, column: h}",
            r"row 0: the history holds 2\.5",
        ),
        ([[[1]]], pl.List(pl.List(pl.Int64)), "{from: list, column: h}", "got List"),
        (
            ["[1, 2]", "3 4"],
            pl.String,
            "{from: list, column: h}",
            "row 1: got String such as '3 4'",
        ),
        ([[1, 2], [1]], pl.List(pl.Int64), PADDED % 0, "row 1: 1 entries, the rows before had 2"),
        ([[0, 1]], pl.List(pl.Int64), PADDED % -1, "the history holds 0, no item"),
        ([{"a": 1}], pl.Struct({"a": pl.Int64}), "{from: list, column: h}", "got Struct"),
    ],
)
def test_what_is_no_history_is_one_sentence(
    histories: list[Any], dtype: Any, history: str, sentence: str, tmp_path: Path
) -> None:
    case = Case(dtype, histories, [], {}, history)
    write(tmp_path, case)
    pl.DataFrame({"i": range(1, 15)}).write_parquet(tmp_path / "items.parquet")
    log = pl.read_parquet(tmp_path / "log.parquet").with_columns(pl.col("i") + 1)
    log.write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataContractError, match=sentence) as refusal:
        prepare(spec(case, {"path": "items.parquet", "key": "i"}), tmp_path, tmp_path / "out")
    assert "\n" not in str(refusal.value)


def test_lists_of_categories_may_hold_nulls(tmp_path: Path) -> None:
    """The same columns as fields: a null list is no value, and so is a null in a list."""
    lists = [["a", None, "b"], None, [], ["b"], [None]]
    log = pl.DataFrame({"u": np.arange(ROWS) % 20, "i": np.arange(ROWS) % 8})
    log = log.with_columns(
        y=pl.int_range(pl.len()) // 20 % 2,
        tags=pl.Series((lists * ROWS)[:ROWS]),
        none=pl.Series([[None], None] * (ROWS // 2), dtype=pl.List(pl.Null)),
    )
    log.write_parquet(tmp_path / "log.parquet")
    case = Case(None, [], [], {}, "{from: none}")
    fields = [{"column": name, "type": "categories", "max_values": 3} for name in ("tags", "none")]
    raw = spec(case, {"keys": "log"}).model_dump(by_alias=True, exclude_defaults=True)
    raw["history"] = {"from": "none"}
    store = prepare(
        parse_spec(raw | {"candidate_fields": fields}, "test"), tmp_path, tmp_path / "out"
    )
    names = dict(store.vocabulary("candidate", "tags").iter_rows())
    for part in PARTS:
        split = store.split(part)
        for row, codes in zip(split.row_id, split.candidate_ids, strict=True):
            entries = [names[int(code)] for code in codes[:3] if code]
            assert entries == [tag for tag in lists[row % 5] or [] if tag is not None]
            assert not codes[3:].any()
