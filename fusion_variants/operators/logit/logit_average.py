"""Average of the towers' logits: Σ_m π_m f_m / Σ_m π_m, presence π. No parameters."""

from typing import ClassVar

from fusefront.fusion_variants.operators.early.mean import Mean


class LogitAverage(Mean):
    """Late fusion with equal weights; d = 1."""

    name: ClassVar[str] = "logit_average"
    level: ClassVar[str] = "logit"
