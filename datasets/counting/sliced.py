"""Sums of keys with more rows than fit into memory, computed in slices of time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fusefront.datasets.counting.entries import KeyLedgers
from fusefront.datasets.counting.ordered import OrderedRecords, Records
from fusefront.datasets.counting.plan import Ledger
from fusefront.datasets.counting.spread import Gathered, KeyPart
from fusefront.datasets.counting.state import LedgerState
from fusefront.datasets.counting.timeline import Values

LOOK = np.dtype([("row", "<i8"), ("key", "<u8"), ("at", "<i8")])  # of a row, back from a moment


def gather_sliced(
    group: KeyLedgers, part: KeyPart, gathered: dict[int, Gathered], block: int
) -> None:
    """Add the sums of every ledger of a part to the sums of its rows; the part's file is sorted in
    place."""
    by = ["time", "source"] if group.ordered else ["time"]
    entries = OrderedRecords(part.path, part.dtype, by, block)
    entries.sort_file()
    for place, ledger in group.ledgers.items():
        backs = {1: ledger.lag}  # everything before, minus everything before the window
        if ledger.window:
            backs[-1] = ledger.lag + ledger.window
        for sign, back in backs.items():
            for looks, sums in _answers(group, entries, ledger, back, block):
                order = np.argsort(looks["row"], kind="stable")
                gathered[place].add(looks["row"][order], sign * sums[order])


def _answers(
    group: KeyLedgers, entries: OrderedRecords, ledger: Ledger, back: int, block: int
) -> Iterator[tuple[Records, Values]]:
    """(looks, sums of each): `back` before the moments of all entries."""
    path = entries.path.with_suffix(".looks")
    looks = _Looks(path, block)
    state = LedgerState(ledger._replace(lag=0, window=0))
    for slice_ in entries:
        looks.add(group, slice_, back)
    for slice_ in entries:
        events = group.events(slice_)
        if not len(events):
            continue
        state.add(events["key"], events["time"], group.values(ledger, events))
        newest = int(events["time"][-1])
        for some in looks.until(newest):
            yield some, state.sums(some["key"], some["at"])
        state.compact(newest + 1)
    for some in looks.until(None):
        yield some, state.sums(some["key"], some["at"])
    path.unlink()


class _Looks:
    """The moments to look back from, in order of time."""

    def __init__(self, path: Path, block: int) -> None:
        self._ordered = OrderedRecords(path, LOOK, ["at"], block)
        self._slices: Iterator[Records] | None = None
        self._left = np.empty(0, LOOK)

    def add(self, group: KeyLedgers, entries: Records, back: int) -> None:
        looks = np.empty(len(entries), LOOK)
        looks["row"], looks["key"] = entries["row"], entries["key"]
        looks["at"] = group.moment(entries) - back
        self._ordered.add(looks)

    def until(self, moment: int | None) -> Iterator[Records]:
        """The moments up to `moment`, or all remaining ones."""
        self._slices = self._slices or iter(self._ordered)
        while True:
            if not len(self._left):
                self._left = next(self._slices, self._left)
            end = len(self._left)
            if moment is not None:
                end = int(np.searchsorted(self._left["at"], moment, side="right"))
            if not end:
                return
            some, self._left = self._left[:end], self._left[end:]
            yield some
