"""Perceiver: Q learned latents l read the slots, then one another; output is their mean.

l ← LN(l + Attention(l; x_m + e_m)), then a post-norm transformer layer over the latents.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.attention import Attention, EncoderLayer, slot_names
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token


class Perceiver(FusionOperator):
    """Latents attend to the slots; the cost grows with the number of latents, not with that of
    slots squared."""

    name: ClassVar[str] = "perceiver"
    paper: ClassVar[str] = "Jaegle et al. 2021, ICML"
    choices: ClassVar = {"latents": (2, 4, 8), "heads": (1, 2, 4)}

    def __init__(self, slots: int, d: int, *, latents: int = 4, heads: int = 4) -> None:
        super().__init__(slots, d)
        self.slot = slot_names(slots, d)
        self.latents = nn.Parameter(torch.randn(latents, d) * 0.3)
        self.read = Attention(d, heads)
        self.norm = nn.LayerNorm(d)
        self.think = EncoderLayer(d, heads, 2 * d)

    @property
    def tokens_out(self) -> int:
        return 1

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """How the latents read each slot [..., M], mean over heads and latents."""
        x = cleared(x, present) + self.slot
        weight = self.read.weights(self.latents, x, absent_bias(present, x.dtype)).mean(-2)
        return weight.masked_fill(~present, 0.0)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present) + self.slot  # (..., M, d)
        content = self.read(self.latents, x, absent_bias(present, x.dtype))  # (..., Q, d)
        latents = self.think(self.norm(self.latents + content))  # (..., Q, d)
        return one_token(latents.mean(-2), present)  # (..., 1, d)
