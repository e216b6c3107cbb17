"""Shared and specific: s_m = S x_m what modalities repeat, p_m = P_m x_m what each adds.

Output W [mean of present s_m; p_1; ...; p_M] + b. Training adds weight * (mean over pairs of
1 - cos(s_i, s_j) + mean over slots of cos²(s_m, p_m)).
"""

from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.contrast import mean_where
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, one_token


class SharedSpecific(FusionOperator):
    """One map for the common part, one a slot for the specific part, separated by a loss."""

    name: ClassVar[str] = "shared_specific"
    paper: ClassVar[str] = "Bousmalis et al. 2016, NeurIPS; Hazarika et al. 2020, ACM MM (MISA)"
    choices: ClassVar = {"weight": (0.01, 0.1)}

    def __init__(self, slots: int, d: int, *, weight: float = 0.1) -> None:
        super().__init__(slots, d)
        self.weight = weight
        self.shared = Flat([d, d], bias=False)
        self.specific = SlotLinear(slots, d, d, bias=False)
        self.mix = Flat([(slots + 1) * d, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        shared, specific = self.shared(x), self.specific(x)  # (..., M, d), 0 where absent
        count = present.sum(-1, keepdim=True).clamp_min(1)  # (..., 1)
        common = shared.sum(-2) / count  # (..., d)
        token = self.mix(torch.cat([common, specific.flatten(-2)], -1))
        loss = self._apart(shared, specific, present) if self.training and self.weight else None
        return one_token(token, present, loss)  # (..., 1, d)

    def _apart(self, shared: Tensor, specific: Tensor, present: Tensor) -> Tensor:
        left, right = zip(*combinations(range(self.slots), 2), strict=True)
        both = present[..., left] & present[..., right]  # (..., P)
        alike = cosine_similarity(shared[..., left, :], shared[..., right, :], dim=-1)
        overlap = cosine_similarity(shared, specific, dim=-1) ** 2  # (..., M)
        return self.weight * (mean_where(1.0 - alike, both) + mean_where(overlap, present))
