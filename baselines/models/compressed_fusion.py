"""Interaction-aware compressed fusion: PCA per modality, summaries per modality, crossed in the
head.

t_m = W_m PCA_k(x_m), u_m = attention_m(t_m, {h_lm}), f_m = u_m ⊙ t_m;
logit = MLP([u_m; t_m; f_m for every m; Φ(f_1..f_S); context]), Φ bilinear of rank 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings


def _bilinear() -> Mapping[str, object]:
    return {"name": "bilinear", "rank": 4}


@dataclass(frozen=True)
class CompressedSettings(ComposedSettings):
    """The composed settings with an operator at `interaction`; tokens as wide as the codes."""

    placement: str = "interaction"
    token_width: int = 12
    operator: Mapping[str, object] | None = field(default_factory=_bilinear)


class CompressedFusion(Composed):
    """A compressor per modality and an operator at `interaction`."""

    name: ClassVar[str] = "compressed_fusion"
    family = "compressed"
    paper: ClassVar[str] = "Zhou 2025, arXiv 2504.18961; Huang et al. 2019, RecSys"
    Settings: ClassVar[type[ComposedSettings]] = CompressedSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        **Composed.choices,
        "token_width": (8, 12, 16),
    }
