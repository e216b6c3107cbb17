"""Small layers that export to fast graphs: two-dimensional products, no einsum."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Flat(nn.Module):
    """Linear layers with ReLU between, over the last axis.

    Leading axes are folded into one first: runtimes fuse product, bias and ReLU of a 2-D `addmm`.
    """

    def __init__(self, widths: Sequence[int], *, bias: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., widths[0]] -> [..., widths[-1]]."""
        lead = x.shape[:-1]
        y = x if x.dim() == 2 else x.reshape(-1, x.shape[-1])
        for index, layer in enumerate(self.layers):
            y = layer(y if index == 0 else y.relu())
        return y if x.dim() == 2 else y.reshape(*lead, y.shape[-1])


class SlotLinear(nn.Module):
    """A separate linear layer for each slot, computed as one batched product.

    Outputs start with a variance of gain² / 3 times that of the inputs. If the outputs of M layers
    are multiplied, the factor must be 1 (gain = √3), else their product starts near 0.
    """

    def __init__(
        self, slots: int, width_in: int, width_out: int, *, bias: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        bound = gain * width_in**-0.5
        self.weight = nn.Parameter(torch.empty(slots, width_in, width_out).uniform_(-bound, bound))
        self.bias = (
            nn.Parameter(torch.empty(slots, 1, width_out).uniform_(-bound, bound)) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """x [..., M, width_in] -> [..., M, width_out]."""
        return slot_linear(x, self.weight, self.bias)


class Chain(nn.Sequential):
    """Linear layers, all `Flat` of one layer or all `SlotLinear`, the first of two without bias.

    In evaluation, which is what is exported, two are one matrix where that costs less.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x [..., width_in] (`SlotLinear`: [..., M, width_in]) -> [..., width_out]."""
        if self.training or len(self) < 2:
            return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
        (narrow, _), (wide, bias) = (_matrix(layer) for layer in self)
        width_in, rank, width_out = *narrow.shape[-2:], wide.shape[-1]
        if rank * (width_in + width_out) <= width_in * width_out:
            return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
        matrix = narrow @ wide
        if matrix.ndim == 3:
            return slot_linear(x, matrix, bias)
        return flat_linear(x, matrix.T, bias)


def _matrix(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """A layer's matrix [(M,) width_in, width_out], and its bias."""
    if isinstance(layer, SlotLinear):
        return layer.weight, layer.bias
    assert isinstance(layer, Flat)
    (only,) = layer.layers
    assert isinstance(only, nn.Linear)
    return only.weight.T, only.bias


def flat_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., in], weight [out, in], bias [out] -> [..., out], as one two-dimensional product."""
    y = linear(x.reshape(-1, x.shape[-1]), weight, bias)
    return y.reshape(*x.shape[:-1], weight.shape[0])


def slot_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [..., M, in], weight [M, in, out], bias [M, 1, out] -> [..., M, out]."""
    slots, width_in, width_out = weight.shape
    rows = x.reshape(-1, slots, width_in).transpose(0, 1)  # (M, N, in)
    y = torch.bmm(rows, weight) if bias is None else torch.baddbmm(bias, rows, weight)
    return y.transpose(0, 1).reshape(*x.shape[:-1], width_out)
