"""FiLM: (1 + Γ c) ⊙ x_0 + B c, c = [x_1; ...; x_M-1] the content, slot 0 the item's id.

With a query q: (1 + Γ q) ⊙ W [x_0; ...; x_M-1] + B q. Γ and B have no bias, so that an item
without content keeps its id as it is.
"""

from typing import ClassVar

from torch import Tensor, nn

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import cleared, one_token, query_of_width


class Film(FusionOperator):
    """The content, or the query, scales and shifts each number of the vector."""

    name: ClassVar[str] = "film"
    paper: ClassVar[str] = "Perez et al. 2018, AAAI"
    uses_query: ClassVar[bool] = True
    uses_query_slot: ClassVar[bool] = True

    def __init__(self, slots: int, d: int, *, query_width: int = 0) -> None:
        super().__init__(slots, d)
        self.query_width = query_width
        self.turn = Flat([query_width or (slots - 1) * d, 2 * d], bias=False)
        self.base = Flat([slots * d, d]) if query_width else nn.Identity()

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        if self.query_width:
            base = self.base(x.flatten(-2))  # (..., d)
            turn = self.turn(query_of_width(query, self.query_width, self.name))  # (..., 2 d)
        else:
            base, turn = x[..., 0, :], self.turn(x[..., 1:, :].flatten(-2))
        scale, shift = turn.chunk(2, -1)  # (..., d) each
        return one_token(base + scale * base + shift, present)  # (..., 1, d)
