"""MUTAN: Tucker fusion, W Σ_r Π_m V_m^(r) tanh(P_m x_m + p_m) + b, factor 1 for an absent slot.

The core tensor of Tucker's decomposition is cut to rank R; factors start around 1 (a bias in V), so
that sums and products both get through.
"""

from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, factors, one_token


class Mutan(FusionOperator):
    """Products of squashed projections of all slots."""

    name: ClassVar[str] = "mutan"
    paper: ClassVar[str] = "Ben-younes et al. 2017, ICCV"
    choices: ClassVar = {"rank": (2, 5, 10), "inner": (8, 16, 32), "hidden": (16, 32)}
    most_slots: ClassVar[int | None] = 4

    def __init__(
        self, slots: int, d: int, *, rank: int = 5, inner: int = 16, hidden: int = 32
    ) -> None:
        super().__init__(slots, d)
        self.rank = rank
        self.squash = SlotLinear(slots, d, inner)
        self.factor = SlotLinear(slots, inner, rank * hidden, gain=3**0.5)
        assert self.factor.bias is not None
        with torch.no_grad():
            nn.init.ones_(self.factor.bias)
            sign = torch.arange(rank) % 2 * 2.0 - 1.0  # products start around 1 and -1 in turn
            self.factor.bias[0] *= sign.repeat_interleave(hidden)
        self.mix = Flat([hidden, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        inner = self.squash(cleared(x, present)).tanh()  # (..., M, k)
        each = factors(self.factor(inner), present)  # (..., M, R * h)
        product = reduce(torch.mul, each.unbind(-2))  # (..., R * h)
        return one_token(self.mix(torch.unflatten(product, -1, (self.rank, -1)).sum(-2)), present)
