"""Cuts splits of the prepared store into batches of requests that hold ids only.

Vectorised: no Python loop runs over rows.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Context, RequestBatch
from fusefront.datasets.store import PreparedDataset, Split
from fusefront.harness.data.events import distinct_events, kinds_of

Ints = NDArray[np.int64]
PIECE = 1 << 18  # units at a time


class RequestUnits:
    """Requests cut into units of at most `max_candidates` rows; `row_start` [requests + 1] are the
    requests' borders. Each piece of a longer request repeats its history.

    A request without rows is in no unit. Where every request is one unit, nothing is kept of them.

    >>> units = RequestUnits(np.array([0, 3, 8]), 4)
    >>> [part.tolist() for part in units.at(np.arange(3))]
    [[0, 1, 1], [0, 3, 7], [3, 4, 1]]
    """

    def __init__(self, row_start: NDArray[np.int64], max_candidates: int) -> None:
        self.row_start, self.max_candidates = row_start, max_candidates
        rows = np.diff(row_start)
        self._pieces: tuple[Ints, Ints] | None = None  # each unit's request, rows before it there
        if rows.max(initial=1) > max_candidates or rows.min(initial=1) < 1:
            pieces = -(-rows // max_candidates)
            request = np.repeat(np.arange(len(rows)), pieces)
            first = np.repeat(np.cumsum(pieces) - pieces, pieces)
            self._pieces = request, (np.arange(len(request)) - first) * max_candidates

    def __len__(self) -> int:
        return len(self.row_start) - 1 if self._pieces is None else len(self._pieces[0])

    def at(self, chosen: Ints) -> tuple[Ints, Ints, Ints]:
        """Request, first row and number of rows of the units with indices `chosen` [k], each
        [k]."""
        request, offset = chosen, np.int64(0)
        if self._pieces is not None:
            request, offset = self._pieces[0][chosen], self._pieces[1][chosen]  # type: ignore[assignment]
        begin, end = self.row_start[request], self.row_start[request + 1]
        return request, begin + offset, np.minimum(end - begin - offset, self.max_candidates)

    @property
    def length(self) -> NDArray[np.int32]:
        """The number of rows of each unit [units]."""
        return self.lengths(np.arange(len(self)))

    def lengths(self, order: Ints) -> NDArray[np.int32]:
        """The number of rows of the units with indices `order` [n], in pieces, as all of a log are
        looked up for an epoch."""
        rows = np.empty(len(order), np.int32)
        for start in range(0, len(order), PIECE):
            rows[start : start + PIECE] = self.at(order[start : start + PIECE])[2]
        return rows


def most_batches(rows: int, batch_rows: int) -> int:
    """The largest number of batches that `rows` rows can need, in any order of the requests."""
    return max(1, round(rows / batch_rows))


def cut_batches(length: NDArray[np.integer[Any]], batch_rows: int) -> Ints:
    """Cut units of `length` [units] rows into consecutive batches of about `batch_rows` rows.

    Returns the end of each batch [batches], as an index into the units. Batches are as even as
    whole units allow, and there are at most `most_batches` of them; exactly that many where no unit
    is longer than a batch.

    >>> cut_batches(np.array([3, 3, 3, 3, 1]), 6).tolist()
    [2, 5]
    """
    batch = np.cumsum(length, dtype=np.int64)  # in place: a log has millions of units
    rows = int(batch[-1])
    batch -= 1
    batch *= most_batches(rows, batch_rows)
    batch //= rows
    return np.append(np.flatnonzero(batch[1:] != batch[:-1]) + 1, len(length))


class Batcher:
    """Makes request batches of one split; arrays stay memory-mapped."""

    def __init__(self, store: PreparedDataset, split: str, max_candidates: int) -> None:
        self.split: Split = store.split(split)
        self.history = np.asarray(store.history_values)
        self.kinds = store.history_kinds
        self.most_kinds = kinds_of(store)
        self.max_history = store.manifest.schema_.max_history
        self.units = RequestUnits(np.asarray(self.split.row_start), max_candidates)
        self.in_batch = np.zeros(store.manifest.schema_.items + 1, bool)
        self.place = np.zeros(len(self.in_batch), np.int64)  # item -> position in the batch
        self.rows = len(self.split.item)

    def batches(self, batch_rows: int, order: Ints | None = None) -> Iterator[RequestBatch]:
        """Batches of about `batch_rows` rows; units come in the given order [units], by default in
        that of the store."""
        order = np.arange(len(self.units)) if order is None else order
        if not len(order):
            return
        ends = cut_batches(self.units.lengths(order), batch_rows)
        for begin, end in pairwise([0, *ends.tolist()]):
            yield self.batch(order[begin:end])

    def batch(self, chosen: Ints) -> RequestBatch:
        """One batch of the units with indices `chosen` [k]: real entries and rows are looked up,
        then padded."""
        request, first, count = self.units.at(chosen)
        rows = _PaddedLists.of(first, count, left=False)
        full = np.asarray(self.split.history_length[request], np.int64)
        length = np.minimum(full, self.max_history)
        end = np.asarray(self.split.history_start[request], np.int64) + full
        entries = _PaddedLists.of(end - length, length, left=True)
        items, history, candidates = self._distinct(
            np.take(self.history, entries.place).astype(np.int64), self.split.item[rows.place]
        )
        history = entries.padded(history)
        kinds = None
        if self.kinds is not None:
            kinds = entries.padded(self.kinds[entries.place].astype(np.int64))
        return RequestBatch(
            torch.from_numpy(items),
            torch.from_numpy(history),
            torch.from_numpy(entries.mask()),
            torch.from_numpy(rows.padded(candidates)),
            torch.from_numpy(rows.mask()),
            torch.from_numpy(rows.slot),
            _context(self.split.request_ids[request], self.split.request_numbers[request]),
            _context(
                rows.padded(self.split.candidate_ids[rows.place]),
                rows.padded(self.split.candidate_numbers[rows.place]),
            ),
            torch.from_numpy(rows.padded(self.split.label[rows.place].astype(np.float32))),
            torch.from_numpy(rows.padded(self.split.row_id[rows.place].astype(np.int64), -1)),
            torch.from_numpy(np.asarray(self.split.group[request], np.int64)),
            None if kinds is None else distinct_events(history, kinds, len(items), self.most_kinds),
            torch.from_numpy(entries.slot),
            int((count * length).sum()),
        )

    def _distinct(
        self, history: NDArray[np.integer[Any]], candidates: NDArray[np.integer[Any]]
    ) -> tuple[Ints, Ints, Ints]:
        """The distinct items [U] among history entries [E] and rows [N], and where each of those is
        in [U]."""
        self.in_batch[history] = True
        self.in_batch[candidates] = True
        self.in_batch[0] = True
        items = np.flatnonzero(self.in_batch)  # (U,) sorted, items[0] == 0
        self.in_batch[items] = False
        self.place[items] = np.arange(len(items))
        return items, np.take(self.place, history), self.place[candidates]


def moved(batch: RequestBatch, device: torch.device) -> RequestBatch:
    """The same batch with its tensors on `device`."""

    def there(part: Any) -> Any:
        if isinstance(part, torch.Tensor):
            return part.to(device)
        return type(part)(*map(there, part)) if isinstance(part, tuple) else part

    result: RequestBatch = there(batch)
    return result


class _PaddedLists(NamedTuple):
    """Lists of unequal length [k], one after the other and padded: [E] entries in [k, width]."""

    place: Ints  # [E] where each entry lies in the store
    slot: Ints  # [E] where it lies in the flat grid
    shape: tuple[int, int]  # k, width

    @classmethod
    def of(cls, start: Ints, length: Ints, *, left: bool) -> "_PaddedLists":
        """Lists that begin at `start` [k] and have `length` [k] entries, padded on the left or the
        right."""
        count, width = len(length), int(length.max(initial=0))
        before = np.cumsum(length) - length  # (k,)
        corner = np.arange(count) * width + (width - length if left else 0)
        entry = np.arange(int(length.sum()))
        shift = np.repeat(np.stack([start - before, corner - before]), length, axis=1)
        return cls(entry + shift[0], entry + shift[1], (count, width))

    def padded(self, values: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        """Values [E, ...] in the grid [k, width, ...], `fill` elsewhere."""
        rest = values.shape[1:]
        grid = np.full((self.shape[0] * self.shape[1], *rest), fill, values.dtype)
        grid[self.slot] = values
        return grid.reshape(*self.shape, *rest)

    def mask(self) -> NDArray[np.bool_]:
        """Which places of the grid [k, width] hold an entry."""
        return self.padded(np.ones(len(self.slot), bool))


def _context(ids: NDArray[np.int32], numbers: NDArray[np.float32]) -> Context:
    return Context(
        torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(numbers.astype(np.float32))
    )
