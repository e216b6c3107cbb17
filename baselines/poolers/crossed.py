"""W (t ⊙ h) over real pairs, without a tensor of all their products.

t and h are as wide as an item, there are many more pairs than rows, and autograd would keep three
tensors of pairs x width for the backward. Here blocks of pairs are multiplied and forgotten, and
made again in the backward: less memory, and each block stays in the processor's cache.
"""

from typing import Any

import torch
from torch import Tensor

from fusefront.baselines.packed import HistoryPairs, at, blocks


def crossed(target: Tensor, history: Tensor, weight: Tensor, pairs: HistoryPairs) -> Tensor:
    """Targets t [N, D] times codes h [n, D] of their pairs through a weight [H, D]: [P, H]."""
    product: Tensor = _Crossed.apply(target, history, weight, pairs.row, pairs.code)  # type: ignore[no-untyped-call]
    return product


class _Crossed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, target: Tensor, history: Tensor, weight: Tensor, row: Tensor, code: Tensor
    ) -> Tensor:
        ctx.save_for_backward(target, history, weight, row, code)
        kind = target.device.type
        half = torch.is_autocast_enabled(kind)
        ctx.dtype = torch.get_autocast_dtype(kind) if half else target.dtype
        turned = weight.T.to(ctx.dtype)
        out = target.new_empty(len(row), len(weight), dtype=ctx.dtype)
        for block in blocks(len(row), target):
            both = at(target, row[block]).mul_(at(history, code[block]))
            torch.mm(both.to(ctx.dtype), turned, out=out[block])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (grad,) = grads
        target, history, weight, row, code = ctx.saved_tensors
        of_target, of_history = torch.zeros_like(target), torch.zeros_like(history)
        of_weight = torch.zeros_like(weight)
        half = weight.to(ctx.dtype)
        for block in blocks(len(row), target):
            t, h = at(target, row[block]), at(history, code[block])
            of_weight += (grad[block].T @ (t * h).to(ctx.dtype)).to(weight.dtype)
            of_both = (grad[block] @ half).to(target.dtype)  # [B, D]
            of_target.index_add_(0, row[block], h.mul_(of_both))
            of_history.index_add_(0, code[block], t.mul_(of_both))
        return of_target, of_history, of_weight, None, None
