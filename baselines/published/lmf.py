"""LMF as a click model (Liu et al. 2018, ACL): low-rank products of all slots of an item, mean
history.

v_i = Σ_r w_r ⊙ Π_m F_m^(r) [x_m; 1] + b, rank 5; u = mean_l v_l; logit = MLP([u; v_t; context]).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class LmfSettings(ComposedSettings):
    """As published; `token_width` is the projections' width."""

    id_width: int = 128
    side_width: int = 16
    token_width: int = 128
    compressor: Mapping[str, object] = field(default_factory=none)
    operator: Mapping[str, object] | None = field(default_factory=part("lmf", {"rank": 5}))
    pooler: Mapping[str, object] | None = field(default_factory=part("mean"))
    head: Mapping[str, object] = field(default_factory=deep)
    products: bool = False
    context_width: int = 16


class LmfModel(Composed):
    """Rank-5 tensor fusion of each item."""

    name: ClassVar[str] = "lmf"
    family = "published"
    paper: ClassVar[str] = "Liu et al. 2018, ACL"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[ComposedSettings]] = LmfSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "operator.rank": (2, 4, 5, 8),
    }
