"""Cross-attention: x_0 + Attention(q = x_0; K, V = x_1 ... x_M-1), slot 0 the item's id.

With a query (target-aware): Attention(q = query; K, V = x_0 ... x_M-1).
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.attention import Attention, slot_names
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token, query_of_width


class CrossAttention(FusionOperator):
    """The id, or the query, attends to the content slots."""

    name: ClassVar[str] = "cross_attention"
    paper: ClassVar[str] = "Vaswani et al. 2017, NeurIPS; Tsai et al. 2019, ACL (MulT)"
    choices: ClassVar = {"heads": (1, 2, 4)}
    uses_query: ClassVar[bool] = True
    uses_query_slot: ClassVar[bool] = True

    def __init__(self, slots: int, d: int, *, heads: int = 4, query_width: int = 0) -> None:
        super().__init__(slots, d)
        if not query_width and slots < 3:
            raise ValueError(
                f"cross_attention got {slots} slots; expected the id and at least two modalities, "
                "as with one there is nothing to choose; take 'film' or pass query_width"
            )
        self.query_width = query_width
        self.slot = slot_names(slots if query_width else slots - 1, d)
        self.attention = Attention(d, heads, width_query=query_width)

    @property
    def tokens_out(self) -> int:
        return 1

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """How each slot is weighed [..., M], mean over heads; absent slots, and the id that asks
        itself, weigh 0."""
        x = cleared(x, present)
        if self.query_width:
            asking = query_of_width(query, self.query_width, self.name).unsqueeze(-2)
            bias = absent_bias(present, x.dtype)
            weight = self.attention.weights(asking, x + self.slot, bias).squeeze(-2)
            return weight.masked_fill(~present, 0.0)
        bias = absent_bias(present[..., 1:], x.dtype)
        read = self.attention.weights(x[..., :1, :], x[..., 1:, :] + self.slot, bias).squeeze(-2)
        weight = torch.cat([torch.zeros_like(read[..., :1]), read], -1)
        return weight.masked_fill(~present, 0.0)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        if self.query_width:
            asking = query_of_width(query, self.query_width, self.name).unsqueeze(-2)  # (..., 1, .)
            token = self.attention(asking, x + self.slot, absent_bias(present, x.dtype))
            return one_token(token.squeeze(-2), present)  # (..., 1, d)
        content_present = present[..., 1:]  # (..., M - 1)
        read = self.attention(
            x[..., :1, :], x[..., 1:, :] + self.slot, absent_bias(content_present, x.dtype)
        )
        read = read.squeeze(-2).masked_fill(~content_present.any(-1, keepdim=True), 0.0)  # (..., d)
        return one_token(x[..., 0, :] + read, present)  # (..., 1, d)
