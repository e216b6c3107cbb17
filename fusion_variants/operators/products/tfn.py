"""Tensor fusion: W vec(⊗_m [P_m x_m; 1]) + b with P_m to k numbers: (k + 1)^M products.

An absent slot is [0; 1]: what is left is the tensor of the other slots.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, one_token

MOST_TERMS = 200_000


class TensorFusion(FusionOperator):
    """Every product of every subset of slots."""

    name: ClassVar[str] = "tfn"
    paper: ClassVar[str] = "Zadeh et al. 2017, EMNLP"
    choices: ClassVar = {"k": (4, 8, 16)}
    most_slots: ClassVar[int | None] = 4

    def __init__(self, slots: int, d: int, *, k: int = 8) -> None:
        super().__init__(slots, d)
        terms = (k + 1) ** slots
        if terms > MOST_TERMS:
            raise ValueError(
                f"tfn: {slots} slots at k = {k} make {terms} products; "
                f"expected at most {MOST_TERMS}; choose a smaller k or 'lmf'"
            )
        self.narrow = SlotLinear(slots, d, k, bias=False, gain=3**0.5)
        self.mix = Flat([terms, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        narrow = self.narrow(cleared(x, present))  # (..., M, k)
        ones = torch.cat([narrow, torch.ones_like(narrow[..., :1])], -1)  # (..., M, k + 1)
        first, *others = ones.unbind(-2)
        for other in others:
            first = (first.unsqueeze(-1) * other.unsqueeze(-2)).flatten(-2)  # (..., (k + 1)^m)
        return one_token(self.mix(first), present)  # (..., 1, d)
