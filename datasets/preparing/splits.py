"""Assigns requests to splits; the rows of one request are always in one split."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.hashing import combine, unit
from fusefront.datasets.spec import SplitSpec

_SIGN = np.uint64(1 << 63)
_BLOCK = 1 << 22
TRAIN, VALID, TEST = 0, 1, 2


@dataclass(frozen=True)
class Cuts:
    """What decides the split, for the whole log; everything else only depends on the user."""

    spec: SplitSpec
    low: int = 0  # time: valid from here on; user: valid below `high`, test below `low`
    high: int = 0  # time: test from here on
    item_class: NDArray[np.uint8] | None = None  # item_cold: [n + 1] split of every item

    def words(self, users: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """[n] the random word of every user; users with the smallest words go to test."""
        return combine(self.spec.seed, users)

    def side(self, times: NDArray[np.int64], position: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Which side of the cuts each row is on, [n], by its time or its position [n] in its user's
        rows; 0 for all where the split is not by time."""
        if self.spec.by == "time":
            return _side(times, self.low, self.high)
        if self.spec.by == "user_time":
            return self.own_side(position)
        return np.zeros(len(times), np.uint8)

    def own_side(self, position: NDArray[np.float64]) -> NDArray[np.uint8]:
        """[n] the side by each user's own time, from positions [n] from 0 to 1: the last `test`
        share of rows is test, before it `valid`."""
        edge = 1 - self.spec.test - 1e-9
        return (position >= edge - self.spec.valid).astype(np.uint8) + (position >= edge)


def _side(times: NDArray[np.int64], low: int, high: int) -> NDArray[np.uint8]:
    """0 before `low`, 1 before `high`, 2 from there on."""
    return (times >= low).astype(np.uint8) + (times >= high)


def time_cuts(spec: SplitSpec, times: Path) -> Cuts:
    """Cuts in time: the newest `test` share of all rows is test, before it `valid`; exact.

    Raises:
        DataContractError: both cuts have the same timestamp.
    """
    count = times.stat().st_size // 8
    ranks = [int(count * (1 - spec.test - spec.valid)), int(count * (1 - spec.test))]
    cuts = select(times, np.dtype(np.int64), ranks)
    if cuts[0] == cuts[1]:
        raise DataContractError(
            f"split by: time: the cuts for valid and test fall on the same timestamp {cuts[0]}; "
            "use larger fractions, finer timestamps or by: user_time"
        )
    return Cuts(spec, cuts[0], cuts[1])


def user_cuts(spec: SplitSpec, words: Path) -> Cuts:
    """Disjoint users: the `test` share with the smallest words, then `valid`; exact.

    Raises:
        DataContractError: there are too few users for both shares.
    """
    count = words.stat().st_size // 8
    test, valid = max(1, round(count * spec.test)), max(1, round(count * spec.valid))
    if test + valid >= count:
        raise DataContractError(
            f"split by: user: {count} users are too few for valid {spec.valid} and test "
            f"{spec.test}; use by: time, or more users"
        )
    low, high = select(words, np.dtype(np.uint64), [test, test + valid])
    return Cuts(spec, low, high)


def item_cuts(spec: SplitSpec, items: int) -> Cuts:
    """Cold items: a `test` share of the items occurs in test only."""
    test, valid = max(1, round(items * spec.test)), max(1, round(items * spec.valid))
    order = np.argsort(combine(spec.seed, np.arange(1, items + 1, dtype=np.uint64)))
    classes = np.zeros(items + 1, np.uint8)
    classes[order[:test] + 1] = TEST
    classes[order[test : test + valid] + 1] = VALID
    return Cuts(spec, item_class=classes)


def assign(
    cuts: Cuts, rows: NDArray[Any], first: NDArray[np.int64], position: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """The split of every request; rows are sorted by request, `first` has their starts.

    `position` [n] is each row's place among its user's times, from 0 to below 1, for user_time. A
    request that spans a cut goes to the later split, so that train has nothing after its cut.
    """
    by = cuts.spec.by
    if by == "given":
        return np.asarray(rows["split"][first], np.uint8)
    if by == "time":
        latest = np.maximum.reduceat(rows["time"], first)
        return _side(latest, cuts.low, cuts.high)
    if by == "user":
        words = cuts.words(rows["user"][first])
        return np.select(
            [words < np.uint64(cuts.low), words < np.uint64(cuts.high)], [TEST, VALID], TRAIN
        ).astype(np.uint8)
    if by == "item_cold":
        assert cuts.item_class is not None
        return np.maximum.reduceat(cuts.item_class[rows["item"]], first)
    if by == "user_time":
        return cuts.own_side(np.maximum.reduceat(position, first))
    oldest = np.minimum.reduceat(rows["row"], first)
    draw = unit(combine(cuts.spec.seed, oldest.astype(np.uint64)))
    return np.select(
        [draw < cuts.spec.test, draw < cuts.spec.test + cuts.spec.valid], [TEST, VALID], TRAIN
    ).astype(np.uint8)


def select(path: Path, dtype: np.dtype[Any], ranks: list[int]) -> list[int]:
    """The values at the given ranks of the sorted numbers in a raw file of 64-bit words,
    streamed."""
    return [_select(path, dtype, rank) for rank in ranks]


def _select(path: Path, dtype: np.dtype[Any], rank: int) -> int:
    prefix, known = np.uint64(0), 0
    for step in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for words in _words(path, dtype):
            if known:
                words = words[(words >> np.uint64(step + 16)) == prefix]
            digit = (words >> np.uint64(step)) & np.uint64(0xFFFF)
            counts += np.bincount(digit.astype(np.int64), minlength=1 << 16)
        ends = np.cumsum(counts)
        digit_found = int(np.searchsorted(ends, rank, side="right"))
        rank -= int(ends[digit_found] - counts[digit_found])
        prefix, known = (prefix << np.uint64(16)) | np.uint64(digit_found), known + 16
    value = int(prefix)
    return value - (1 << 63) if dtype.kind == "i" else value


def _words(path: Path, dtype: np.dtype[Any]) -> Iterator[NDArray[np.uint64]]:
    """Blocks of the file as unsigned words in the numbers' order."""
    with path.open("rb") as file:
        while block := file.read(8 * _BLOCK):
            words = np.frombuffer(block, np.uint64)
            yield words ^ _SIGN if dtype.kind == "i" else words


RANDOM_WARNING = (
    "split by: random puts other requests of a test user, later ones included, into train: figures "
    "are optimistic and not comparable with a temporal or user-disjoint split; use by: time"
)
