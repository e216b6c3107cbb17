"""Concatenation: W [x_1; ...; x_M] + b."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import cleared, one_token


class Concat(FusionOperator):
    """All slots side by side through one linear layer; an absent slot adds nothing to the sum."""

    name: ClassVar[str] = "concat"
    paper: ClassVar[str] = "Snoek et al. 2005, ACM MM (early fusion)"

    def __init__(self, slots: int, d: int) -> None:
        super().__init__(slots, d)
        self.mix = Flat([slots * d, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        return one_token(self.mix(x.flatten(-2)), present)  # (..., 1, d)
