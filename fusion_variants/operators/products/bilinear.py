"""Bilinear pairs: p_ij = (W x_i) ⊙ x_j for i < j, then V [x_1; ...; x_M; p_12; ...] + b.

W is one matrix ("all"), one per left slot ("each") or one per pair ("interaction"), full or of
rank r (W = A B, in evaluation one matrix where that costs less). A pair counts where both slots are
there.
"""

from itertools import combinations, pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.choice import one_of
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Chain, Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, one_token


class Bilinear(FusionOperator):
    """Products of all pairs of slots, after a learned linear map of the left one."""

    name: ClassVar[str] = "bilinear"
    paper: ClassVar[str] = "Huang et al. 2019, RecSys (FiBiNET)"
    choices: ClassVar = {"sharing": ("all", "each", "interaction"), "rank": (0, 4, 16)}

    def __init__(self, slots: int, d: int, *, sharing: str = "all", rank: int = 0) -> None:
        super().__init__(slots, d)
        pairs = list(combinations(range(slots), 2))
        self.left, self.right = [i for i, _ in pairs], [j for _, j in pairs]
        matrices = {"all": 1, "each": slots - 1, "interaction": len(pairs)}
        self.sharing = one_of("sharing", sharing, matrices)
        widths = [d, rank, d] if rank else [d, d]
        self.turn = Chain(*(_turn(matrices[sharing], a, b) for a, b in pairwise(widths)))
        self.mix = Flat([(slots + len(pairs)) * d, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        if self.sharing == "interaction":
            turned = self.turn(x[..., self.left, :])  # (..., P, d)
        else:
            turned = self.turn(x[..., :-1, :])[..., self.left, :]
        pairs = turned * x[..., self.right, :]  # (..., P, d): 0 unless both are there
        return one_token(self.mix(torch.cat([x, pairs], -2).flatten(-2)), present)


def _turn(matrices: int, width_in: int, width_out: int) -> nn.Module:
    if matrices == 1:
        return Flat([width_in, width_out], bias=False)
    return SlotLinear(matrices, width_in, width_out, bias=False)
