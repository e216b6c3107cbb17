"""Slices of the prepared store to ids-only request batches; no Python per row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Context, RequestBatch
from fusefront.datasets.store import PreparedDataset, Split
from fusefront.harness.data.events import distinct_events, kinds_of

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RequestUnits:
    """Requests cut to at most `max_candidates` rows each: request index, first row, rows."""

    request: Ints
    start: Ints
    length: Ints

    def __len__(self) -> int:
        return len(self.request)


def cut_requests(row_start: NDArray[np.int64], max_candidates: int) -> RequestUnits:
    """Split long requests; each piece keeps its request's history.

    >>> cut_requests(np.array([0, 3, 8]), 4).length.tolist()
    [3, 4, 1]
    """
    rows = np.diff(row_start)
    pieces = -(-rows // max_candidates)
    request = np.repeat(np.arange(len(rows)), pieces)
    first = np.repeat(np.cumsum(pieces) - pieces, pieces)
    offset = (np.arange(len(request)) - first) * max_candidates
    start = row_start[:-1][request] + offset
    length = np.minimum(rows[request] - offset, max_candidates)
    keep = length > 0
    return RequestUnits(request[keep], start[keep], length[keep])


def most_batches(rows: int, batch_rows: int) -> int:
    """How many batches `rows` rows make, in whatever order they come."""
    return max(1, round(rows / batch_rows))


def cut_batches(length: Ints, batch_rows: int) -> Ints:
    """Ends of consecutive batches of about `batch_rows` rows, as even as whole requests allow.

    There are `most_batches` of them where no piece is longer than a batch, and never more.

    >>> cut_batches(np.array([3, 3, 3, 3, 1]), 6).tolist()
    [2, 5]
    """
    total = np.cumsum(length)
    batches = most_batches(int(total[-1]), batch_rows)
    batch = (total - 1) * batches // total[-1]
    return np.append(np.flatnonzero(np.diff(batch)) + 1, len(length))


class Batcher:
    """Makes request batches of one split; arrays stay memory-mapped."""

    def __init__(self, store: PreparedDataset, split: str, max_candidates: int) -> None:
        self.split: Split = store.split(split)
        self.history = np.asarray(store.history_values)
        self.kinds = store.history_kinds
        self.most_kinds = kinds_of(store)
        self.max_history = store.manifest.schema_.max_history
        self.units = cut_requests(np.asarray(self.split.row_start), max_candidates)
        self.in_batch = np.zeros(store.manifest.schema_.items + 1, bool)
        self.place = np.zeros(len(self.in_batch), np.int64)  # item -> position in the batch
        self.rows = len(self.split.item)

    def batches(self, batch_rows: int, order: Ints | None = None) -> Iterator[RequestBatch]:
        """Batches of about `batch_rows` rows, units in the order [units] given (default: the
        store's)."""
        order = np.arange(len(self.units)) if order is None else order
        if not len(order):
            return
        ends = cut_batches(self.units.length[order], batch_rows)
        for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True):
            yield self.batch(order[begin:end])

    def batch(self, chosen: Ints) -> RequestBatch:
        """The units chosen [k] as one batch."""
        request = self.units.request[chosen]
        place, history_mask = self._places(request)
        history = _masked(self.history, place, history_mask)
        kinds = None if self.kinds is None else _masked(self.kinds, place, history_mask)
        length = self.units.length[chosen]
        column = np.arange(length.max())
        mask = column < length[:, None]  # (R, K)
        row = np.where(mask, self.units.start[chosen][:, None] + column, 0)
        candidates = np.where(mask, self.split.item[row], 0)
        items, history, candidates = self._distinct(history, candidates)
        return RequestBatch(
            torch.from_numpy(items),
            torch.from_numpy(history),
            torch.from_numpy(history_mask),
            torch.from_numpy(candidates),
            torch.from_numpy(mask),
            torch.from_numpy(np.flatnonzero(mask)),
            _context(self.split.request_ids, self.split.request_numbers, request),
            _context(self.split.candidate_ids, self.split.candidate_numbers, row, mask),
            torch.from_numpy(np.where(mask, self.split.label[row], 0).astype(np.float32)),
            torch.from_numpy(np.where(mask, self.split.row_id[row], -1).astype(np.int64)),
            torch.from_numpy(np.asarray(self.split.group[request], np.int64)),
            None if kinds is None else distinct_events(history, kinds, len(items), self.most_kinds),
        )

    def _places(self, request: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Where the entries of the histories lie in the store [R, L], and which are real."""
        full = np.asarray(self.split.history_length[request], np.int64)
        length = np.minimum(full, self.max_history)
        width = int(length.max(initial=0))
        back = width - np.arange(width)  # left-padded: the newest item is 1 back
        mask = back <= length[:, None]  # (R, L)
        end = np.asarray(self.split.history_start[request], np.int64) + full
        return np.where(mask, end[:, None] - back, 0), mask

    def _distinct(self, history: Ints, candidates: Ints) -> tuple[Ints, Ints, Ints]:
        self.in_batch[history.ravel()] = True
        self.in_batch[candidates.ravel()] = True
        self.in_batch[0] = True
        items = np.flatnonzero(self.in_batch)  # (U,) sorted, items[0] == 0
        self.in_batch[items] = False
        self.place[items] = np.arange(len(items))
        return items, self.place[history], self.place[candidates]


def _masked(values: NDArray[np.integer[Any]], place: Ints, mask: NDArray[np.bool_]) -> Ints:
    """The values at the places, 0 where masked."""
    entries = values[place] if len(values) else np.zeros(place.shape, np.int64)
    return np.where(mask, entries, 0).astype(np.int64)


def _context(
    ids: NDArray[np.int32],
    numbers: NDArray[np.float32],
    index: Ints,
    mask: NDArray[np.bool_] | None = None,
) -> Context:
    chosen_ids, chosen_numbers = ids[index].astype(np.int64), numbers[index].astype(np.float32)
    if mask is not None:
        chosen_ids[~mask] = 0
        chosen_numbers[~mask] = 0
    return Context(torch.from_numpy(chosen_ids), torch.from_numpy(chosen_numbers))
