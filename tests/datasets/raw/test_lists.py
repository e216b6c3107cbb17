"""Lists of keys, kinds of events, labels and kinds of columns alone, against plain lists."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.category_codes import Codebook, finish, natural, slice_codes
from fusefront.datasets.raw.column_kinds import (
    ColumnKind,
    KindEvidence,
    agreed,
    clash,
    conform,
    kind_of,
)
from fusefront.datasets.raw.event_kinds import EventKinds
from fusefront.datasets.raw.history import Histories
from fusefront.datasets.raw.labels import labels
from fusefront.datasets.raw.lists import Ragged, as_lists, clean_keys, newest_of
from fusefront.datasets.raw.log_records import Part, _probability, _splits_of
from fusefront.datasets.raw.time_kinds import TimeEvidence, clock_kind
from fusefront.datasets.raw.times import Clock
from fusefront.datasets.raw.values import cells, number, split_text, table
from fusefront.datasets.spec import Columns, FieldSpec, History
from fusefront.datasets.table_text import COMMAS

LOG = Path("log.csv")
LISTS = [[1, 2, 3, 4], [], [5], [6, 7], [], [8, 9, 10]]
LENGTH = np.array([len(part) for part in LISTS])
FLAT = [key for part in LISTS for key in part]


def ragged() -> Ragged:
    return Ragged(pl.Series("h", FLAT), LENGTH)


def lists_of(rows: Ragged) -> list[list[int]]:
    edges = [0, *np.cumsum(rows.length).tolist()]
    keys = rows.keys.to_list()
    return [keys[begin:end] for begin, end in pairwise(edges)]


def test_every_key_knows_its_row_and_its_distance_from_the_end() -> None:
    rows = ragged()
    assert rows.row.tolist() == [row for row, part in enumerate(LISTS) for _ in part]
    assert rows.back.tolist() == [n for part in LISTS for n in range(len(part) - 1, -1, -1)]
    assert rows.lists().to_list() == LISTS
    assert rows.lists().name == "h"
    assert lists_of(rows.turned()) == [part[::-1] for part in LISTS]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5])
def test_the_newest_are_the_last(most: int) -> None:
    right = [part[-most:] for part in LISTS]
    assert lists_of(ragged().newest(most)) == right
    histories = Histories(np.array(FLAT, np.int32), LENGTH).newest(most)
    assert histories.values.tolist() == [key for part in right for key in part]
    assert histories.length.tolist() == [len(part) for part in right]
    newest = newest_of(LENGTH, most).tolist()
    assert [
        key for key, keep in zip(FLAT, newest, strict=True) if keep
    ] == histories.values.tolist()


def test_keys_are_kept_row_by_row_and_rows_are_taken_in_any_order() -> None:
    even = np.array(FLAT) % 2 == 0
    assert lists_of(ragged().keep(even)) == [[k for k in part if k % 2 == 0] for part in LISTS]
    assert lists_of(ragged().keep(even | True)) == LISTS
    rows = np.array([5, 0, 1, 0, 3])
    reordered = Histories(np.array(FLAT, np.int32), LENGTH).take(rows)
    assert reordered.values.tolist() == [key for row in rows for key in LISTS[row]]
    assert reordered.length.tolist() == [len(LISTS[row]) for row in rows]


def history(**changes: Any) -> History:
    return History.model_validate({"from": "list", "column": "h", "max_length": 9} | changes)


def test_what_is_no_key_goes_and_is_counted() -> None:
    frame = pl.DataFrame({"h": [[3, None, 4], None, [], [0, 5, None, 0]]})
    tally = Tally()
    rows = clean_keys(frame, history(), LOG, 0, tally)
    assert lists_of(rows) == [[3, 4], [], [], [0, 5, 0]]
    losses = {key: (loss.count, loss.of) for key, loss in tally.losses().items()}
    assert losses == {"history.null": (1, 4), "history.null_entry": (2, 7)}
    padded = pl.DataFrame({"h": [[0, 0, 7], None, [0, None, 8], [1, 2, 0]]})
    tally = Tally()
    rows = clean_keys(padded, history(**{"from": "padded", "newest": "first"}), LOG, 0, tally)
    assert lists_of(rows) == [[7], [], [8], [2, 1]]
    losses = {key: (loss.count, loss.of) for key, loss in tally.losses().items()}
    assert losses["history.padding"] == (4, 8)


@pytest.mark.parametrize(
    ("column", "changes", "sentence"),
    [
        ([[1], [2, 3]], {"from": "padded"}, r"row 31: 2 entries, the rows before had 1"),
        ([None, [], [2, 3], [1, 2], [4]], {"from": "padded"}, r"row 34: 1 entries, .* had 2"),
        ([[1.0], [2.0, 2.5]], {}, r"row 31: the history holds 2.5, expected item keys"),
        ([[1.0], [2.0**53]], {}, r"row 31: the history holds 9.0072e\+15"),
        (["", "7 8"], {}, r"row 31: got String such as '7 8', expected a list of item keys"),
        ([1, 2], {}, r"column 'h': got Int64, expected a list of item keys"),
        ([[[1]]], {}, r"column 'h': got List\(List\(Int64\)\)"),
    ],
)
def test_what_is_no_list_is_refused_with_its_row(
    column: list[Any], changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataContractError, match=sentence):
        clean_keys(pl.DataFrame({"h": column}), history(**changes), LOG, 30, Tally())


def test_whole_floats_are_keys_up_to_two_to_the_53() -> None:
    largest = 2.0**53 - 1
    rows = clean_keys(pl.DataFrame({"h": [[3.0, largest], [-largest]]}), history(), LOG, 0, Tally())
    assert lists_of(rows) == [[3, 2**53 - 1], [1 - 2**53]]


WORDS = ["buy", "view", None, "buy", "4.0", "view"]


@pytest.mark.parametrize("events", [None, "all", ["buy"], ["view", 4]])
def test_events_are_those_that_the_spec_names(events: Any) -> None:
    spec = history(**{"from": "log", "column": None, "kind": "k", "events": events})
    tally = Tally()
    kinds = EventKinds(spec, "text", tally)
    label = np.array([0, 1, 1, 0, 1, 0], np.uint8)
    codes, event = kinds.read(pl.Series("k", WORDS), label, LOG)
    assert [kinds.book.values[code] or None for code in codes] == WORDS
    expected = {None: label.tolist(), "all": [1] * 6}.get(
        events if isinstance(events, str) else None
    )
    if isinstance(events, list):
        expected = [
            int(word in ("buy",) if events == ["buy"] else word in ("view", "4.0"))
            for word in WORDS
        ]
    assert event.tolist() == expected
    kinds.check()
    loss = tally.losses().get("history.kind_absent")
    lost = expected[2] if expected else 0
    assert (loss.count if loss else 0) == lost
    if loss:
        assert loss.of == sum(expected or [])


def test_a_kind_that_no_row_has_is_named_with_those_there_are() -> None:
    spec = history(**{"from": "log", "column": None, "kind": "k", "events": ["buy", "sell"]})
    kinds = EventKinds(spec, "text", Tally())
    kinds.read(pl.Series("k", ["view", "buy"]), np.ones(2, np.uint8), LOG)
    with pytest.raises(DataContractError, match=r"'k': no event of the kind 'sell'.* buy, view$"):
        kinds.check()
    most = EventKinds(spec, "text", Tally())
    most.read(pl.Series("k", [f"{k:03}" for k in range(255)]), np.ones(255, np.uint8), LOG)
    with pytest.raises(DataContractError, match="more than 255 kinds of event, such as '256'"):
        most.read(pl.Series("k", ["256"]), np.ones(1, np.uint8), LOG)


def test_codes_are_given_in_order_and_final_ones_in_the_order_of_numbers() -> None:
    book = Codebook()
    first = book.codes(pl.Series(["b", "10", None, "", "b"]))
    assert first.tolist() == [2, 1, 0, 0, 2]  # the new of a chunk by their text
    second = book.codes(pl.Series(["9", "b", "c", "9"]))
    assert second.tolist() == [3, 2, 4, 3]
    counts = np.array([7, 1, 2, 1, 0])
    vocabulary = finish(book, counts)
    assert vocabulary.values == ("9", "10", "b")
    assert vocabulary.of.tolist() == [0, 2, 3, 1, 0]
    assert vocabulary.size == 4
    assert finish(book, counts[:3]).values == ("10", "b")
    assert natural("2") < natural("10") < natural("a") < natural("b")


def test_a_slice_has_a_thousand_values_at_most_with_that_of_none() -> None:
    column = pl.Series("s", [f"{k}" for k in range(1000)])
    assert slice_codes(Codebook(), column[:999], "text", LOG, "s").tolist()[:2] == [1, 2]
    with pytest.raises(DataContractError, match="slice 's' has more than 1,000 values"):
        slice_codes(Codebook(), column, "text", LOG, "s")


def test_cells_have_their_row_and_place_and_those_beyond_are_cut() -> None:
    field = FieldSpec(column="c", type="categories", max_values=2)
    column = pl.Series("c", [["a", None, "b", "c"], None, [], ["", "d"]])
    values = cells(field, column, "lists of text", LOG)
    assert values.texts.to_list() == ["a", "b", "c", "d"]
    assert values.row.tolist() == [0, 0, 0, 3]
    assert values.place.tolist() == [0, 1, 2, 0]
    codes = table(np.array([5, 6, 7, 8], np.int32), values, 4, 2)
    assert codes.tolist() == [[5, 6], [0, 0], [0, 0], [8, 0]]


@pytest.mark.parametrize(
    ("column", "kind", "when", "expected"),
    [
        ([0, 1, 1], "whole numbers", None, [0, 1, 1]),
        (["True", "false", "1"], "booleans", None, [1, 0, 1]),
        ([3.5, 4.0, 5.0], "fractions", ">= 4", [0, 1, 1]),
        ([3.5, 4.0, 5.0], "fractions", "> 4", [0, 0, 1]),
        ([3.5, 4.0, 5.0], "fractions", "<= 4", [1, 1, 0]),
        ([3.5, 4.0, 5.0], "fractions", "< 4", [1, 0, 0]),
        ([3.5, 4.0, 5.0], "fractions", "== 4", [0, 1, 0]),
        ([3.5, 4.0, 5.0], "fractions", "!= 4", [1, 0, 1]),
        ([3.5, 4.0, 5.0], "fractions", "in [3.5, 5]", [1, 0, 1]),
        (["click", "view", "buy"], "text", "in ['click', 'buy']", [1, 0, 1]),
        (["click", "view", "buy"], "text", "!= 'view'", [1, 0, 1]),
        (["click", "view", "buy"], "text", "== 'view'", [0, 1, 0]),
    ],
)
def test_labels_are_positive_where_the_condition_holds(
    column: list[Any], kind: str, when: str | None, expected: list[int]
) -> None:
    assert labels(pl.Series("y", column), kind, LOG, 0, when).tolist() == expected


@pytest.mark.parametrize(
    ("column", "kind", "when", "sentence"),
    [
        ([1, 0, 2, 3], "whole numbers", None, r"column 'y', row 32: label 2, expected 0 or 1"),
        ([1.0, 0.5], "fractions", None, r"row 31: label 0.5, expected 0 or 1"),
        ([1, None, None], "whole numbers", None, r"row 31: no label; drop the row or fill it"),
        ([1, None], "whole numbers", ">= 1", r"row 31: no label"),
        (["a", "", None], "text", "== 'a'", r"row 31: no label"),
        (["a", None], "text", "!= 'a'", r"row 31: no label"),
        (["1", "b"], "text", None, r"row 31: got 'b', expected a number"),
    ],
)
def test_rows_without_a_label_are_refused(
    column: list[Any], kind: str, when: str | None, sentence: str
) -> None:
    with pytest.raises(DataContractError, match=sentence):
        labels(pl.Series("y", column), kind, LOG, 30, when)


def test_numbers_are_read_and_infinite_ones_refused_with_their_row() -> None:
    values = number(pl.Series("n", ["1.5", " ", None, " -2 "]), LOG, 0)
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan, -2.0])
    assert number(pl.Series("n", [True, None]), LOG, 0)[0] == 1
    for column, sentence in (
        (["1", "x", "y"], r"'n', row 31: got 'x', expected a number; fix the value, or declare"),
        ([1.0, float("-inf"), float("inf")], r"'n', row 31: got -inf; replace it"),
        ([[1]], r"'n': got List\(Int64\), expected numbers; declare the field as type: category"),
    ):
        with pytest.raises(DataContractError, match=sentence):
            number(pl.Series("n", column), LOG, 30)


def test_a_column_is_what_its_least_value_is() -> None:
    cases: dict[str, list[list[str | None]]] = {
        "whole numbers": [["1", None], ["-2"]],
        "fractions": [["1.5"], ["2.0"]],
        "booleans": [["True"], ["false"]],
        "text": [["1"], ["01"]],
        "nothing": [[None], []],
    }
    cases |= {f"text {k}": part for k, part in enumerate([[["1"], ["2.5"]], [["x"], ["1"]]])}
    for kind, chunks in cases.items():
        evidence = KindEvidence(LOG, "c")
        first = 0
        for chunk in chunks:
            column = pl.Series("c", chunk, dtype=pl.String)
            evidence.look(column, first + np.arange(len(chunk)))
            first += len(chunk)
        assert evidence.survey().kind == kind.removesuffix(" 0").removesuffix(" 1")
    evidence = KindEvidence(LOG, "c")
    evidence.look(pl.Series("c", ["7", None, "8", "true"]), np.arange(20, 24))
    with pytest.raises(
        DataContractError,
        match=(
            r"column 'c', row 23: values are booleans \('true'\), those before \(row 20, '7'\) are"
        ),
    ):
        evidence.survey()


def part(name: str, kind: str, *, typed: bool = True, row: int = 0) -> ColumnKind:
    return ColumnKind(Path(name), "c", kind, typed, row, None if typed else "v")


def test_files_agree_on_one_kind_for_a_role_or_are_refused() -> None:
    assert agreed([part("a", "nothing"), part("b", "text")], "value", "values") == "text"
    assert agreed([], "value", "values") == "nothing"
    wide = [part("a", "whole numbers"), part("b", "fractions of 32 bits")]
    assert agreed(wide, "number", "values") == "fractions"
    assert agreed([part("a", "days"), part("b", "dates")], "time", "times") == "dates"
    assert agreed([part("a", "days")], "time", "times") == "dates"
    assert agreed([part("a", "whole numbers")], "number", "values") == "whole numbers"
    loose = [part("a", "text"), part("b.csv", "whole numbers", typed=False)]
    assert agreed(loose, "value", "values") == "text"
    texts = [part(name, kind, typed=False) for name, kind in (("a", "text"), ("b", "booleans"))]
    assert agreed(texts, "value", "values") == "text"
    for role, clashing in (
        ("value", wide),
        ("value", [part("a", "text"), part("b", "whole numbers")]),
        ("value", [part("a", "booleans", typed=False), part("b", "fractions", typed=False)]),
        ("key", [part("a", "whole numbers"), part("b", "text", typed=False)]),
    ):
        with pytest.raises(DataContractError, match=r"^b, column 'c', row 0: users are .*, those"):
            agreed(clashing, role, "users")  # type: ignore[arg-type]


def test_other_rows_are_cast_to_the_kind_of_the_set_or_refused() -> None:
    whole = pl.Series("c", [1, None])
    assert conform(whole, "fractions", LOG, 0).dtype == pl.Float64
    assert conform(whole, "fractions of 32 bits", LOG, 0).dtype == pl.Float32
    listed = pl.Series("c", [[1], [2]])
    assert conform(listed, "lists of fractions", LOG, 0).dtype == pl.List(pl.Float64)
    assert conform(pl.Series("c", ["1", "2"]), "whole numbers", LOG, 0).to_list() == ["1", "2"]
    assert conform(pl.Series("c", [None]), "text", LOG, 0).to_list() == [None]
    for column, kind, sentence in (
        (
            whole,
            "text",
            r"column 'c', row 30: holds whole numbers, expected text as in the data set",
        ),
        (listed, "fractions", "holds lists of whole numbers, expected fractions"),
        (pl.Series("c", ["1", None, "x"]), "whole numbers", r"row 32: got 'x', expected whole"),
        (pl.Series("c", ["1", "01"]), "whole numbers", r"row 31: got '01', expected whole"),
    ):
        with pytest.raises(DataContractError, match=sentence):
            conform(column, kind, LOG, 30)
    kinds = Counter(kind_of(dtype) for dtype in (pl.Int8(), pl.UInt64(), pl.Datetime("us", "UTC")))
    assert kinds == {"whole numbers": 2, "dates with a zone": 1}
    assert kind_of(pl.Datetime("us")) == "dates"


def test_quotes_are_taken_off_entries_that_they_enclose() -> None:
    texts = ["['', 'a', \"b\"]", "', 'x'", "'x', y", "(a, b)", "(a)", "[a], [b]", '["a,b", \'"\']']
    lists = [
        ["", "a", "b"],
        ["'", "x"],
        ["x", "y"],
        ["a", "b"],
        ["(a)"],
        ["[a]", "[b]"],
        ["a,b", '"'],
    ]
    assert split_text(pl.Series("c", texts), ",").to_list() == lists
    assert split_text(pl.Series("c", ["a; b ;c;", ""]), ";").to_list() == [["a", "b", "c", ""], []]
    assert split_text(pl.Series("c", ["a::b"]), "::").to_list() == [["a", "b"]]


def test_a_time_format_that_cannot_be_read_is_one_sentence() -> None:
    clock = Clock("%Y-%m-%d %H")
    with pytest.raises(
        DataContractError,
        match=r"^log\.csv, column 't': the time_format '%Y-%m-%d %H' cannot be used \(Invalid "
        r"format string: .{5,120}\); write it as strftime does$",
    ) as error:
        clock.read(pl.Series("t", ["2021-01-02 03"]), LOG, 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("written", ["%Y-%m-%d %3", "%6Y", "%9"])
def test_a_time_format_with_digits_but_no_fraction_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="expected 3, 6 or 9 only before an f, as in '%3f'"):
        Columns(user="u", item="i", timestamp="t", time_format=written)
    Columns(user="u", item="i", timestamp="t", time_format="%Y-%m-%d %H:%M:%S.%3f")


@pytest.mark.parametrize(
    ("times", "kind", "row", "value"),
    [
        ([None, "7", " 8"], "whole numbers", 31, "7"),
        (["7", "8.5", "9"], "fractions", 31, "8.5"),
        (["2021-01-02", "soon"], "dates", 30, "2021-01-02"),
        (
            ["2021-01-02 03:04Z", "2021-01-02 03:04+0100"],
            "dates with a zone",
            30,
            "2021-01-02 03:04Z",
        ),
        ([None], "nothing", 0, None),
    ],
)
def test_times_of_a_text_file_are_known_by_their_look(
    times: list[str | None], kind: str, row: int, value: str | None
) -> None:
    evidence = TimeEvidence(LOG, "t")
    evidence.look(pl.Series("t", times, dtype=pl.String), np.arange(30, 30 + len(times)))
    assert evidence.survey() == ColumnKind(LOG, "t", kind, False, row, value)
    clocks = {"whole numbers": "whole numbers", "fractions": "fractions", "nothing": None}
    assert clock_kind(kind) == clocks.get(kind, "dates")


def test_probabilities_lie_between_0_and_1() -> None:
    assert _probability(pl.Series("p", [0.0, 0.25, 1.0]), LOG, 0).tolist() == [0.0, 0.25, 1.0]
    for values, sentence in (
        ([0.5, 1.0001, -1.0], r"column 'p', row 31: got 1.0001, expected a probability; the truth"),
        ([0.5, -0.0001], r"row 31: got -0.0001, expected a probability"),
        ([0.5, None], r"row 31: got nan, expected a probability"),
    ):
        with pytest.raises(DataContractError, match=sentence):
            _probability(pl.Series("p", values), LOG, 30)


def test_a_split_is_read_by_its_words_or_is_that_of_the_file() -> None:
    frame = pl.DataFrame({"s": ["Train", "dev", "testing", "val", "TEST"]})
    part = Part(LOG, None, COMMAS)
    assert _splits_of(frame, part, "s", 0).tolist() == [0, 1, 2, 1, 2]
    assert _splits_of(frame, Part(LOG, "valid", COMMAS), None, 0).tolist() == [1] * 5
    stray = pl.DataFrame({"s": ["train", "later", None]})
    with pytest.raises(DataContractError, match=r"column 's', row 31: split 'later', expected"):
        _splits_of(stray, part, "s", 30)


def test_words_that_stand_once_in_a_file_are_words_in_a_list_too() -> None:
    words = pl.Series("h", [["a", "b"], [], None, ["b"]], pl.List(pl.String))
    for kind in (pl.Categorical, pl.Enum(["a", "b"])):
        column = words.cast(pl.List(kind))
        lists = as_lists(column, History.model_validate({"from": "list", "column": "h"}), LOG, 0)
        assert lists.dtype == pl.List(pl.String)
        assert lists.to_list() == words.to_list()


def test_a_long_value_is_cut_after_forty_letters() -> None:
    long = "v" * 60
    before = ColumnKind(LOG, "c", "text", typed=False, row=3, value=long)
    after = ColumnKind(LOG, "c", "whole numbers", typed=False, row=9, value="7")
    sentence = str(clash("users", before, after))
    assert f"'{'v' * 40}'" in sentence
    assert f"'{'v' * 40}'" in str(clash("users", after, before))
