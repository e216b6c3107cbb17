"""Counters that are kept up to date equal those that are counted from scratch."""

import numpy as np
import pytest

from fusefront.datasets.counting.rows import CountedRows, StoredRows, places
from fusefront.datasets.counting.state import CounterState

from .test_count import KINDS


def by_time(store) -> CountedRows:  # type: ignore[no-untyped-def]
    """Every row of a store in order of time, rows of one time in order of the log."""
    schema = store.manifest.schema_
    fields = {
        "request": schema.request_fields,
        "candidate": schema.candidate_fields,
        "item": schema.item_fields,
    }
    parts = list(StoredRows(store.path, places(fields)).blocks())
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in CountedRows._fields
        if name not in ("train", "codes")
    }
    codes = {n: np.concatenate([part.codes[n] for part in parts]) for n in parts[0].codes}
    order = np.lexsort((columns["source"], columns["time"]))
    return CountedRows(False, codes=codes, **columns).take(order)


@pytest.fixture(scope="module")
def store(world):
    return world.store(KINDS)


def arrays(state: CounterState) -> list[np.ndarray]:
    return [part for each in state.ledgers for part in (each.key, each.time, each.values)]


@pytest.mark.parametrize("cuts", [[500], [1, 2, 499, 999], list(range(0, 1000, 37))])
def test_in_pieces_or_at_once_the_sums_are_the_same(store, cuts) -> None:
    rows = by_time(store)
    whole, pieces = CounterState(store.manifest.counters), CounterState(store.manifest.counters)
    whole.count(rows)
    for begin, end in zip([0, *cuts], [*cuts, 1000], strict=True):
        pieces.count(rows.take(slice(begin, end)))
    assert (pieces.until, pieces.rows) == (whole.until, whole.rows) == (int(rows.time[-1]), 1000)
    for first, other, state in zip(
        arrays(pieces), arrays(whole), np.repeat(whole.ledgers, 3), strict=True
    ):
        if state.ledger.halving:
            np.testing.assert_allclose(first, other, rtol=1e-12)
        else:
            np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("edge", [300, 650, 990])
def test_the_next_rows_get_the_numbers_that_prepare_gives_them(store, edge) -> None:
    """Rows of the moment that follows what was counted, ties included."""
    rows = by_time(store)
    edge = int(np.searchsorted(rows.time, rows.time[edge]))  # whole moments
    state = CounterState(store.manifest.counters)
    for begin in range(0, edge, 90):
        state.count(rows.take(slice(begin, min(begin + 90, edge))))
    following = np.flatnonzero(rows.time == rows.time[edge])
    numbers = state.numbers(rows.take(following))
    schema, scalings = store.manifest.schema_, store.manifest.numbers
    stored = {}
    for split in ("train", "valid", "test"):
        part = store.split(split)
        owner = np.repeat(np.arange(len(part.group)), np.diff(part.row_start))
        for place, source in enumerate(part.row_id):
            stored[int(source)] = (
                part.request_numbers[owner[place]],
                part.candidate_numbers[place],
            )
    for place, source in enumerate(rows.source[following]):
        for side, names, values in zip(
            ("request", "candidate"),
            (schema.request_numbers, schema.candidate_numbers),
            stored[int(source)],
            strict=True,
        ):
            for name, value in zip(names, values, strict=True):
                scaling = scalings[f"{side}.{name}"]
                expected = float(value) * scaling.deviation + scaling.mean
                assert numbers[f"{side}.{name}"][place] == pytest.approx(expected, abs=3e-6), name


def test_a_state_holds_no_more_than_later_moments_need(store) -> None:
    """One increment a key where the whole past is counted, twenty where the last twenty are."""
    state = CounterState(store.manifest.counters)
    state.count(by_time(store))
    for each in state.ledgers:
        ledger = each.ledger
        later = each.time >= state.until - ledger.lag - ledger.window
        older = np.unique(each.key[~later], return_counts=True)[1]
        assert older.max(initial=0) <= (0 if ledger.window else max(1, ledger.last))


def test_rows_that_come_too_late_are_refused(store) -> None:
    rows, state = by_time(store), CounterState(store.manifest.counters)
    state.count(rows.take(slice(10, 20)))
    with pytest.raises(ValueError, match="order of time"):
        state.count(rows.take(slice(0, 10)))
    assert state.rows == 10


def test_rows_out_of_order_are_refused_and_rows_of_the_newest_time_are_taken(store) -> None:
    rows, state = by_time(store), CounterState(store.manifest.counters)
    shuffled = rows.take(np.array([0, 400, 200]))
    with pytest.raises(ValueError, match="order of time"):
        state.count(shuffled)
    assert state.keys() == [0] * len(state.ledgers)
    ties = np.flatnonzero(np.diff(rows.time) == 0) + 1
    cut = int(ties[len(ties) // 2])  # within a moment
    state.count(rows.take(slice(0, cut)))
    state.count(rows.take(slice(cut, 1000)))
    assert (state.rows, state.until) == (1000, int(rows.time[-1]))
    state.count(rows.take(slice(0, 0)))
    assert state.rows == 1000
