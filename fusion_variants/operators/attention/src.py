"""Stochastic reverse cross-modal fusion: each slot is denoised step by step by what the others say.

Training starts from x̃_m = √ā_T x_m + √(1 - ā_T) ε, scoring from x̃_m = x_m; ā_t = (1 - β)^t.
For t = T ... 1: c_m = Σ_n≠m softmax_n(x̃_m · A x̃_n / √d) x̃_n over present n, ε̂_m = P
[x̃_m; c_m] + e_t, x̃_m ← (x̃_m - β / √(1 - ā_t) ε̂_m) / √(1 - β). Output: two-layer network on all
LN(x̃_m).

No code of the authors is public. MMCTR-Bench adds noise anew in every step, on a cosine schedule
taken from its clean end on, and its guess is the slot itself plus an attention whose softmax runs
over heads, there being one key; here noise is added once and taken off from its far end, as in
DDPM, and the softmax chooses among the other modalities.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.choice import between
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token


class StochasticReverse(FusionOperator):
    """Noise comes from torch's global generator, in training only: `torch.manual_seed` fixes it."""

    name: ClassVar[str] = "src"
    paper: ClassVar[str] = "Cui et al. 2025, SIGIR (Diff-MSIN)"
    choices: ClassVar = {"steps": (1, 3, 5), "noise": (0.02, 0.1)}

    def __init__(self, slots: int, d: int, *, steps: int = 5, noise: float = 0.02) -> None:
        super().__init__(slots, d)
        self.noise = between("noise", noise, 0.0, 1.0)
        self.turn = Flat([d, d], bias=False) if slots > 2 else nn.Identity()  # one other: no choice
        self.predict = Flat([2 * d, d], bias=False)
        self.step = nn.Parameter(torch.randn(steps, d) * 0.1)
        self.norm = nn.LayerNorm(d)
        self.mix = Flat([slots * d, 2 * d, d])
        self.others: Tensor
        self.register_buffer("others", ~torch.eye(slots, dtype=torch.bool), persistent=False)

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        y = cleared(x, present)  # (..., M, d)
        steps = self.step.shape[0]
        if self.training:
            signal = (1.0 - self.noise) ** steps
            y = signal**0.5 * y + (1.0 - signal) ** 0.5 * torch.randn_like(y)
            y = cleared(y, present)
        visible = present.unsqueeze(-2) & self.others  # (..., M, M)
        bias, lonely = absent_bias(visible, y.dtype), ~visible.any(-1, keepdim=True)
        for t in range(steps, 0, -1):
            score = y @ self.turn(y).transpose(-1, -2) * self.d**-0.5 + bias  # (..., M, M)
            context = (score.softmax(-1).to(y.dtype) @ y).masked_fill(lonely, 0.0)  # (..., M, d)
            guess = self.predict(torch.cat([y, context], -1)) + self.step[t - 1]
            share = self.noise / (1.0 - (1.0 - self.noise) ** t) ** 0.5
            y = cleared((y - share * guess) * (1.0 - self.noise) ** -0.5, present)
        y = cleared(self.norm(y), present)
        return one_token(self.mix(y.flatten(-2)), present)  # (..., 1, d)
