"""EM3 (Deng et al. 2024, arXiv 2404.06078): queries read an item's modalities; content is
contrasted with its id.

v_i = W [x_id; FQ-Former(x_1..x_M)] + b, with 0.1 InfoNCE(content, id) while training; u = Σ_l
softmax (MLP([v_t; v_l; v_t - v_l; v_t ⊙ v_l])) v_l; logit = MLP([u; v_t; context]).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class Em3Settings(ComposedSettings):
    """As published; `token_width` is the projections' width."""

    id_width: int = 128
    side_width: int = 16
    token_width: int = 128
    compressor: Mapping[str, object] = field(default_factory=none)
    operator: Mapping[str, object] | None = field(default_factory=part("em3"))
    pooler: Mapping[str, object] | None = field(default_factory=part("din", {"softmax": True}))
    head: Mapping[str, object] = field(default_factory=deep)
    products: bool = False
    context_width: int = 16


class Em3Model(Composed):
    """End-to-end content, taught by the id."""

    name: ClassVar[str] = "em3"
    family = "published"
    paper: ClassVar[str] = "Deng et al. 2024, arXiv 2404.06078"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[ComposedSettings]] = Em3Settings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "operator.queries": (2, 5),
    }
