"""The real part of a batch: its real rows, and the real entries of each row's history.

Axes: R requests, K candidates, L history, all padded; N real rows, P real (row, entry) pairs, n
codes of a history's role.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 1 << 20  # numbers of a block of rows on a CPU: they stay in the processor's cache


def at(table: Tensor, place: Tensor) -> Tensor:
    """`table[place]`: a table [n, ...] at int64 places [...], with a backward that sums rows
    directly.

    The backward of indexing would first sort millions of equal padding places: on a GPU, nine
    tenths of a training step.
    """
    return table.index_select(0, place.flatten()).view(*place.shape, *table.shape[1:])


def at_in(kind: torch.dtype, table: Tensor, place: Tensor) -> Tensor:
    """`at` for a table [n, D] and places [P] with the result in type `kind`; on a GPU the backward
    sums in the table's own type. A GPU rounds after each addend, so that a bf16 sum of some hundred
    equal numbers stops growing; a CPU sums bf16 in float32."""
    if kind == table.dtype or not table.is_cuda:
        return at(table.to(kind), place)
    looked_up: Tensor = _Narrowed.apply(table, place, kind)  # type: ignore[no-untyped-call]
    return looked_up


class _Narrowed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, place: Tensor, kind: torch.dtype) -> Tensor:
        ctx.save_for_backward(place)
        ctx.shape, ctx.dtype = table.shape, table.dtype
        return at(table.to(kind), place)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        (place,) = ctx.saved_tensors
        total = grad.new_zeros(ctx.shape, dtype=ctx.dtype)
        for block in blocks(len(place), grad):
            total.index_add_(0, place[block], grad[block].to(ctx.dtype))
        return total, None, None


def blocks(count: int, like: Tensor) -> Iterator[slice]:
    """Consecutive blocks of `count` rows as wide as `like` [., D]; on a GPU one block."""
    size = count if like.is_cuda else max(1, BLOCK // max(1, like.shape[-1]))
    for start in range(0, count, max(1, size)):
        yield slice(start, start + size)


class HistoryPairs(NamedTuple):
    """All pairs of a row and a real entry of its history, row by row."""

    row: Tensor  # [P] which of the N rows
    code: Tensor  # [P] which of the n codes
    start: Tensor  # [N] the first pair of a row

    def sums(self, weight: Tensor, values: Tensor) -> Tensor:
        """Sums of codes' values [n, D] with weights [P] over each row's pairs: [N, D]; 0 without a
        pair."""
        return functional.embedding_bag(
            self.code, values, self.start, mode="sum", per_sample_weights=weight.to(values.dtype)
        )

    def softmax(self, score: Tensor) -> Tensor:
        """Scores [P] to weights [P] that sum to 1 over each row's pairs."""
        lowest = score.new_full(self.start.shape, torch.finfo(score.dtype).min)
        top = lowest.scatter_reduce(0, self.row, score.detach(), "amax")
        power = (score - at(top, self.row)).exp()
        return power / at(score.new_zeros(self.start.shape).index_add(0, self.row, power), self.row)

    def shares(self, bucket: Tensor, count: int, like: Tensor) -> Tensor:
        """The share of each row's pairs in each of `count` buckets, of [P] to [N, count]."""
        ones = torch.ones(len(bucket), dtype=like.dtype, device=like.device)
        flat = ones.new_zeros(len(self.start) * count)
        counts = flat.index_add(0, self.row * count + bucket, ones).view(-1, count)
        return counts / counts.sum(-1, keepdim=True).clamp(min=1.0)


def in_blocks(
    scores: Callable[[HistoryPairs], Tensor], pairs: HistoryPairs, like: Tensor
) -> Tensor:
    """`scores` [P] of all pairs; in blocks of pairs with layers as wide as `like` [., H] where no
    backward will need them, so that those of all pairs are not held at a time."""
    if torch.is_grad_enabled():
        return scores(pairs)
    parts = (
        scores(pairs._replace(row=pairs.row[block], code=pairs.code[block]))
        for block in blocks(len(pairs.row), like)
    )
    return torch.cat([like.new_zeros(0), *parts])


class Packed:
    """The places of a batch's real rows and of the real entries of their histories."""

    def __init__(
        self,
        place: Tensor,
        mask: Tensor,
        rows: Tensor,
        candidates: int,
        entries: Tensor | None = None,
        count: int | None = None,
    ) -> None:
        """Codes of histories are at `place` [R, L] where `mask` is True; rows [N] are flat places
        in R * K.

        If `entries` [E] (flat places in R * L where `mask` is True) and the `count` of pairs are
        given, the device need not be waited for.
        """
        self.place, self.mask, self.rows, self.candidates = place, mask, rows, candidates
        self.entries, self.count = entries, count
        self.request = rows // candidates  # [N]
        self.single = candidates == 1 and len(rows) == len(place)  # a row a request, in order

    def of(self, present: Tensor) -> "Packed":
        """The same without the entries whose codes are not `present` [n]."""
        mask = self.mask & at(present, self.place)
        return Packed(self.place, mask, self.rows, self.candidates)

    @cached_property
    def pairs(self) -> HistoryPairs:
        """Every real row with every real entry of its history."""
        length = self.mask.sum(1)  # [R]
        if self.entries is None:
            code = self.place[self.mask]  # [E], request by request
        else:
            code = at(self.place.flatten(), self.entries)
        first = length.cumsum(0) - length
        own = at(length, self.request)  # [N]
        start = own.cumsum(0) - own
        rows = torch.arange(len(own), device=own.device)
        row = rows.repeat_interleave(own, output_size=self.count)
        if self.single:
            return HistoryPairs(row, code, start)
        within = torch.arange(len(row), device=own.device) - at(start, row)
        return HistoryPairs(row, at(code, at(at(first, self.request), row) + within), start)

    @cached_property
    def unrolled(self) -> tuple[Tensor, Tensor]:
        """Places [N, L] and mask [N, L] of each row's own history, padded."""
        if self.single:
            return self.place, self.mask
        return at(self.place, self.request), at(self.mask, self.request)

    @property
    def some(self) -> Tensor:
        """[N] bool: whether a row's history has any entry."""
        return at(self.mask.any(-1), self.request)

    def grid(self, x: Tensor) -> Tensor:
        """Rows [N, F] in the padded places of their requests, [R, K, F], 0 where there is none."""
        shape = (len(self.place), self.candidates)
        empty = x.new_zeros(shape[0] * shape[1], x.shape[-1])
        return empty.index_copy(0, self.rows, x).view(*shape, x.shape[-1])

    def apart(self) -> "Packed":
        """The same for histories whose codes are computed once a pair, [P, .] in the order of
        `pairs`."""
        _, mask = self.unrolled
        place = (mask.flatten().cumsum(0).view(mask.shape) - 1).clamp(min=0)
        return Packed(place, mask, torch.arange(len(mask), device=mask.device), 1)
