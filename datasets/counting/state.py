"""The state of counters that are updated: what later moments need of the past, and no more.

A ledger holds increments (key, time, values). Increments that no later query can tell apart are
merged into one for each key. Its size is therefore the number of keys, and its sums equal those of
counting all rows from the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.numbers import (
    POSITIVES,
    RESIDUAL,
    fixed,
    item_error,
    number_of,
    unfixed,
)
from fusefront.datasets.counting.plan import Ledger
from fusefront.datasets.counting.rows import CountedRows, key_words
from fusefront.datasets.counting.stored import StoredCounters
from fusefront.datasets.counting.timeline import Ints, Timeline, Values, Words

Floats = NDArray[np.float64]
START = -(1 << 62)  # before every time


class LedgerState:
    """The increments of one ledger, in order of key and time."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        width = 3 if ledger.item_prior else 2
        dtype: type[np.float64 | np.int64] = np.float64 if ledger.halving else np.int64
        self.key: Words = np.zeros(0, np.uint64)
        self.time: Ints = np.zeros(0, np.int64)
        self.values: Values = np.zeros((0, width), dtype)  # type: ignore[assignment]
        self._timeline: Timeline | None = None

    @property
    def timeline(self) -> Timeline:
        """The increments by key and time."""
        if self._timeline is None:
            self._timeline = Timeline(self.key, self.time)
        return self._timeline

    def add(self, key: Words, time: Ints, values: Values) -> None:
        """Further increments in order of time: keys [n], times [n] and values [n, sums]."""
        self.key = np.concatenate([self.key, key])
        self.time = np.concatenate([self.time, time])
        self.values = np.concatenate([self.values, values.astype(self.values.dtype)])
        self._timeline = None

    def sums(self, key: Words, moment: Ints) -> Values:
        """Sums [n, width] of each key before each moment, of errors in fixed parts."""
        return self.timeline.sums(self.ledger, self.values, self.timeline.number(key), moment)

    def compact(self, now: int) -> None:
        """Merge or drop increments that no moment from `now` on can tell apart."""
        ledger, timeline = self.ledger, self.timeline
        key, time, values = timeline.key, timeline.time, self.values[timeline.order]
        if ledger.window:
            mask = time >= now - ledger.lag - ledger.window
        else:
            ends = timeline.find(np.arange(len(timeline.keys)), np.full(1, now - ledger.lag)).end
            last = np.repeat(ends, np.diff(np.append(timeline.begin, len(key))))
            most = max(ledger.last, 1)
            mask = np.arange(len(key)) >= last - most
            if not ledger.last:
                values = self._merged(values, timeline, ends)
        self.key, self.time, self.values = key[mask], time[mask], values[mask]
        self._timeline = None

    def _merged(self, values: Values, timeline: Timeline, ends: Ints) -> Values:
        """The increments of each key that end at `ends`, as one in the place of their last."""
        some = ends > timeline.begin
        at = ends[some] - 1
        merged = values.copy()
        if self.ledger.halving:
            merged[at] = timeline.decayed(values, self.ledger.halving)[at]
        else:
            total = np.cumsum(values, axis=0)
            first = timeline.begin[some]
            merged[at] = total[at] - total[first] + values[first]
        return merged


@dataclass
class CounterState:
    """All ledgers up to `until`, the newest time counted."""

    stored: StoredCounters
    until: int = START
    rows: int = 0
    ledgers: list[LedgerState] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.ledgers:
            self.ledgers = [LedgerState(ledger) for ledger in self.stored.plan.ledgers]

    def count(self, rows: CountedRows, now: int | None = None) -> None:
        """Count further rows, in order of time and none older than `until`.

        Later queries may not ask for moments before `now`, by default the newest time.

        Raises:
            ValueError: the rows are not in order of time, or older than `until`.
        """
        if not rows.size:
            return
        if int(rows.time[0]) < self.until or (np.diff(rows.time) < 0).any():
            raise ValueError("rows are not in order of time")
        for state in self.ledgers:
            self._add(state, rows)
        self.until, self.rows = int(rows.time[-1]), self.rows + rows.size
        for state in self.ledgers:
            state.compact(self.until if now is None else min(now, self.until))

    def _add(self, state: LedgerState, rows: CountedRows) -> None:
        ledger = state.ledger
        row, words = key_words(rows, ledger.key)
        values = np.ones((rows.size, state.values.shape[1]), np.int64)
        values[:, POSITIVES] = rows.label
        if ledger.item_prior:
            of_items = self.ledgers[self.stored.plan.ledgers.index(ledger.of_items)]
            items = unfixed(of_items.sums(key_words(rows, ("item",))[1], rows.moment))
            rate = self.stored.rate
            values[:, RESIDUAL] = fixed(item_error(rows.label, items, ledger.item_prior, rate))
        events = rows.label == 1 if self.stored.drawn else np.ones(rows.size, bool)
        if ledger.frozen:
            assert self.stored.train_until is not None
            events &= rows.time < self.stored.train_until
        chosen = events[row]
        row = row[chosen]
        state.add(words[chosen], rows.time[row], values[row])

    def sums(self, rows: CountedRows) -> list[Floats]:
        """Every ledger's sums [n, width] at the moments of rows."""
        out: list[Floats] = []
        for state in self.ledgers:
            row, words = key_words(rows, state.ledger.key)
            of_values = unfixed(state.sums(words, rows.moment[row]))
            total = [np.bincount(row, column, rows.size) for column in of_values.T]
            out.append(np.stack(total, axis=1).astype(np.float64))
        return out

    def numbers(self, rows: CountedRows) -> dict[str, Floats]:
        """ "<side>.<number>" -> its value [n], not standardised."""
        sums = self.sums(rows)
        return {
            f"{number.side}.{number.name}": number_of(number, sums, self.stored.rate)
            for number in self.stored.plan.numbers
        }

    def keys(self) -> Sequence[int]:
        """How many increments each ledger holds."""
        return [len(state.key) for state in self.ledgers]
