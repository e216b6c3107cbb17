"""Mixture of experts: Σ_e p_e E_e([X; q]), p = softmax(R [X; q]), E_e a two-layer network.

top_k = 0 uses every expert. Otherwise p keeps its k largest entries, rescaled to sum to one if
k > 1 (at k = 1 that would cut the router's gradient). Balance loss: weight * E Σ_e f_e P_e, f_e the
share of rows that choose expert e, P_e its mean p. All experts are computed and then weighted, so
top_k saves no work here.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, one_token, query_of_width


class MixtureOfExperts(FusionOperator):
    """Experts weighted by the content or the query."""

    name: ClassVar[str] = "moe"
    paper: ClassVar[str] = "Shazeer et al. 2017, ICLR; Fedus et al. 2022, JMLR (balance loss)"
    choices: ClassVar = {"experts": (2, 4, 8), "hidden": (32, 64, 128), "top_k": (0, 1, 2)}
    uses_query: ClassVar[bool] = True
    level: ClassVar[str] = "any"

    def __init__(
        self,
        slots: int,
        d: int,
        *,
        experts: int = 4,
        hidden: int = 64,
        top_k: int = 0,
        balance: float = 0.01,
        query_width: int = 0,
    ) -> None:
        super().__init__(slots, d)
        if not 0 <= top_k <= experts:
            raise ValueError(f"top_k is {top_k}; expected 0 (all) to the {experts} experts")
        self.experts, self.top_k = experts, top_k
        self.balance, self.query_width = balance, query_width
        width = slots * d + query_width
        self.route = Flat([width, experts])
        self.enter = Flat([width, experts * hidden])
        self.leave = SlotLinear(experts, hidden, d)

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        features = cleared(x, present).flatten(-2)  # (..., M * d)
        if self.query_width:
            features = torch.cat([features, query_of_width(query, self.query_width, self.name)], -1)
        weight = self.route(features).softmax(-1)  # (..., E)
        chosen = weight
        if self.top_k:
            best = weight.topk(self.top_k, -1).indices  # on ties no more than top_k
            chosen = weight * torch.zeros_like(weight).scatter(-1, best, 1.0)
        if self.top_k > 1:
            chosen = chosen / chosen.sum(-1, keepdim=True)
        inner = self.enter(features).relu().unflatten(-1, (self.experts, -1))  # (..., E, hidden)
        token = (chosen.unsqueeze(-2) @ self.leave(inner)).squeeze(-2)  # (..., d)
        loss = self._balance(weight, present) if self.training and self.balance else None
        return one_token(token, present, loss)  # (..., 1, d)

    def _balance(self, weight: Tensor, present: Tensor) -> Tensor:
        rows = weight[present.any(-1)].float()  # (N, E)
        if not len(rows):
            return weight.new_zeros(())
        k = max(self.top_k, 1)
        picked = torch.zeros_like(rows).scatter(-1, rows.topk(k, -1).indices, 1.0 / k)
        return self.balance * self.experts * (picked.mean(0) * rows.mean(0)).sum()
