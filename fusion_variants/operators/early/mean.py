"""Mean: Σ_m π_m x_m / Σ_m π_m, presence π."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import cleared, one_token


class Mean(FusionOperator):
    """The average of the slots that are there."""

    name: ClassVar[str] = "mean"
    paper: ClassVar[str] = "Snoek et al. 2005, ACM MM (early fusion)"

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        count = present.sum(-1, keepdim=True).clamp_min(1)  # (..., 1)
        return one_token(cleared(x, present).sum(-2) / count, present)  # (..., 1, d)
