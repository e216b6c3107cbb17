"""Adaptive sparse target attention of the quadratic interest network (Li et al. 2025, WWW
companion).

a_l = ReLU(q · k_l / √H) over the real items, not normalised; u = W_o Σ_l a_l v_l + t, with q = W_q
t,
k = W_k h, v = W_v h of width H. q, k and W_o v are made offline.
"""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Pooler


class SparseReluAttention(Pooler):
    """Attention in which items that do not match the candidate have weight exactly 0."""

    name: ClassVar[str] = "sparse_relu_attention"
    paper: ClassVar[str] = "Li et al. 2025, WWW companion (QIN)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"hidden": (0, 32, 64)}

    def __init__(self, width: int, *, hidden: int = 0) -> None:
        """`hidden` 0 = twice the width, as published."""
        super().__init__(width)
        self.hidden = hidden or 2 * width
        self.query, self.key, self.value = (
            nn.Linear(width, self.hidden, bias=False) for _ in range(3)
        )
        self.out = nn.Linear(self.hidden, width, bias=False)

    @property
    def width_out(self) -> int:
        return self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        return torch.cat([self.key(x), self.out(self.value(x))], -1)

    def prepare_target(self, x: Tensor) -> Tensor:
        return torch.cat([self.query(x) / sqrt(self.hidden), x], -1)

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        widths = [self.hidden, self.width]
        query, residual = torch.split(target, widths, -1)  # [R, K, H], [R, K, D]
        keys, values = torch.split(history, widths, -1)  # [R, (K,) L, H], [R, (K,) L, D]
        mask = mask.unsqueeze(1)  # [R, 1, L]
        if history.ndim == 4:
            score = (keys @ query.unsqueeze(-1)).squeeze(-1)  # [R, K, L]
            weight = score.relu().masked_fill(~mask, 0.0)
            return (weight.unsqueeze(-2) @ values).squeeze(-2) + residual
        score = query @ keys.transpose(1, 2)  # [R, K, L]
        return score.relu().masked_fill(~mask, 0.0) @ values + residual
