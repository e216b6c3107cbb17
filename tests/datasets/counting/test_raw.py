"""Raw rows read for counters are the rows that `prepare` stored; what is looked up is theirs."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.counting.log_rows import LogRows
from fusefront.datasets.counting.lookup import CounterLookup
from fusefront.datasets.counting.raw import ItemFieldCodes, RawCounting
from fusefront.datasets.counting.rows import CountedRows, Place, places
from fusefront.datasets.counting.state import CounterState
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Tally
from fusefront.datasets.row_encoder import TableColumns
from fusefront.datasets.store import PreparedDataset

from .test_state import by_time

COUNTERS: list[object] = [
    {"of": "user", "lag": "1h"},
    {"of": ["user", "item.genres"]},
    {"of": ["request.device", "item.brand"]},
    {"of": "candidate.shelf"},
    {"residual": "user"},
]
LOG = Path("log.parquet")
UNKNOWN = (3, 70, 71, 640)  # rows whose item the store does not know


class Raw:
    """The log of a world as a table, the rows of its store, and a reader for it."""

    def __init__(self, store: PreparedDataset, rows: list[dict[str, object]]) -> None:
        self.store, self.frame = store, pl.DataFrame(rows)
        self.stored = store.manifest.counters
        assert self.stored is not None
        self.rows = by_time(store)
        schema = store.manifest.schema_
        fields = np.load(store.path / "items" / "fields.npy")
        codes = ItemFieldCodes(fields, places({"item": schema.item_fields}))
        kinds = store.manifest.kinds["interactions"]
        self.reader = RawCounting(self.stored, kinds, codes)
        place = np.argsort(self.rows.source)
        self.items = self.rows.item[place].copy()
        self.codes = {name: part[place] for name, part in self.rows.codes.items()}

    def read(
        self,
        frame: pl.DataFrame | None = None,
        start: int = 0,
        reader: RawCounting | None = None,
    ) -> CountedRows:
        """The table's rows in order of time, as the counting of a new log file takes them."""
        frame, reader = self.frame if frame is None else frame, reader or self.reader
        rows = reader.log_rows(frame, self.items, self.codes.__getitem__, LOG, start)
        with tempfile.TemporaryDirectory() as folder:
            ordered = LogRows(Path(folder) / "rows", rows.size, 4096)
            ordered.add(rows, reader.requests(frame, rows, LOG))
            ((together, _),) = ordered.slices()
        return together


@pytest.fixture(scope="module")
def raw(world: Any) -> Raw:
    return Raw(world.store(COUNTERS), world.rows)


def same(rows: CountedRows, expected: CountedRows) -> None:
    for name in ("user", "item", "label", "time", "moment", "source"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(expected, name), name)
    for name, codes in rows.codes.items():
        np.testing.assert_array_equal(codes, expected.codes[name], name)


def test_a_log_is_read_as_prepare_read_it(raw: Raw) -> None:
    rows = raw.read()
    assert raw.reader.attributes == [
        "candidate.shelf",
        "item.brand",
        "item.genres",
        "request.device",
    ]
    assert rows.codes.keys() == set(raw.reader.attributes)
    same(rows, raw.rows)
    assert raw.read(start=5000).source.tolist() == (raw.rows.source + 5000).tolist()


def test_rows_of_unknown_items_are_left_out(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    items = raw.items.copy()
    items[list(UNKNOWN)] = 0
    monkeypatch.setattr(raw, "items", items)
    same(raw.read(), raw.rows.take(np.flatnonzero(~np.isin(raw.rows.source, UNKNOWN))))


def test_a_log_without_a_label_holds_positives(raw: Raw) -> None:
    assert raw.stored is not None
    columns = raw.stored.columns.model_copy(update={"label": None})
    stored = raw.stored.model_copy(update={"columns": columns})
    reader = RawCounting(stored, raw.reader.kinds, raw.reader.items)
    rows = reader.log_rows(raw.frame.drop("y"), raw.items, raw.codes.__getitem__, LOG, 0)
    assert rows.label.tolist() == [1] * 1000
    assert reader.log_columns({}) == ["u", "i", "t"]
    attributes = {"request.device": "device", "candidate.shelf": "i"}
    assert raw.reader.log_columns(attributes) == ["u", "i", "y", "t", "device"]


def test_a_named_request_looks_back_from_its_first_row(raw: Raw) -> None:
    """The same name under another user is another request; a row without a name is one itself."""
    assert raw.stored is not None
    columns = raw.stored.columns.model_copy(update={"request": "r"})
    stored = raw.stored.model_copy(update={"columns": columns})
    reader = RawCounting(stored, {**raw.reader.kinds, "r": "text"}, raw.reader.items)
    names = [None if k % 5 == 0 else f"r{k % 9}" for k in range(1000)]
    frame = raw.frame.with_columns(r=pl.Series(names))
    rows = raw.read(frame, reader=reader)
    user, time = raw.frame["u"].to_list(), raw.frame["t"].to_list()
    first: dict[object, int] = {}
    key = [(user[k], names[k] or ("alone", time[k])) for k in range(1000)]
    for k in range(1000):
        first[key[k]] = min(time[k], first.get(key[k], time[k]))
    ticks = int(rows.time[0]) / time[int(rows.source[0])]
    expected = [first[key[k]] * ticks for k in rows.source.tolist()]
    assert rows.moment.tolist() == expected
    assert (rows.moment < rows.time).sum() > 400


def test_times_of_another_unit_are_refused(raw: Raw) -> None:
    stored = raw.stored.model_copy(update={"unit": "ms"})  # type: ignore[union-attr]
    reader = RawCounting(stored, raw.reader.kinds, raw.reader.items)
    with pytest.raises(DataContractError, match="times in s, those that were prepared are in ms"):
        reader.times(raw.frame, LOG, 0)
    assert reader.times(raw.frame.head(0), LOG, 0).tolist() == []


def test_a_table_has_the_user_under_the_logs_name_or_its_own(raw: Raw) -> None:
    assert raw.reader.user_column(["user", "x", "u"], LOG) == "u"
    assert raw.reader.user_column(["x", "user"], LOG) == "user"
    with pytest.raises(DataContractError, match="look up each row's user in 'u' or 'user'"):
        raw.reader.user_column(["x"], LOG)


def test_raw_rows_get_the_numbers_of_the_state_at_their_times(raw: Raw) -> None:
    assert raw.stored is not None
    state = CounterState(raw.stored)
    state.count(raw.rows.take(slice(0, 600)))
    side = {
        "request": raw.codes["request.device"],
        "candidate": np.concatenate(
            [raw.codes["candidate.shelf"] * 0, raw.codes["candidate.shelf"]], 1
        ),
    }
    where = {
        "request.device": Place("request", slice(0, 1)),
        "candidate.shelf": Place("candidate", slice(1, 2)),
    }
    lookup = CounterLookup(state, raw.reader, where)
    assert set(lookup.names) == set(raw.stored.numbers)
    assert lookup.columns(["u", "t"], LOG) == ("u", "t")
    assert lookup.columns(["user"], LOG) == ("user", None)
    tally = Tally()
    timed = TableColumns("i", None, {}, (), "u", "t")
    actual = lookup.numbers(raw.frame, timed, raw.items, side, tally, LOG, 0)
    place = np.argsort(raw.rows.source)
    rows = raw.rows.take(place)
    older = int((rows.time < state.until).sum())
    (loss,) = tally.losses().values()
    assert (loss.count, loss.of) == (older, 1000)
    expected = state.numbers(rows)
    for name in raw.stored.numbers:
        np.testing.assert_allclose(actual[name], expected[name], err_msg=name)
    tally = Tally()  # without a time: as of after all that was counted, ties included
    untimed = timed._replace(timestamp=None)
    actual = lookup.numbers(raw.frame, untimed, raw.items, side, tally, LOG, 0)
    assert tally.losses() == {}
    after = np.full(1000, state.until + 1)
    expected = state.numbers(rows._replace(time=after, moment=after))
    for name in raw.stored.numbers:
        np.testing.assert_allclose(actual[name], expected[name], err_msg=name)
