"""Gated late fusion: logit = Σ_m g_m f_m + w' context, g = softmax(MLP([f; context])).

The towers are late fusion's; who asks decides which modality to believe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.models.late_fusion import tower


def _gate() -> Mapping[str, object]:
    return {"name": "scalar_gate", "hidden": 16}


@dataclass(frozen=True)
class GatedSettings(ComposedSettings):
    """The composed settings with gated towers at `logit`."""

    placement: str = "logit"
    operator: Mapping[str, object] | None = field(default_factory=_gate)
    head: Mapping[str, object] = field(default_factory=tower)


class GatedFusion(Composed):
    """Towers at `logit` under a gate that reads the context."""

    name: ClassVar[str] = "gated_fusion"
    family = "late"
    paper: ClassVar[str] = "Jacobs et al. 1991, Neural Computation"
    Settings: ClassVar[type[ComposedSettings]] = GatedSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
