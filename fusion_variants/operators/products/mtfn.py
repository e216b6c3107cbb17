"""Rank-constrained tensor fusion: W Σ_r Π_m V_m^(r) [x_m; 1] + b, factor 1 for an absent slot."""

from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, factors, one_token


class Mtfn(FusionOperator):
    """Products of all slots. `bias=False` is the formula as published, without the constant 1: then
    only products of all present slots are left, and neither one slot nor a pair of three can be
    followed unless the tokens themselves hold a constant.
    """

    name: ClassVar[str] = "mtfn"
    paper: ClassVar[str] = "Wang et al. 2019, ACM MM"
    choices: ClassVar = {"rank": (5, 10, 20), "hidden": (16, 32), "bias": (True, False)}
    most_slots: ClassVar[int | None] = 4

    def __init__(
        self, slots: int, d: int, *, rank: int = 20, hidden: int = 32, bias: bool = True
    ) -> None:
        super().__init__(slots, d)
        self.rank = rank
        self.factor = SlotLinear(slots, d, rank * hidden, bias=bias)
        self.mix = Flat([hidden, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        each = factors(self.factor(cleared(x, present)), present)  # (..., M, R * h)
        product = reduce(torch.mul, each.unbind(-2))  # (..., R * h)
        return one_token(self.mix(torch.unflatten(product, -1, (self.rank, -1)).sum(-2)), present)
