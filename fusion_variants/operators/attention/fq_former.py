"""FQ-Former: Q learned queries beside the slots, N post-norm self-attention layers without FFN.

The outputs at the queries are kept, side by side, through one linear layer.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.attention import EncoderLayer, slot_names
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token


class QueryEncoder(nn.Module):
    """Slots [..., M, d] to one vector [..., d] through Q learned queries."""

    def __init__(self, slots: int, d: int, queries: int, layers: int, heads: int) -> None:
        super().__init__()
        self.slot = slot_names(slots, d)
        self.queries = nn.Parameter(torch.randn(queries, d) * 0.3)
        self.layers = nn.ModuleList(EncoderLayer(d, heads, 0) for _ in range(layers))
        self.mix = Flat([queries * d, d])

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """x [..., M, d], cleared; present [..., M] -> [..., d]."""
        y, bias = self._sequence(x, present)
        for layer in self.layers:
            y = layer(y, bias)
        mixed: Tensor = self.mix(y[..., : self.queries.shape[0], :].flatten(-2))
        return mixed

    def weights(self, x: Tensor, present: Tensor) -> Tensor:
        """How the queries read each slot in the first layer [..., M], mean over heads and queries;
        what is left to 1 they read of one another."""
        y, bias = self._sequence(x, present)
        first, count = self.layers[0], self.queries.shape[0]
        assert isinstance(first, EncoderLayer)
        read = first.attention.weights(y[..., :count, :], y, bias)[..., count:]  # (..., Q, M)
        return read.mean(-2).masked_fill(~present, 0.0)

    def _sequence(self, x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and slots [..., Q + M, d], and the mask of those that are there [..., Q + M]."""
        queries = self.queries.expand(*x.shape[:-2], -1, -1)  # (..., Q, d)
        always = present.new_ones(()).expand(queries.shape[:-1])  # (..., Q)
        bias = absent_bias(torch.cat([always, present], -1), x.dtype)
        return torch.cat([queries, x + self.slot], -2), bias


class FqFormer(FusionOperator):
    """Queries and slots in one sequence."""

    name: ClassVar[str] = "fq_former"
    paper: ClassVar[str] = "Deng et al. 2024, arXiv 2404.06078 (EM3)"
    choices: ClassVar = {"queries": (2, 5), "layers": (1, 2), "heads": (1, 2, 4)}

    def __init__(
        self, slots: int, d: int, *, queries: int = 5, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__(slots, d)
        self.encode = QueryEncoder(slots, d, queries, layers, heads)

    @property
    def tokens_out(self) -> int:
        return 1

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """How the queries read each slot [..., M], as `QueryEncoder.weights`."""
        return self.encode.weights(cleared(x, present), present)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        return one_token(self.encode(cleared(x, present), present), present)  # (..., 1, d)
