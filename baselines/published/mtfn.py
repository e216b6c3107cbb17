"""MTFN as a click model (Wang et al. 2019, ACM MM): rank-constrained tensor fusion, mean history.

v_i = W Σ_{r ≤ 20} Π_m V_m^(r) x_m + b, no constant 1 among the factors; u = mean_l v_l;
logit = MLP([u; v_t; context]). A missing modality is a factor 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class MtfnSettings(ComposedSettings):
    """As published; `token_width` is the projections' width."""

    id_width: int = 128
    side_width: int = 16
    token_width: int = 128
    compressor: Mapping[str, object] = field(default_factory=none)
    operator: Mapping[str, object] | None = field(
        default_factory=part("mtfn", {"rank": 20, "bias": False})
    )
    pooler: Mapping[str, object] | None = field(default_factory=part("mean"))
    head: Mapping[str, object] = field(default_factory=deep)
    products: bool = False
    context_width: int = 16


class MtfnModel(Composed):
    """Rank-20 products of each item's slots."""

    name: ClassVar[str] = "mtfn"
    family = "published"
    paper: ClassVar[str] = "Wang et al. 2019, ACM MM"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[ComposedSettings]] = MtfnSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "operator.rank": (5, 10, 20),
    }
