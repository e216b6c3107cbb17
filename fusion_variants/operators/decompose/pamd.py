"""PAMD: each content slot is a common part c_m = C_m(x_m) plus a specific rest s_m = x_m - c_m.

Output x_0 + Σ_v softmax(x_0 · W v / √d) v over all c_m and s_m, slot 0 the item's id.
Training adds weight * mean over pairs (a, b) of |c_a - c_b|²/d + cos²(s_a, s_b) + rank(a, b) +
rank(b, a): the common part of the other modality should help to rebuild x_a more than the other's
specific part does, rank(a, b) = -log σ(|R_a[c_a; s_b] - x_a|²/d - |R_a[c_b; s_a] - x_a|²/d).

No code of the authors is public. MMCTR-Bench ranks otherwise: x_b rebuilt from c_a alone should
beat x_b from x_a, and that x_b from s_a; it rebuilds nothing from both parts, whose use for each
other is what is ranked here. Its common parts are maps of each pair; here both parts are of a
modality, whatever it is paired with, so that three modalities do not have six.
"""

from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, logsigmoid

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.contrast import mean_where
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token


class Pamd(FusionOperator):
    """The id attends to the common and the specific part of each modality."""

    name: ClassVar[str] = "pamd"
    paper: ClassVar[str] = "Han et al. 2022, WWW"
    choices: ClassVar = {"weight": (0.01, 0.1)}
    uses_query_slot: ClassVar[bool] = True

    def __init__(self, slots: int, d: int, *, weight: float = 0.1) -> None:
        super().__init__(slots, d)
        self.weight = weight
        self.enter, self.leave = SlotLinear(slots - 1, d, d), SlotLinear(slots - 1, d, d)
        self.keys = Flat([d, d], bias=False)
        self.rebuild = SlotLinear(slots - 1, 2 * d, d) if weight and slots > 2 else None

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        content, content_present = x[..., 1:, :], present[..., 1:]  # (..., M - 1, d), (..., M - 1)
        common = cleared(self.leave(self.enter(content).relu()), content_present)  # (..., M - 1, d)
        rest = content - common
        parts = torch.cat([common, rest], -2)  # (..., 2 (M - 1), d)
        asking = x[..., :1, :] * self.d**-0.5  # (..., 1, d)
        score = (asking @ self.keys(parts).transpose(-1, -2)).squeeze(-2)  # (..., 2 (M - 1))
        bias = absent_bias(torch.cat([content_present, content_present], -1), score.dtype)
        weight = (score + bias).softmax(-1).unsqueeze(-2)  # (..., 1, 2 (M - 1))
        token = x[..., 0, :] + (weight.to(parts.dtype) @ parts).squeeze(-2)
        loss = None
        if self.training and self.rebuild is not None:
            loss = self.weight * self._disentangled(content, common, rest, content_present)
        return one_token(token, present, loss)  # (..., 1, d)

    def _disentangled(
        self, content: Tensor, common: Tensor, rest: Tensor, content_present: Tensor
    ) -> Tensor:
        pairs = list(combinations(range(self.slots - 1), 2))
        losses = [self._pair(content, common, rest, content_present, a, b) for a, b in pairs]
        return torch.stack(losses).mean()

    def _pair(
        self, content: Tensor, common: Tensor, rest: Tensor, content_present: Tensor, a: int, b: int
    ) -> Tensor:
        turned = list(range(self.slots - 1))
        turned[a], turned[b] = b, a
        alike = (common[..., a, :] - common[..., b, :]).square().mean(-1)  # (...)
        overlap = cosine_similarity(rest[..., a, :], rest[..., b, :], dim=-1) ** 2
        good = self._error(common[..., turned, :], rest, content)  # (..., M - 1)
        bad = self._error(common, rest[..., turned, :], content)
        ranked = -logsigmoid(bad - good)[..., [a, b]].sum(-1)
        return mean_where(
            alike + overlap + ranked, content_present[..., a] & content_present[..., b]
        )

    def _error(self, common: Tensor, rest: Tensor, content: Tensor) -> Tensor:
        assert self.rebuild is not None
        error: Tensor = self.rebuild(torch.cat([common, rest], -1)) - content
        return error.square().mean(-1)
