"""Scalar gate: g = softmax(W_2 ReLU(W_1 [X; q]) + log π), output Σ_m g_m x_m, presence π.

With a query the weights depend on it (who asks); at placement `logit` x holds the towers' logits
(d = 1) and the query carries the features that decide whom to believe.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token, query_of_width


class ScalarGate(FusionOperator):
    """One weight a slot, summing to 1 over the present slots; `weights` returns them."""

    name: ClassVar[str] = "scalar_gate"
    paper: ClassVar[str] = "Jacobs et al. 1991, Neural Computation (gating)"
    choices: ClassVar = {"hidden": (16, 32, 64)}
    uses_query: ClassVar[bool] = True
    level: ClassVar[str] = "any"

    def __init__(self, slots: int, d: int, *, hidden: int = 64, query_width: int = 0) -> None:
        super().__init__(slots, d)
        self.query_width = query_width
        self.score = Flat([slots * d + query_width, hidden, slots])

    @property
    def tokens_out(self) -> int:
        return 1

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """The weight of each slot [..., M]; absent slots weigh 0 if any slot is present."""
        features = cleared(x, present).flatten(-2)  # (..., M * d)
        if self.query_width:
            features = torch.cat([features, query_of_width(query, self.query_width, self.name)], -1)
        score: Tensor = self.score(features)  # (..., M)
        return (score + absent_bias(present, score.dtype)).softmax(-1)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        weight = self.weights(x, present, query).unsqueeze(-2)  # (..., 1, M)
        return one_token((weight @ cleared(x, present)).squeeze(-2), present)  # (..., 1, d)
