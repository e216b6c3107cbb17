"""Multimodal bottleneck: slots talk only through B shared tokens z.

Layer: [y_m; z_m] = Transformer_m([x_m; z]) for each slot, then z = mean over present slots of z_m.
Output: mean over present slots of y_m + mean of z.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.attention import EncoderLayer
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import cleared, one_token


class Bottleneck(FusionOperator):
    """A transformer layer for each slot; slots exchange information only through the bottleneck
    tokens."""

    name: ClassVar[str] = "mbt"
    paper: ClassVar[str] = "Nagrani et al. 2021, NeurIPS"
    choices: ClassVar = {"bottleneck": (1, 2, 4), "layers": (1, 2), "heads": (1, 2, 4)}

    def __init__(
        self, slots: int, d: int, *, bottleneck: int = 2, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__(slots, d)
        self.bottleneck = nn.Parameter(torch.randn(bottleneck, d) * 0.1)
        self.layers = nn.ModuleList(
            nn.ModuleList(EncoderLayer(d, heads, 2 * d) for _ in range(slots))
            for _ in range(layers)
        )

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        streams = list(x.unsqueeze(-2).unbind(-3))  # M of (..., 1, d)
        shared = self.bottleneck.expand(*x.shape[:-2], -1, -1)  # (..., B, d)
        count = present.sum(-1, keepdim=True).clamp_min(1).unsqueeze(-1)  # (..., 1, 1)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            pairs = zip(layer, streams, strict=True)
            both = [encode(torch.cat([own, shared], -2)) for encode, own in pairs]
            stacked = torch.stack(both, -3)  # (..., M, 1 + B, d)
            masked = stacked.masked_fill(~present.unsqueeze(-1).unsqueeze(-1), 0.0)
            streams = list(masked[..., :1, :].unbind(-3))
            shared = masked[..., 1:, :].sum(-3) / count  # (..., B, d)
        own = torch.cat(streams, -2).sum(-2, keepdim=True) / count  # (..., 1, d)
        return one_token((own + shared.mean(-2, keepdim=True)).squeeze(-2), present)
