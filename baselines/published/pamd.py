"""PAMD (Han et al. 2022, WWW): what modalities have in common and what each adds, read by the id.

x_id [d] is an item's id embedding. An item's vector is v = x_id + attention of x_id over common and
specific parts [d], with the disentangling losses at 0.1; u [d] pools the history's vectors by DIN's
attention with softmax; logit = MLP([u; v of the candidate; context]).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class PamdSettings(ComposedSettings):
    """As published; `token_width` is the projections' width."""

    id_width: int = 128
    side_width: int = 16
    token_width: int = 128
    compressor: Mapping[str, object] = field(default_factory=none)
    operator: Mapping[str, object] | None = field(default_factory=part("pamd"))
    pooler: Mapping[str, object] | None = field(default_factory=part("din", {"softmax": True}))
    head: Mapping[str, object] = field(default_factory=deep)
    products: bool = False
    context_width: int = 16


class PamdModel(Composed):
    """Common and specific parts of each modality."""

    name: ClassVar[str] = "pamd"
    family = "published"
    paper: ClassVar[str] = "Han et al. 2022, WWW"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[ComposedSettings]] = PamdSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "operator.weight": (0.01, 0.1),
    }
