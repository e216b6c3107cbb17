"""Small layers that export to fast graphs: two-dimensional products, no einsum."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


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
    """A linear layer of its own for each slot: one batched product.

    Outputs start with a variance of gain² / 3 times that of the inputs; layers whose outputs are
    multiplied need 1 (gain = √3), or the product of M of them starts at next to nothing.
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
        slots, width_in, width_out = self.weight.shape
        rows = x.reshape(-1, slots, width_in).transpose(0, 1)  # (M, N, in)
        if self.bias is None:
            y = torch.bmm(rows, self.weight)
        else:
            y = torch.baddbmm(self.bias, rows, self.weight)  # (M, N, out)
        return y.transpose(0, 1).reshape(*x.shape[:-1], width_out)
