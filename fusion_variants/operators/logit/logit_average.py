"""Average of the towers' logits: Σ_m π_m f_m / Σ_m π_m, presence π."""

from typing import ClassVar

from fusefront.fusion_variants.operators.early.mean import Mean


class LogitAverage(Mean):
    """Late fusion with equal weights; d = 1."""

    name: ClassVar[str] = "logit_average"
    paper: ClassVar[str] = "Snoek et al. 2005, ACM MM (late fusion)"
    level: ClassVar[str] = "logit"
