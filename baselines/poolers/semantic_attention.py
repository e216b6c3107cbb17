"""Semantic-aware target attention (SA-TA of MUSE): ids attend, content says how alike items are.

a_l = q · k_l / √d, s_l = ρ cos(g_t, g_l); logit_l = β_1 a_l + β_2 s_l + β_3 a_l s_l; per head
u = Σ_l softmax(logit_l) v_l with q = W_q t + b, k = W_k h, v = W_v h made offline; ρ starts at 10,
every β at 1. The authors' code learns τ = 1 / ρ, which a large step turns through zero, puts x σ(x)
around all three projections and does not scale a_l.
"""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Pooler
from fusefront.baselines.initial import near_identity
from fusefront.baselines.poolers.masking import additive, alive
from fusefront.baselines.poolers.similarity import cosines, direction


class SemanticAttention(Pooler):
    """Attention weighted by ids and by content together."""

    name: ClassVar[str] = "semantic_attention"
    paper: ClassVar[str] = "Wu et al. 2025, arXiv 2512.07216 (MUSE's SA-TA)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"heads": (1, 2, 4)}

    def __init__(self, width: int, *, heads: int = 2, content: int = 0) -> None:
        """`content` is the width of what similarity is taken over; 0 = the vectors themselves."""
        super().__init__(width)
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}; choose a divisor")
        self.heads, self.content = heads, content or width
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.key.weight, std=0.1 / sqrt(width))  # starts by content alone
        self.value = near_identity(nn.Linear(width, width, bias=False))
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), 10.0))
        self.beta = nn.Parameter(torch.ones(3, heads, 1, 1))

    @property
    def width_out(self) -> int:
        return self.width

    def history_code(self, x: Tensor, content: Tensor) -> Tensor:
        """Vectors [..., D] that are read and content [..., C] that is compared, to
        [..., 2 D + C]."""
        return torch.cat([self.key(x), self.value(x), direction(content)], -1)

    def target_code(self, x: Tensor, content: Tensor) -> Tensor:
        """The same of a candidate, [..., D + C]."""
        query = self.query(x) / sqrt(self.width // self.heads)
        return torch.cat([query, direction(content)], -1)

    def prepare_history(self, x: Tensor) -> Tensor:
        return self.history_code(x, x)

    def prepare_target(self, x: Tensor) -> Tensor:
        return self.target_code(x, x)

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        query, toward = torch.split(target, [self.width, self.content], -1)
        ways = history[..., 2 * self.width :]
        return self.attend(query, history, cosines(toward, ways), mask.unsqueeze(1))

    def attend(self, query: Tensor, history: Tensor, alike: Tensor, mask: Tensor) -> Tensor:
        """Query [R, K, D], codes [R, (K,) L, .], cosines [R, K, L], mask [R, 1 or K, L] to
        [R, K, D]."""
        keys, values, _ = torch.split(history, [self.width, self.width, self.content], -1)
        query = torch.unflatten(query, -1, (self.heads, -1)).transpose(1, 2)  # [R, h, K, dh]
        keys, values = (torch.unflatten(x, -1, (self.heads, -1)) for x in (keys, values))
        if history.ndim == 4:  # of every candidate: [R, K, L, h, dh] to [R, h, K, L, dh]
            keys, values = (x.permute(0, 3, 1, 2, 4) for x in (keys, values))
            score = (keys @ query.unsqueeze(-1)).squeeze(-1)  # [R, h, K, L]
        else:
            keys, values = (x.transpose(1, 2) for x in (keys, values))  # [R, h, L, dh]
            score = query @ keys.transpose(-1, -2)  # [R, h, K, L]
        near = alike.unsqueeze(1) * self.sharpness  # [R, h, K, L]
        score = self.beta[0] * score + self.beta[1] * near + self.beta[2] * score * near
        score = score + additive(mask, score).unsqueeze(1)
        weight = score.softmax(-1) * alive(mask, score).unsqueeze(1)
        if history.ndim == 4:
            pooled: Tensor = (weight.unsqueeze(-2) @ values).squeeze(-2)  # [R, h, K, dh]
        else:
            pooled = weight @ values
        return pooled.transpose(1, 2).flatten(2)
