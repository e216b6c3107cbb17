"""Early fusion: v = W [E_id; c(x_1); ...; c(x_M)] + b once per item; everything after sees v alone.

u = attention(v_c, {v_l}); logit = MLP([u; v_c; u ⊙ v_c; context]). With cached items the online
graph holds no trace of the modalities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings


def _concat() -> Mapping[str, object]:
    return {"name": "concat"}


@dataclass(frozen=True)
class EarlySettings(ComposedSettings):
    """The composed settings with an operator at `item`."""

    operator: Mapping[str, object] | None = field(default_factory=_concat)


class EarlyFusion(Composed):
    """An operator at `item`; concatenation unless another is named."""

    name: ClassVar[str] = "early_fusion"
    family = "early"
    paper: ClassVar[str] = "Snoek et al. 2005, ACM Multimedia"
    Settings: ClassVar[type[ComposedSettings]] = EarlySettings
    fixed: ClassVar[tuple[str, ...]] = ("placement",)
