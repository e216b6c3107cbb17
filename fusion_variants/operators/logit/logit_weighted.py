"""Learned weights for the towers' logits: Σ_m softmax(w + log π)_m f_m, presence π."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token


class LogitWeighted(FusionOperator):
    """Late fusion; the weights of the towers that are there sum to one; d = 1."""

    name: ClassVar[str] = "logit_weighted"
    paper: ClassVar[str] = "Snoek et al. 2005, ACM MM (late fusion)"
    level: ClassVar[str] = "logit"

    def __init__(self, slots: int, d: int) -> None:
        super().__init__(slots, d)
        self.weight = nn.Parameter(torch.zeros(slots))

    @property
    def tokens_out(self) -> int:
        return 1

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """The weight of each tower [..., M]; absent towers weigh 0 if any is there."""
        return (self.weight + absent_bias(present, self.weight.dtype)).softmax(-1)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        weight = self.weights(x, present)  # (..., M)
        return one_token((weight.unsqueeze(-2) @ cleared(x, present)).squeeze(-2), present)
