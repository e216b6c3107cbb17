"""Multimodal additive fusion: Σ_m π_m tanh(W_m x_m + b_m), presence π."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import SlotLinear
from fusefront.fusion_variants.presence import cleared, one_token


class Maf(FusionOperator):
    """A bounded view of each slot, added up."""

    name: ClassVar[str] = "maf"
    paper: ClassVar[str] = "MMCTR-Bench (MAF, with NAML)"

    def __init__(self, slots: int, d: int) -> None:
        super().__init__(slots, d)
        self.view = SlotLinear(slots, d, d)

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        views = self.view(cleared(x, present)).tanh()  # (..., M, d)
        return one_token(cleared(views, present).sum(-2), present)  # (..., 1, d)
