"""Histories of logs without times under a given split: the user's positives in train.

A row of valid or test has all of them. A row of train lacks one: a positive lacks itself; a
negative lacks the positive that it was drawn for, or that of the same item, or one chosen by hash;
a request that the log names lacks all its positives. All train rows of a user thus lack one in the
same way, and neither the length of a history nor its items reveal the label.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.preparing.events import are_events
from fusefront.datasets.raw.hashing import combine
from fusefront.datasets.raw.history import Histories
from fusefront.datasets.spec import DatasetSpec

Ints = NDArray[np.int64]
_BLOCK = 1 << 22  # values at a time
_NONE = -1


class TrainEvents(NamedTuple):
    """The train events of a bucket, ordered by (user, row of the log)."""

    unit: Ints  # [E] the unit that leaves it out: itself, or its request
    first: Ints  # [U] of every user
    size: Ints  # [U]


class Left(NamedTuple):
    """Units of rows that leave out the same events."""

    user: Ints  # [G]
    extra: Ints  # [G] an event that it leaves out beside those of its unit, or -1
    out: Ints  # [G] how many it leaves out


class TrainPast(NamedTuple):
    """Train events of a bucket, its distinct histories, and which of them each row has."""

    events: Ints  # [E] positions in the bucket's rows
    lists: Histories  # of numbers into `events`
    of: Ints  # [n]


def train_past(rows: NDArray[Any], user: Ints, spec: DatasetSpec) -> TrainPast:
    """The histories of one bucket's records [n] (all rows of its users); user [n] has codes 0 .. U
    - 1."""
    longest, users = spec.history.max_length, int(user.max(initial=-1)) + 1
    train_events = np.flatnonzero((rows["split"] == 0) & are_events(rows))
    train_events = train_events[np.lexsort((rows["row"][train_events], user[train_events]))]
    size = np.bincount(user[train_events], minlength=users)
    first = np.cumsum(size) - size
    if spec.columns.request is None:
        unit_of, unit = (
            _by_event(rows, user, train_events, first, size),
            np.arange(len(train_events)),
        )
        left = Left(
            user[train_events],
            np.full(len(train_events), _NONE),
            np.ones(len(train_events), np.int64),
        )
    else:
        unit_of, left = _by_request(rows, user, train_events, first, size)
        unit = unit_of[train_events]
    events = TrainEvents(unit, first, size)
    apart = _apart(events, left, longest)
    place = np.full(len(left.user), _NONE)
    place[apart] = users + np.arange(len(apart))
    own = np.where(unit_of >= 0, place[np.maximum(unit_of, 0)] if len(place) else _NONE, _NONE)
    lists = _lists(events, left, apart, longest)
    return TrainPast(train_events, lists, np.where(own >= 0, own, user))


def _by_event(rows: NDArray[Any], user: Ints, events: Ints, first: Ints, size: Ints) -> Ints:
    """[n] the event that each train row leaves out, -1 if none.

    Drawn rows come after their positive, whose row number is their request word.
    """
    drawn = combine(0, rows["row"].astype(np.uint64)) % np.maximum(size[user], 1).astype(np.uint64)
    out = first[user] + drawn.astype(np.int64)
    width = int(rows["item"].max(initial=0)) + 1
    keys = user * width + rows["item"]
    known, where = np.unique(keys[events], return_index=True)
    if len(known):
        near = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        out = np.where(known[near] == keys, where[near], out)
    out[events] = np.arange(len(events))
    follows = np.flatnonzero(rows["request"] != 0)
    if len(follows):
        order = np.argsort(rows["row"], kind="stable")
        source = np.searchsorted(rows["row"][order], rows["request"][follows].astype(np.int64) - 1)
        out[follows] = out[order[source]]
    return np.where((rows["split"] == 0) & (size[user] > 0), out, _NONE)


def _by_request(
    rows: NDArray[Any], user: Ints, events: Ints, first: Ints, size: Ints
) -> tuple[Ints, Left]:
    """[n] the named request of each train row, and what it leaves out: its positives, or one
    event."""
    train = np.flatnonzero(rows["split"] == 0)
    words = combine(0, rows["user"][train], rows["request"][train])
    distinct, head, of = np.unique(words, return_index=True, return_inverse=True)
    unit_of = np.full(len(rows), _NONE)
    unit_of[train] = of
    owner = user[train][head]
    out = np.bincount(unit_of[events], minlength=len(distinct))
    lacks = (out == 0) & (size[owner] > 0)
    drawn = (distinct % np.maximum(size[owner], 1).astype(np.uint64)).astype(np.int64)
    extra = np.where(lacks, first[owner] + drawn, _NONE)
    return unit_of, Left(owner, extra, out + lacks)


def _apart(events: TrainEvents, left: Left, longest: int) -> Ints:
    """The units whose history is not simply the user's newest events, because these contain what
    the unit leaves out."""
    newest = events.first + np.maximum(events.size - longest, 0)  # [U]
    owner = np.repeat(np.arange(len(events.size)), events.size)
    hit = np.zeros(len(left.user), bool)
    hit[events.unit[np.arange(len(owner)) >= newest[owner]]] = True
    hit |= left.extra >= np.maximum(newest[left.user], 0)
    return np.flatnonzero(hit)


def _lists(events: TrainEvents, left: Left, apart: Ints, longest: int) -> Histories:
    """The newest of every user [U], then those of the units `apart`."""
    users = np.arange(len(events.size))
    none = np.full(len(users), _NONE)
    parts = [_expanded(events, users, none, none, 0 * none, longest)]
    width = np.minimum(events.size[left.user[apart]], longest + left.out[apart])
    ends = np.cumsum(width)
    edges = np.searchsorted(ends, np.arange(_BLOCK, ends[-1] if len(ends) else 0, _BLOCK))
    for begin, end in zip(np.append(0, edges), np.append(edges, len(apart)), strict=True):
        unit = apart[begin:end]
        parts.append(
            _expanded(events, left.user[unit], unit, left.extra[unit], left.out[unit], longest)
        )
    return Histories(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.length for part in parts]),
    )


def _expanded(
    events: TrainEvents, user: Ints, unit: Ints, extra: Ints, out: Ints, longest: int
) -> Histories:
    """The newest `longest` events of each user without those of the unit and the extra one."""
    width = np.minimum(events.size[user], longest + out)
    owner = np.repeat(np.arange(len(user)), width)
    ends = np.cumsum(width)
    event = (events.first + events.size)[user][owner] - (ends[owner] - np.arange(len(owner)))
    others = (events.unit[event] != unit[owner]) & (event != extra[owner])
    length = np.bincount(owner[others], minlength=len(user))
    return Histories(event[others].astype(np.int32), length).newest(longest)
