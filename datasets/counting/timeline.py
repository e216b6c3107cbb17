"""Events of many keys in order of time, and their sums strictly before a moment."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.plan import Ledger

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Values = NDArray[np.int64] | NDArray[np.float64]
_ROOM = 1 << 62


class Reach(NamedTuple):
    """Where the events of a query's key begin, and where those before its moment end."""

    begin: Ints
    end: Ints


class Timeline:
    """The events of one set of keys, those of one time in order of `source`, else as given."""

    def __init__(self, key: Words, time: Ints, source: Ints | None = None) -> None:
        by = (time, key) if source is None else (source, time, key)
        self.order = np.lexsort(by)  # [E] sorted place -> event
        self.key, self.time = key[self.order], time[self.order]
        change = np.ones(len(key), bool)
        change[1:] = self.key[1:] != self.key[:-1]
        self.begin = np.flatnonzero(change)  # [K]
        self.keys = self.key[self.begin]  # [K] sorted
        self._number = np.cumsum(change) - 1  # [E] key of every sorted event
        self._steps: Ints | None = None
        low, high = (int(time.min()), int(time.max())) if len(time) else (0, 0)
        self._low, self._span = low, high - low + 2
        if len(self.keys) * self._span >= _ROOM:  # nanoseconds over years: ranks of times instead
            self._steps = np.unique(time)
            self._low, self._span = 0, len(self._steps) + 1
        self._place = self._number * self._span + self._scale(self.time)

    def numbers(self) -> Ints:
        """[E] the number of every event's key, in the order given."""
        out = np.empty(len(self.order), np.int64)
        out[self.order] = self._number
        return out

    def number(self, key: Words) -> Ints:
        """The numbers [n] of keys [n]; -1 where a key has no event."""
        if not len(self.keys):
            return np.full(len(key), -1)
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[place] == key, place, -1)

    def find(self, number: Ints, at: Ints) -> Reach:
        """The events of each key number [n] strictly before each moment [n]; the number -1 has
        none."""
        known = number >= 0
        known_numbers = np.where(known, number, 0)
        if not len(self.keys):
            return Reach(np.zeros_like(known_numbers), np.zeros_like(known_numbers))
        begin = self.begin[known_numbers]
        end = np.searchsorted(self._place, known_numbers * self._span + self._scale(at))
        return Reach(begin, np.where(known, end, begin))

    def _scale(self, time: Ints) -> Ints:
        if self._steps is not None:
            time = np.searchsorted(self._steps, time)
        return np.clip(time, self._low, self._low + self._span - 1) - self._low

    def sums(self, ledger: Ledger, values: Values, number: Ints, at: Ints) -> Values:
        """Sums [Q, V] of the events' `values` [E, V], in the order given, that the ledger looks
        at: whole numbers of whole numbers, unless they fade."""
        values = values[self.order]
        reach = self.find(number, at - ledger.lag)
        begin, end = reach
        if ledger.halving:
            return self._decayed(values, ledger.halving, reach, at - ledger.lag)
        if ledger.window:
            begin = self.find(number, at - ledger.lag - ledger.window).end
        if ledger.last:
            begin = np.maximum(begin, end - ledger.last)
        total = np.zeros((len(values) + 1, values.shape[1]), values.dtype)
        np.cumsum(values, axis=0, out=total[1:])
        between: Values = np.subtract(total[end], total[begin])
        return between

    def _decayed(self, values: Values, halving: int, reach: Reach, at: Ints) -> NDArray[np.float64]:
        total = self.decayed(values, halving)
        some = reach.end > reach.begin
        newest = reach.end[some] - 1
        out = np.zeros((len(at), values.shape[1]))
        out[some] = total[newest] * np.exp2((self.time[newest] - at[some]) / halving)[:, None]
        return out

    def decayed(self, values: Values, halving: int) -> NDArray[np.float64]:
        """[E, V] at each sorted event: it and its key's earlier ones, each half for every
        `halving`.

        Sums over the last 1, 2, 4, ... events, so that nothing grows beyond the sum itself.
        """
        total = values.astype(np.float64)
        rank = np.arange(len(total)) - self.begin[self._number]
        step, longest = 1, int(rank.max(initial=0))
        while step <= longest:
            later = np.flatnonzero(rank >= step)
            age = self.time[later] - self.time[later - step]
            total[later] += total[later - step] * np.exp2(-age / halving)[:, None]
            step *= 2
        return total
