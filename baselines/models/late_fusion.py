"""Late fusion: one tower a slot, f_m = MLP_m([u_m; t_m; u_m ⊙ t_m]); logit = mean_m f_m + w'
context.

No tower sees another's modality, so nothing multiplies across modalities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings


def average() -> Mapping[str, object]:
    """The default operator: the average of logits."""
    return {"name": "logit_average"}


def tower() -> Mapping[str, object]:
    """The default tower, half as wide as the head of the other families."""
    return {"name": "mlp", "hidden": (32, 16)}


@dataclass(frozen=True)
class LateSettings(ComposedSettings):
    """The composed settings with towers at `logit`."""

    placement: str = "logit"
    operator: Mapping[str, object] | None = field(default_factory=average)
    head: Mapping[str, object] = field(default_factory=tower)


class LateFusion(Composed):
    """Towers at `logit`, averaged unless another operator is named."""

    name: ClassVar[str] = "late_fusion"
    family = "late"
    paper: ClassVar[str] = "Snoek et al. 2005, ACM Multimedia"
    Settings: ClassVar[type[ComposedSettings]] = LateSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
