"""MAKE (Sheng et al. 2024, CIKM): pooled content and the tiers of its similarity to the candidate.

v_i = W [x_1; ...; x_S] + b;
u = [DIN(v_t, v_l); share of the history in each of 10 tiers of cos(v_t, v_l)];
logit = MLP([u; v_t; context]).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class MakeSettings(ComposedSettings):
    """As published; `token_width` is the projections' width."""

    id_width: int = 128
    side_width: int = 16
    token_width: int = 128
    compressor: Mapping[str, object] = field(default_factory=none)
    operator: Mapping[str, object] | None = field(default_factory=part("concat"))
    pooler: Mapping[str, object] | None = field(
        default_factory=part("similarity_tiers", {"tiers": 10})
    )
    head: Mapping[str, object] = field(default_factory=deep)
    products: bool = False
    context_width: int = 16


class Make(Composed):
    """Similarity as a feature of its own."""

    name: ClassVar[str] = "make"
    family = "published"
    paper: ClassVar[str] = "Sheng et al. 2024, CIKM"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[ComposedSettings]] = MakeSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "pooler.tiers": (5, 10, 20),
    }
