"""MARN (Li et al. 2020, WWW): modality-specific views plus a shared one that an adversary makes
indistinct.

v_i = Σ_m tanh(V_m p_m + b_m) + max_m w_m s_m, with the classifiers' losses; u = DIN pooling with
softmax; logit = MLP([u; v_t; context]). At `item`, where the adversary is stable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class MarnSettings(ComposedSettings):
    """As published; `token_width` is the projections' width."""

    id_width: int = 128
    side_width: int = 16
    token_width: int = 128
    compressor: Mapping[str, object] = field(default_factory=none)
    operator: Mapping[str, object] | None = field(default_factory=part("marn"))
    pooler: Mapping[str, object] | None = field(default_factory=part("din", {"softmax": True}))
    head: Mapping[str, object] = field(default_factory=deep)
    products: bool = False
    context_width: int = 16


class MarnModel(Composed):
    """Specific views and an adversarially shared one."""

    name: ClassVar[str] = "marn"
    family = "published"
    paper: ClassVar[str] = "Li et al. 2020, WWW"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[ComposedSettings]] = MarnSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "operator.adversary": (0.01, 0.05),
    }
