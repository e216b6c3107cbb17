"""Draws negatives for a log of positives: only items seen before, never a known positive of the
user; depends on the seed alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.preparing.splits import select
from fusefront.datasets.raw.hashing import combine, unit
from fusefront.datasets.spec import Negatives

_ATTEMPTS = 64
Ints = NDArray[np.int64]


class PositiveEvents(NamedTuple):
    """All positives in order of time, so that a uniform draw among the earlier ones is by
    popularity so far."""

    times: Ints  # [E] sorted
    items: NDArray[np.int32]  # [E]


@dataclass
class Drawer:
    """Draws negatives for the positives of one bucket at a time (all rows of its users)."""

    spec: Negatives
    items: int
    source_rows: int
    first_seen: Ints | None  # [n + 1] earliest time of every item; None without timestamps
    events: PositiveEvents | None  # popularity with timestamps
    counts: Ints | None  # [n + 1] popularity without timestamps
    alone: bool = False  # a positive and its negatives are one request
    missing: int = 0

    def __post_init__(self) -> None:
        if self.first_seen is not None:
            self._order = np.argsort(self.first_seen[1:], kind="stable") + 1
            self._first_times = self.first_seen[self._order]
        if self.counts is not None:
            self._ends = np.cumsum(self.counts[1:] + 1)

    def extend(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The records [n], then negatives of the positives: same request and context, label 0,
        fresh row ids."""
        if not len(rows):
            return rows
        if self.alone:
            rows["request"] = rows["row"] + 1  # 0 is none
        positives = rows if rows["label"].all() else rows[rows["label"] == 1]
        drawn = self._draw(positives)  # (P, n), 0 = none found
        row, place = np.nonzero(drawn)
        self.missing += drawn.size - len(row)
        extra = positives[row]
        extra["item"], extra["label"], extra["own"] = drawn[row, place], 0, 0
        extra["row"] = self.source_rows + extra["row"] * drawn.shape[1] + place
        if "event" in (rows.dtype.names or ()):
            extra["event"] = 0
        return np.concatenate([rows, extra])

    def _draw(self, rows: NDArray[Any]) -> NDArray[np.int32]:
        n, width = self.spec.per_positive, self.items + 1
        user = np.unique(rows["user"], return_inverse=True)[1].astype(np.int64)
        known = np.unique(user * width + rows["item"])
        out = np.zeros(len(rows) * n, np.int32)
        source = np.repeat(np.arange(len(rows)), n)
        drawn = np.zeros(0, np.int64)  # row * width + item of the negatives drawn so far
        todo = np.arange(len(out))
        for attempt in range(_ATTEMPTS):
            row = source[todo]
            draw = unit(
                combine(
                    self.spec.seed,
                    rows["row"][row].astype(np.uint64),
                    (todo - row * n).astype(np.uint64),
                    np.full(len(todo), attempt, np.uint64),
                )
            )
            item = self._pick(draw, rows["time"][row])
            key = row * width + item
            fine = (item > 0) & ~_among(user[row] * width + item, known) & ~_among(key, drawn)
            fine[fine] = _first(key[fine])
            out[todo[fine]] = item[fine]
            drawn = np.sort(np.concatenate([drawn, key[fine]]))
            todo = todo[~fine]
            if not len(todo):
                break
        return out.reshape(-1, n)

    def _pick(self, draw: NDArray[np.float64], time: Ints) -> Ints:
        """Items for draws in [0, 1) among those seen strictly before the row's time; 0 if there is
        none."""
        if self.events is not None:
            earlier = np.searchsorted(self.events.times, time)
            place = (draw * earlier).astype(np.int64)
            picked = self.events.items[np.minimum(place, len(self.events.items) - 1)]
            return np.where(earlier > 0, picked, 0)
        if self.first_seen is not None:
            earlier = np.searchsorted(self._first_times, time)
            place = (draw * earlier).astype(np.int64)
            return np.where(earlier > 0, self._order[np.minimum(place, self.items - 1)], 0)
        if self.counts is not None:
            place = (draw * self._ends[-1]).astype(np.int64)
            drawn: NDArray[np.int64] = np.searchsorted(self._ends, place, side="right") + 1
            return drawn
        return (draw * self.items).astype(np.int64) + 1


def _among(values: Ints, members: Ints) -> NDArray[np.bool_]:
    """Membership in a sorted array."""
    if not len(members):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(members, values), len(members) - 1)
    return members[place] == values  # type: ignore[no-any-return]


def _first(keys: Ints) -> NDArray[np.bool_]:
    """True at the first appearance of each key."""
    first = np.zeros(len(keys), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first


PAIR = np.dtype([("time", "<i8"), ("item", "<i4")])
_PART_ROWS = 1 << 23
_BLOCK = 1 << 20


def sort_events(pairs: Path, times: Path, folder: Path) -> PositiveEvents:
    """Sort (time, item) pairs on disk by time: parts between exact quantiles, each sorted alone."""
    count = pairs.stat().st_size // PAIR.itemsize
    parts = -(-count // _PART_ROWS)
    ranks = [count * part // parts for part in range(1, parts)]
    edges = np.array(select(times, np.dtype(np.int64), ranks), np.int64)
    with pairs.open("rb") as file:
        while block := file.read(PAIR.itemsize * _BLOCK):
            some = np.frombuffer(block, PAIR)
            part = np.searchsorted(edges, some["time"], side="right")
            for number in np.unique(part):
                with (folder / f"events.{number}").open("ab") as out:
                    out.write(some[part == number].tobytes())
    pairs.unlink()
    with (folder / "event_times").open("wb") as moments, (folder / "event_items").open("wb") as ids:
        for number in range(parts):
            path = folder / f"events.{number}"
            if path.exists():
                some = np.fromfile(path, PAIR)
                some = some[np.lexsort((some["item"], some["time"]))]
                moments.write(np.ascontiguousarray(some["time"]).tobytes())
                ids.write(np.ascontiguousarray(some["item"]).tobytes())
                path.unlink()
    return PositiveEvents(
        np.memmap(folder / "event_times", np.int64, "r"),
        np.memmap(folder / "event_items", np.int32, "r"),
    )
