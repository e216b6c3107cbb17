"""Makes batches on the GPU from a log that lies in its memory: ids, labels and contexts, no
vectors.

The batches equal those of `Batcher` in every number and come in the same order. Batch sizes follow
from lengths that the host knows, and the number of distinct items of each batch is counted for a
whole epoch before it begins, so that no batch waits for the device.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusefront.baselines.contract import Context, Events, RequestBatch
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher, Ints, cut_batches

SHARE = 0.5  # of the device's free memory that a log may take


class HistoryLog(NamedTuple):
    """The histories of all splits on a device."""

    items: Tensor  # [V] int32
    kinds: Tensor | None  # [V] uint8


class Sizes(NamedTuple):
    """The sizes of one batch, known on the host."""

    candidates: int  # K, the widest request
    rows: int  # N
    history: int  # L, the longest
    entries: int  # E, of all histories
    pairs: int  # P, of rows and the entries of their histories


class Distinct(NamedTuple):
    """How many distinct items a batch holds, and distinct events where kinds of events are told
    apart; padding counts as one of each."""

    items: int
    events: int


def make_batcher(
    store: PreparedDataset,
    split: str,
    max_candidates: int,
    device: torch.device,
    log: HistoryLog | None = None,
) -> Batcher:
    """A batcher of `split` that works on the GPU if the log fits into `SHARE` of its free memory,
    else on the host.

    `log`: histories that are on the device already, from another split.
    """
    if device.type == "cuda" and device_bytes(store, split) <= SHARE * _free(device):
        return ResidentBatcher(store, split, max_candidates, device, log)
    return Batcher(store, split, max_candidates)


def device_bytes(store: PreparedDataset, split: str) -> int:
    """Bytes that a split, the histories and the orders of an epoch take on a device."""
    rows = store.split(split)
    columns = (rows.request_ids, rows.request_numbers, rows.candidate_ids, rows.candidate_numbers)
    requests, items = len(rows.group), len(rows.item)
    kinds = 0 if store.history_kinds is None else store.history_kinds.nbytes
    values = int(store.history_values.nbytes) + kinds + sum(part.nbytes for part in columns)
    of_request, of_row, of_unit = 24, 13, 32  # units are as many as rows at most
    return int(values + of_request * requests + of_row * items + of_unit * items)


def _free(device: torch.device) -> int:
    free, _ = torch.cuda.mem_get_info(device)
    return int(free)


def history_log(store: PreparedDataset, device: torch.device) -> HistoryLog:
    """The store's histories on a device."""
    kinds = store.history_kinds
    values = _placed(store.history_values, device)
    return HistoryLog(values, None if kinds is None else _placed(kinds, device))


def _placed(values: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(values)).to(device)


class ResidentBatcher(Batcher):
    """`Batcher` whose split lies on a device, where its batches are made."""

    def __init__(
        self,
        store: PreparedDataset,
        split: str,
        max_candidates: int,
        device: torch.device,
        log: HistoryLog | None = None,
    ) -> None:
        super().__init__(store, split, max_candidates)
        self.device = device
        self.log = history_log(store, device) if log is None else log
        columns = self.split
        self.unit_request, self.unit_start, self.unit_length = (
            _placed(part, device) for part in self.units.at(np.arange(len(self.units)))
        )
        full = np.asarray(columns.history_length, np.int64)
        self.length = np.minimum(full, self.max_history)  # [R], the host's
        end = np.asarray(columns.history_start, np.int64) + full
        self.first_entry = _placed(end - self.length, device)
        self.request_length = _placed(self.length, device)
        self.group = _placed(columns.group, device)
        self.request_columns = [
            _placed(columns.request_ids, device),
            _placed(columns.request_numbers, device),
        ]
        self.item, self.label = _placed(columns.item, device), _placed(columns.label, device)
        self.row_id = _placed(columns.row_id, device)
        self.candidate_columns = [
            _placed(columns.candidate_ids, device),
            _placed(columns.candidate_numbers, device),
        ]

    def batches(self, batch_rows: int, order: Ints | None = None) -> Iterator[RequestBatch]:
        """The batches of `Batcher.batches`; waits for the device once, before the first batch."""
        order = np.arange(len(self.units)) if order is None else order
        if not len(order):
            return
        yield from self._stream(order, cut_batches(self.units.lengths(order), batch_rows))

    def batch(self, chosen: Ints) -> RequestBatch:
        """The units with indices `chosen` [k] as one batch."""
        return next(self._stream(chosen, np.array([len(chosen)])))

    def _stream(self, order: Ints, ends: Ints) -> Iterator[RequestBatch]:
        """Batches of the units in `order` [n], cut at `ends` [batches]."""
        begins = np.append(0, ends[:-1])
        sizes = self._sizes(order, begins)
        units = _placed(order, self.device).tensor_split(ends[:-1].tolist())
        counts = self._counts(units, sizes)
        for part, size, count in zip(units, sizes, counts, strict=True):
            yield self._batch(part, size, count)

    def _sizes(self, order: Ints, begins: Ints) -> list[Sizes]:
        request, _, rows = self.units.at(order)
        length = self.length[request]
        total, most = np.add.reduceat, np.maximum.reduceat
        columns = (
            most(rows, begins),
            total(rows, begins),
            most(length, begins),
            total(length, begins),
            total(rows * length, begins),
        )
        return [Sizes(*map(int, each)) for each in zip(*columns, strict=True)]

    def _counts(self, units: Sequence[Tensor], sizes: list[Sizes]) -> list[Distinct]:
        """The number of distinct items and events of each batch, fetched from the device in one
        transfer."""
        counts = []
        for chosen, size in zip(units, sizes, strict=True):
            entry, row = self._lists(chosen, size)
            history = self.log.items[entry.place].long()
            keys = torch.cat([history, self.item[row.place].long()])
            counts.append(_flags(keys, len(self.in_batch)).sum())
            if self.log.kinds is not None:
                keys = self._events(history, self.log.kinds[entry.place])
                counts.append(_flags(keys, len(self.in_batch) * (self.most_kinds + 1)).sum())
        numbers = torch.stack(counts).tolist()
        if self.log.kinds is None:
            return [Distinct(items, 0) for items in numbers]
        return [Distinct(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]

    def _events(self, items: Tensor, kinds: Tensor) -> Tensor:
        return items * (self.most_kinds + 1) + kinds

    def _lists(self, chosen: Tensor, size: Sizes) -> "tuple[_Lists, _Lists]":
        """For units [k]: the entries of their histories, padded on the left, and their rows, padded
        on the right."""
        request = self.unit_request[chosen]
        first, length = self.first_entry[request], self.request_length[request]
        start, rows = self.unit_start[chosen], self.unit_length[chosen]
        return (
            _Lists.of(first, length, size.history, size.entries, left=True),
            _Lists.of(start, rows, size.candidates, size.rows, left=False),
        )

    def _batch(self, chosen: Tensor, size: Sizes, count: Distinct) -> RequestBatch:
        """Units [k] as one batch of these sizes."""
        request = self.unit_request[chosen]
        entries, rows = self._lists(chosen, size)
        history = self.log.items[entries.place].long()
        candidates = self.item[rows.place].long()
        items, place = _ranked(torch.cat([history, candidates]), len(self.in_batch), count.items)
        events = None
        if self.log.kinds is not None:
            keys = self._events(history, self.log.kinds[entries.place])
            every = len(self.in_batch) * (self.most_kinds + 1)
            pairs, rank = _ranked(keys, every, count.events)
            events = Events(
                place[pairs // (self.most_kinds + 1)],
                pairs % (self.most_kinds + 1),
                entries.padded(rank[keys]),
            )
        request_ids, request_numbers = (part[request] for part in self.request_columns)
        ids, numbers = (rows.padded(part[rows.place]) for part in self.candidate_columns)
        return RequestBatch(
            items,
            entries.padded(place[history]),
            entries.mask(),
            rows.padded(place[candidates]),
            rows.mask(),
            rows.slot,
            Context(request_ids.long(), request_numbers.float()),
            Context(ids.long(), numbers.float()),
            rows.padded(self.label[rows.place].float()),
            rows.padded(self.row_id[rows.place].long(), -1),
            self.group[request].long(),
            events,
            entries.slot,
            size.pairs,
        )


class _Lists(NamedTuple):
    """Lists of unequal length [k], one after the other and padded: [E] entries in [k, width]."""

    place: Tensor  # [E] where each entry lies in the log
    slot: Tensor  # [E] where it lies in the flat grid
    shape: tuple[int, int]  # k, width

    @classmethod
    def of(cls, start: Tensor, length: Tensor, width: int, total: int, *, left: bool) -> "_Lists":
        """Lists of `length` [k] entries, `total` in all, from `start` [k] on; padded on the left
        or the right."""
        shape = (len(length), width)
        if width == 1 and total == len(length):  # a row a request
            return cls(start, torch.arange(total, device=start.device), shape)
        lists = torch.arange(len(length), device=start.device)
        of = lists.repeat_interleave(length, output_size=total)  # (E,)
        before = length.cumsum(0) - length  # (k,)
        corner = lists * width + (width - length if left else 0)
        entry = torch.arange(total, device=start.device)
        return cls(entry + (start - before)[of], entry + (corner - before)[of], shape)

    def padded(self, values: Tensor, fill: int = 0) -> Tensor:
        """Values [E, ...] in the grid [k, width, ...], `fill` elsewhere."""
        rest, places = values.shape[1:], self.shape[0] * self.shape[1]
        if places == len(self.slot):
            return values.view(*self.shape, *rest)
        grid = values.new_full((places, *rest), fill)
        return grid.index_copy_(0, self.slot, values).view(*self.shape, *rest)

    def mask(self) -> Tensor:
        """Which places of the grid [k, width] hold an entry."""
        return self.padded(torch.ones(len(self.slot), dtype=torch.bool, device=self.slot.device))


def _flags(keys: Tensor, size: int) -> Tensor:
    """[size] int64: 1 at every number that is among `keys` [E], else 0."""
    flags = torch.zeros(size, dtype=torch.int64, device=keys.device)
    flags.index_fill_(0, keys, 1)
    flags[0] = 1
    return flags


def _ranked(keys: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """The distinct keys, 0 included, sorted [count], and for each number below `size` its index
    among them [size]."""
    flags = _flags(keys, size)
    rank = flags.cumsum(0) - 1
    into = torch.where(flags > 0, rank, count)  # numbers that are no keys go to a spare last place
    distinct = rank.new_empty(count + 1).scatter_(0, into, torch.arange(size, device=keys.device))
    return distinct[:count], rank
