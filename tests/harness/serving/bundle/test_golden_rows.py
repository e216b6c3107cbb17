"""Golden rows by plain loops: raw values of codes, histories of keys, which rows are whole."""

import datetime as dt
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.raw.history import Histories
from fusefront.datasets.row_encoder import EncodedRows
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import GateError
from fusefront.harness.serving.bundle import golden
from fusefront.harness.serving.bundle.golden import _as_stored, raw_rows, replay_rows
from fusefront.harness.serving.bundle.opened import BundleError
from fusefront.harness.serving.bundle.predict import feed_of, open_encoder
from fusefront.harness.serving.bundle.raw_values import _written, raw_values, typed
from fusefront.harness.serving.bundle.write import dataset_facts
from fusefront.harness.serving.export.online import feed_shape
from fusefront.harness.serving.export.request import FeedShape


@pytest.mark.parametrize(
    ("values", "separator", "written"),
    [
        ([], ",", None),
        (["a"], ",", "a"),
        (["a", "b c"], ",", "a,b c"),
        (["a,b", "c"], ",", "['a,b','c']"),
        (["a,b", "c"], "|", "a,b|c"),
        (["a|b", "c"], "|", "['a|b'|'c']"),
        (["(a)", "b"], ",", "['(a)','b']"),
        (["[a"], ",", "['[a']"),
        (["it's", "b"], ",", "[\"it's\",'b']"),
        (['"b"'], ",", "['\"b\"']"),
        (["it's", "b"], "::", "it's::b"),
    ],
)
def test_a_list_is_written_as_text_that_is_read_back(
    values: list[str], separator: str, written: str | None
) -> None:
    assert _written(values, separator) == written


@pytest.mark.parametrize(
    ("kind", "texts", "values", "dtype"),
    [
        ("whole numbers", ["-3", None, "7"], [-3, None, 7], pl.Int64),
        ("whole numbers", [str(2**64 - 1), None], [2**64 - 1, None], pl.UInt64),
        ("booleans", ["true", "false"], [True, False], pl.Boolean),
        ("dates", ["2021-03-04 12:00:00.25"], [dt.datetime(2021, 3, 4, 12, 0, 0, 250_000)], None),
        (
            "dates with a zone",
            ["2021-03-04 12:00:00+00:00"],
            [dt.datetime(2021, 3, 4, 12, tzinfo=dt.UTC)],
            None,
        ),
        ("days", ["2021-03-04"], [dt.date(2021, 3, 4)], pl.Date),
        ("Time", ["01:02:03"], [dt.time(1, 2, 3)], pl.Time),
        ("fractions", ["0.1", None], [0.1, None], pl.Float64),
        ("fractions of 32 bits", ["0.1"], [float(np.float32(0.1))], pl.Float32),
        ("text", ["1", "true"], ["1", "true"], pl.String),
    ],
)
def test_a_text_becomes_a_value_of_its_kind(
    kind: str, texts: list[str | None], values: list[object], dtype: Any
) -> None:
    column = typed(pl.Series(texts, dtype=pl.String), kind)
    assert column.to_list() == values
    assert dtype is None or column.dtype == dtype


def field(kind: str, type_: str = "categories", separator: str | None = None) -> Any:
    return SimpleNamespace(kind=kind, field=SimpleNamespace(type=type_, separator=separator))


def test_the_texts_of_a_row_become_its_raw_value() -> None:
    rows = [["3", None], ["5", "7"], [None, None], [None, "9"]]
    whole = raw_values(field("lists of whole numbers"), rows)
    assert whole.to_list() == [[3], [5, 7], [], [9]]
    assert whole.dtype == pl.List(pl.Int64)
    joined = raw_values(field("text", separator="|"), rows)
    assert joined.to_list() == ["3", "5|7", None, "9"]
    assert raw_values(field("text"), rows).to_list() == ["3", "5,7", None, "9"]
    single = raw_values(field("whole numbers", "category"), [["3"], [None], ["8"]])
    assert single.to_list() == [3, None, 8]


@pytest.fixture(scope="module")
def encoding(ragged: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The half of a bundle that encodes."""
    folder: Path = tmp_path_factory.mktemp("bundle")
    (folder / "dataset.json").write_text(json.dumps(dataset_facts(ragged)), encoding="utf-8")
    ragged.item_keys().write_parquet(folder / "items.parquet")
    shutil.copytree(ragged.path / "vocabularies", folder / "vocabularies")
    return folder


def encoded(folder: Path, rows: pl.DataFrame) -> EncodedRows:
    encoder, path = open_encoder(folder), folder / "rows.parquet"
    return encoder.encode(rows, encoder.columns(rows.columns, path), path, 0)


def owners(store: PreparedDataset, split: str) -> list[int]:
    start = store.split(split).row_start
    return [r for r in range(len(start) - 1) for _ in range(int(start[r]), int(start[r + 1]))]


@pytest.mark.parametrize(("split", "most"), [("valid", 40), ("test", 1000), ("train", 7)])
def test_raw_rows_are_keys_and_values_of_the_log(
    ragged: PreparedDataset, encoding: Path, split: str, most: int
) -> None:
    part, owner = ragged.split(split), owners(ragged, split)
    rows = raw_rows(ragged, split, most)
    count = min(most, len(part.item))
    assert rows.height == count
    key_of = dict(ragged.item_keys().select("row", "key").iter_rows())
    scaling = ragged.manifest.numbers["request.age"]
    for at in range(count):
        request = owner[at]
        begin, length = int(part.history_start[request]), int(part.history_length[request])
        stored = ragged.history_values[begin : begin + length]
        assert rows["item"][at] == key_of[int(part.item[at])]
        shown = rows["history"][at]
        assert ([] if shown is None else list(shown)) == [key_of[int(i)] for i in stored]
        age = float(part.request_numbers[request][0]) * scaling.deviation + scaling.mean
        assert rows["age"][at] == pytest.approx(age, rel=1e-6)
        assert rows["device"][at] in ("d0", "d1", "d2", "d3")
    again = encoded(encoding, rows)
    np.testing.assert_array_equal(again.items, part.item[:count])
    np.testing.assert_array_equal(again.ids["request"], part.request_ids[owner[:count]])
    np.testing.assert_array_equal(again.ids["candidate"], part.candidate_ids[:count])
    for side, numbers in (
        ("request", part.request_numbers[owner[:count]]),
        ("candidate", part.candidate_numbers[:count]),
    ):
        np.testing.assert_allclose(again.numbers[side], numbers, atol=1e-5)


def test_a_row_is_whole_where_every_code_is_the_stored_one(
    ragged: PreparedDataset, encoding: Path
) -> None:
    rows = encoded(encoding, raw_rows(ragged, "valid", 30))
    assert _as_stored(rows, ragged, 30).tolist() == [True] * 30

    def off(at: int, **changes: Any) -> None:
        whole = _as_stored(rows._replace(**changes), ragged, 30)
        assert np.flatnonzero(~whole).tolist() == [at]

    def moved(values: Any, at: Any) -> Any:
        copied = values.copy()
        copied[at] += 1
        return copied

    off(3, items=moved(rows.items, 3))
    for column in range(rows.ids["request"].shape[1]):
        off(8, ids={**rows.ids, "request": moved(rows.ids["request"], (8, column))})
    for column in range(rows.ids["candidate"].shape[1]):
        off(29, ids={**rows.ids, "candidate": moved(rows.ids["candidate"], (29, column))})
    length = moved(rows.histories.length, 11)
    off(11, histories=Histories(rows.histories.values, length))


def test_a_row_of_other_kinds_is_not_whole() -> None:
    """Two requests with histories of 2 and 0 events, three rows of the first."""
    part = SimpleNamespace(
        group=np.zeros(3),
        row_start=np.array([0, 3, 4, 5]),
        item=np.array([1, 2, 3, 4, 5]),
        request_ids=np.zeros((3, 1), int),
        candidate_ids=np.zeros((5, 1), int),
        history_start=np.array([4, 0, 1]),
        history_length=np.array([2, 0, 3]),
    )
    store = SimpleNamespace(
        split=lambda name: part, history_kinds=np.array([9, 1, 2, 3, 7, 8], np.uint8)
    )
    ids = {"request": np.zeros((5, 1), int), "candidate": np.zeros((5, 1), int)}
    kinds = [7, 8, 7, 8, 7, 8, 1, 2, 3]

    def whole(values: list[int] | None, stored: Any = store) -> list[bool]:
        length = np.array([2, 2, 2, 0, 3])
        histories = Histories(np.zeros(9, np.int32), length)
        rows = EncodedRows(
            part.item, histories, None if values is None else np.array(values), ids, {}
        )
        return _as_stored(rows, cast(Any, stored), 5).tolist()

    assert whole(kinds) == [True] * 5
    for at, row in ((0, 0), (3, 1), (5, 2), (6, 4), (8, 4)):
        changed = list(kinds)
        changed[at] = 5
        assert whole(changed) == [number != row for number in range(5)]
    assert whole(None) == [True] * 5
    untold = SimpleNamespace(split=lambda name: part, history_kinds=None)
    assert whole(kinds, untold) == [True] * 5
    assert whole(kinds[:-1]) == [True] * 5  # of another length: the histories' lengths say it


@pytest.mark.parametrize("kinds", [None, [4, 5, 6, 7, 8, 9]])
def test_a_feed_holds_one_candidate_a_row_and_histories_on_the_right(
    kinds: list[int] | None,
) -> None:
    histories = Histories(np.array([11, 12, 13, 21, 31, 32], np.int32), np.array([3, 0, 1, 2]))
    ids = {"request": np.arange(12).reshape(4, 3), "candidate": np.zeros((4, 0), int)}
    numbers = {"request": np.zeros((4, 0)), "candidate": np.arange(8.0).reshape(4, 2)}
    rows = EncodedRows(
        np.array([5, 6, 7, 8], np.int32),
        histories,
        None if kinds is None else np.array(kinds),
        cast(Any, ids),
        cast(Any, numbers),
    )
    shape = FeedShape(request_ids=3, candidate_numbers=2, history_kinds=0 if kinds is None else 9)
    feed = feed_of(rows, shape)
    assert feed["history"].tolist() == [[11, 12, 13], [0, 0, 0], [0, 0, 21], [0, 31, 32]]
    assert feed["history_mask"].tolist() == [
        [True, True, True],
        [False, False, False],
        [False, False, True],
        [False, True, True],
    ]
    if kinds is not None:
        assert feed["history_kinds"].tolist() == [[4, 5, 6], [0, 0, 0], [0, 0, 7], [0, 8, 9]]
    assert feed["candidates"].tolist() == [[5], [6], [7], [8]]
    assert feed["request_ids"].tolist() == ids["request"].tolist()
    assert feed["candidate_numbers"].tolist() == [[[0, 1]], [[2, 3]], [[4, 5]], [[6, 7]]]
    assert "candidate_ids" not in feed
    assert "request_numbers" not in feed
    empty = rows._replace(histories=Histories(np.zeros(0, np.int32), np.zeros(4, np.int64)))
    assert feed_of(empty._replace(kinds=None), shape)["history_mask"].tolist() == [[False]] * 4


def replayed(folder: Path, monkeypatch: pytest.MonkeyPatch, now: list[float], then: Any) -> Any:
    pl.DataFrame({"item": range(len(then)), golden.SERVED: then}).write_parquet(
        folder / golden.FILE
    )
    monkeypatch.setattr(golden, "predict_file", lambda bundle, path: [np.array(now)])
    return replay_rows(folder)


def test_golden_rows_are_compared_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replay_rows(tmp_path) is None
    result = replayed(tmp_path, monkeypatch, [0.5, 0.25 - 9e-6, 0.75], [0.5, 0.25, 0.75 + 2e-6])
    assert (result.rows, result.passed) == (3, True)
    assert result.max_difference == pytest.approx(9e-6)
    assert not replayed(tmp_path, monkeypatch, [0.5 + 1.1e-5, 0.25], [0.5, 0.25]).passed
    lost = replayed(tmp_path, monkeypatch, [0.5, float("nan")], [0.5, 0.25])
    assert (lost.max_difference, lost.passed) == (float("inf"), False)
    for now, then in (([0.5], [0.5, 0.25]), ([], [])):
        with pytest.raises(BundleError, match="not the golden rows of an export; copy"):
            replayed(tmp_path, monkeypatch, now, then)
    pl.DataFrame({"item": [1]}).write_parquet(tmp_path / golden.FILE)
    monkeypatch.setattr(golden, "predict_file", lambda bundle, path: [np.array([0.5])])
    with pytest.raises(BundleError, match="not the golden rows of an export; copy"):
        replay_rows(tmp_path)


def test_raw_rows_that_do_not_score_as_recorded_are_no_bundle(
    ragged: PreparedDataset, encoding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits of ROWS rows; the record is off by 1.2e-5 of a probability at the tenth."""
    logits = np.linspace(-1, 1, 151)
    logits[9] = 0.0
    recorded = logits.copy()
    recorded[9] = 4.8e-5
    monkeypatch.setattr(
        golden, "read_predictions", lambda run, split: pl.DataFrame({"logit": recorded})
    )

    def write(*, exact: bool) -> pl.DataFrame:
        golden.write_golden_rows(
            encoding,
            ragged,
            Path("run"),
            feed_shape(schema_of(ragged)),
            lambda feed: logits[: len(feed["candidates"]), None].astype(np.float32),
            exact=exact,
        )
        return pl.read_parquet(encoding / golden.FILE)

    with pytest.raises(GateError, match=r"a probability differs by 1\.2e-05, at most 1e-05"):
        write(exact=True)
    rows = write(exact=False)
    chance = 1 / (1 + np.exp(-recorded))
    np.testing.assert_allclose(rows[golden.RECORDED], chance, rtol=1e-12)
    np.testing.assert_allclose(rows[golden.SERVED], 1 / (1 + np.exp(-logits)), rtol=1e-6)
    assert rows["item"].to_list() == raw_rows(ragged, "valid", 256)["item"].to_list()
    recorded[9] = 3.6e-5  # within a hundred thousandth
    assert write(exact=True).height == 151
