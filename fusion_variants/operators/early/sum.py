"""Sum: Σ_m π_m x_m, presence π."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import cleared, one_token


class Sum(FusionOperator):
    """The slots added up."""

    name: ClassVar[str] = "sum"
    paper: ClassVar[str] = "Snoek et al. 2005, ACM MM (early fusion)"

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        return one_token(cleared(x, present).sum(-2), present)  # (..., 1, d)
