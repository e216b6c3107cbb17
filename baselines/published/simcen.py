"""SimCEN (Li et al. 2024, ACM MM): products of all fields as two further views, contrasted.

fields F = pooled and target slots; G = F W F' / √d; experts over [F], triu(G), tril(G), with the
contrastive loss at 0.1; logit = MLP([experts; context]). Histories are pooled by their mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class SimcenSettings(ComposedSettings):
    """As published; `token_width` is the projections' width."""

    id_width: int = 128
    side_width: int = 16
    token_width: int = 128
    compressor: Mapping[str, object] = field(default_factory=none)
    operator: Mapping[str, object] | None = field(default_factory=part("simcen"))
    pooler: Mapping[str, object] | None = field(default_factory=part("mean"))
    head: Mapping[str, object] = field(default_factory=deep)
    products: bool = False
    context_width: int = 16
    placement: str = "interaction"
    interaction_fields: str = "pair"
    skip: bool = False


class Simcen(Composed):
    """Fields and two views of their products."""

    name: ClassVar[str] = "simcen"
    family = "published"
    paper: ClassVar[str] = "Li et al. 2024, ACM MM"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[ComposedSettings]] = SimcenSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "operator.weight": (0.0, 0.01, 0.1),
    }
