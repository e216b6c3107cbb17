"""Groups the rows of a bucket to requests, and finds the part of the past that is each request's
history."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.preparing.events import are_events, kinds_of, shown
from fusefront.datasets.preparing.pasts import Past, Ready
from fusefront.datasets.preparing.splits import Cuts
from fusefront.datasets.preparing.train_past import train_past
from fusefront.datasets.raw.hashing import combine
from fusefront.datasets.raw.history import Histories
from fusefront.datasets.spec import DatasetSpec

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Arranged:
    """Rows sorted by request; `first` [G] where each request starts."""

    rows: NDArray[Any]
    first: Ints
    position: NDArray[np.float64]  # [n] place of the row among its user's times, from 0 to below 1
    past: Past | Ready | None

    @property
    def sizes(self) -> Ints:
        """[G] the number of rows of each request."""
        return np.diff(np.append(self.first, len(self.rows)))


def arrange(
    rows: NDArray[Any],
    values: NDArray[np.int32],
    spec: DatasetSpec,
    cuts: Cuts | None = None,
    lag: int = 0,
) -> Arranged:
    """Sort and group one bucket's records [n] (all rows of its users), in place; `values` [entries]
    are the histories that came with them.

    Requests that are made from a log end at the cuts of a split by time; requests that the log
    names are never cut. `lag`, in ticks of the log's times, is how late the events of a history are
    known.
    """
    visible = shown(rows, drawn=spec.negatives is not None)
    context, position = _context(rows, spec), np.zeros(len(rows))
    position[visible] = _position(rows if visible.all() else rows[visible])
    side = np.zeros(len(rows), np.uint8)
    if cuts is not None and spec.columns.request is None:
        side = cuts.side(rows["time"], position)
    if spec.of_train:
        return _from_train(rows, visible, context, position, spec)
    if spec.history.source == "log":
        return _from_log(rows, visible, context, side, position, spec, lag)
    apart = rows["row"] if spec.columns.timestamp is None else rows["time"]
    if spec.history.source != "none" or spec.columns.request is not None or alone(spec):
        apart = np.zeros(len(rows), np.int64)  # the request word or the list tells requests apart
    keys = (rows["split"], context, side, rows["request"], rows["length"], rows["history"])
    order = np.lexsort((_place(rows, spec), *keys, apart, rows["user"]))
    first = _starts(order, (rows["user"], apart, *keys))
    past = None
    if spec.history.source != "none":
        past = _ready(rows, values, order[first])
    return Arranged(_sorted(rows, order), first, position[order], past)


def alone(spec: DatasetSpec) -> bool:
    """Whether every positive, with its negatives, is a request of its own, because nothing else
    groups rows."""
    nothing = spec.columns.timestamp is None and spec.columns.request is None
    return spec.negatives is not None and nothing and spec.history.source in ("none", "log")


def _place(rows: NDArray[Any], spec: DatasetSpec) -> NDArray[Any]:
    """The order of rows in their request: that of the log; by a hash if negatives were drawn."""
    if spec.negatives is None:
        return rows["row"]
    return combine(spec.negatives.seed + 1, rows["row"].astype(np.uint64))


def _from_log(
    rows: NDArray[Any],
    visible: NDArray[np.bool_],
    context: NDArray[np.uint64],
    side: NDArray[np.uint8],
    position: NDArray[np.float64],
    spec: DatasetSpec,
    lag: int,
) -> Arranged:
    user = _dense(rows["user"])
    width, rank, known = _ranks(rows, visible, spec, lag)
    own, query = user * width + rank, user * width + known
    del rank, known  # a bucket is large: free what is no longer needed
    event = np.flatnonzero(are_events(rows))
    event = event[np.lexsort((rows["row"][event], own[event]))]
    keys = own[event]
    before = np.searchsorted(keys, query)  # events strictly earlier, over all users
    order = np.lexsort((_place(rows, spec), rows["split"], context, rows["request"], query))
    order = order[visible[order]]
    apart = (user, before, side, rows["request"], context, rows["split"])
    first = _starts(order, apart)
    head = order[first]
    kinds = kinds_of(rows)
    kinds = None if kinds is None else kinds[event]
    past = Past(rows["item"][event], kinds, keys, user[head] * width, query[head])
    del user, own, query, before, apart, event
    return Arranged(_sorted(rows, order), first, position[order], past)


def _ranks(
    rows: NDArray[Any], visible: NDArray[np.bool_], spec: DatasetSpec, lag: int
) -> tuple[int, Ints, Ints]:
    """The number of distinct times; the rank [n] of each row's time; the rank [n] of the time of
    its history."""
    if not spec.columns.request and not lag:
        moments, rank = np.unique(rows["time"], return_inverse=True)
        return len(moments), rank, rank
    moments, rank = np.unique(
        np.concatenate([rows["time"], moments_of(rows, visible, spec) - lag]), return_inverse=True
    )
    return len(moments), rank[: len(rows)], rank[len(rows) :]


def _from_train(
    rows: NDArray[Any],
    visible: NDArray[np.bool_],
    context: NDArray[np.uint64],
    position: NDArray[np.float64],
    spec: DatasetSpec,
) -> Arranged:
    past = train_past(rows, _dense(rows["user"]), spec)
    request = rows["request"] if spec.columns.request else np.zeros(len(rows), np.uint64)
    apart = (rows["user"], past.of, rows["split"], context, request)
    order = np.lexsort((_place(rows, spec), *apart[::-1]))
    order = order[visible[order]]
    first = _starts(order, apart)
    events, kinds = past.events[past.lists.values], kinds_of(rows)
    lists = Histories(rows["item"][events], past.lists.length)
    kinds = None if kinds is None else kinds[events]
    return Arranged(
        _sorted(rows, order), first, position[order], Ready(lists, kinds, past.of[order[first]])
    )


def _sorted(rows: NDArray[Any], order: Ints) -> NDArray[Any]:
    """rows[order] in the memory of `rows`, column by column, so that there is no second copy of the
    bucket."""
    for name in rows.dtype.names or ():
        rows[name][: len(order)] = rows[name][order]
    return rows[: len(order)]


def _ready(rows: NDArray[Any], values: NDArray[np.int32], heads: Ints) -> Ready:
    word = combine(0, rows["user"], rows["history"], rows["length"].astype(np.uint64))
    owners = np.flatnonzero(rows["own"] == 1)
    distinct, where = np.unique(word[owners], return_index=True)
    histories = Histories(values, rows["length"][owners].astype(np.int64)).take(where)
    return Ready(histories, None, np.searchsorted(distinct, word[heads]))


def moments_of(rows: NDArray[Any], visible: NDArray[np.bool_], spec: DatasetSpec) -> Ints:
    """The time [n] from which on a row knows nothing: its own, or the earliest of its request."""
    time: Ints = rows["time"].copy()
    if spec.columns.request:
        time[visible] = _request_time(rows if visible.all() else rows[visible])
    return time


def _request_time(rows: NDArray[Any]) -> Ints:
    """The earliest time of each row's request; its history is what was known then."""
    key = combine(0, rows["user"], rows["request"])
    _, group = np.unique(key, return_inverse=True)
    earliest = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, group, rows["time"])
    return earliest[group]


def _position(rows: NDArray[Any]) -> NDArray[np.float64]:
    """The place of each row among its user's times; rows of one time share the last of their
    places."""
    order = np.lexsort((rows["time"], rows["user"]))
    start = _starts(order, (rows["user"],))
    count = np.diff(np.append(start, len(rows)))
    moment = _starts(order, (rows["user"], rows["time"]))
    ends = np.append(moment[1:], len(rows)) - 1
    last = np.repeat(ends, np.diff(np.append(moment, len(rows))))
    place = np.empty(len(rows))
    place[order] = (last - np.repeat(start, count)) / np.repeat(count, count)
    return place


def _context(rows: NDArray[Any], spec: DatasetSpec) -> NDArray[np.uint64]:
    """What must be equal in all rows of a request; counters of the user are equal at one time
    only."""
    numbers = rows["request_numbers"] + 0.0  # -0 becomes 0
    numbers[np.isnan(numbers)] = np.nan
    words = [column.astype(np.uint64) for column in rows["request_ids"].T]
    words += [np.ascontiguousarray(column).view(np.uint64) for column in numbers.T]
    if spec.columns.request is None and any(part.side == "request" for part in spec.counters):
        words.append(rows["time"].view(np.uint64))
    return combine(0, *words) if words else np.zeros(len(rows), np.uint64)


def _dense(users: NDArray[np.uint64]) -> Ints:
    return np.unique(users, return_inverse=True)[1].astype(np.int64)


def _starts(order: Ints, columns: tuple[NDArray[Any], ...]) -> Ints:
    """Where any of the columns changes along `order`."""
    if not len(order):
        return np.zeros(0, np.int64)
    change = np.zeros(len(order), bool)
    change[0] = True
    for column in columns:
        values = column[order]
        change[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(change)
