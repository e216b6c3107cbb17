"""Low-rank multimodal fusion: Σ_r w_r Π_m F_m^(r) [x_m; 1] + b, factor 1 for an absent slot."""

from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import SlotLinear
from fusefront.fusion_variants.presence import cleared, factors, one_token


class Lmf(FusionOperator):
    """The tensor of all products, with its weight tensor cut to rank R."""

    name: ClassVar[str] = "lmf"
    paper: ClassVar[str] = "Liu et al. 2018, ACL"
    choices: ClassVar = {"rank": (2, 4, 5, 8)}
    most_slots: ClassVar[int | None] = 4

    def __init__(self, slots: int, d: int, *, rank: int = 5) -> None:
        super().__init__(slots, d)
        self.rank = rank
        self.factor = SlotLinear(slots, d, rank * d)  # its bias is the column of the constant 1
        assert self.factor.bias is not None
        nn.init.ones_(
            self.factor.bias
        )  # factors start around 1, so that sums and products both pass
        self.weight = nn.Parameter(torch.randn(1, rank) * rank**-0.5)
        self.bias = nn.Parameter(torch.zeros(d))

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        each = factors(self.factor(cleared(x, present)), present)  # (..., M, R * d)
        product = reduce(torch.mul, each.unbind(-2))  # (..., R * d)
        token = self.weight @ torch.unflatten(product, -1, (self.rank, self.d))  # (..., 1, d)
        return one_token(token.squeeze(-2) + self.bias, present)  # (..., 1, d)
