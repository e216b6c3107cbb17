"""Quadratic layers: X ← X + PReLU(LN(X ⊙ (W X + b))), X all slots side by side; degree 2^layers.

The published layer sums R matrices inside the brackets, which is one matrix (only the dropout
between them differs), and normalises over the batch; here each slot is normalised by itself, so
that an item's vector does not depend on its neighbours.
"""

from typing import ClassVar

from torch import Tensor, nn

from fusefront.fusion_variants.choice import one_of
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import cleared, one_token, slot_tokens


class Quadratic(FusionOperator):
    """Each layer multiplies the slots with a linear map of themselves."""

    name: ClassVar[str] = "quadratic"
    paper: ClassVar[str] = "Li et al. 2025, arXiv 2504.17699 (QIN)"
    choices: ClassVar = {"layers": (1, 2, 3), "readout": ("linear", "tokens")}

    def __init__(self, slots: int, d: int, *, layers: int = 2, readout: str = "linear") -> None:
        super().__init__(slots, d)
        self.readout = one_of("readout", readout, ("linear", "tokens"))
        self.turns = nn.ModuleList(Flat([slots * d, slots * d]) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(layers))
        self.bends = nn.ModuleList(nn.PReLU() for _ in range(layers))
        self.mix = Flat([slots * d, d]) if readout == "linear" else nn.Identity()

    @property
    def tokens_out(self) -> int:
        return 1 if self.readout == "linear" else self.slots

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        for turn, norm, bend in zip(self.turns, self.norms, self.bends, strict=True):
            turned = turn(x.flatten(-2)).unflatten(-1, (self.slots, self.d))  # (..., M, d)
            x = x + cleared(bend(norm(x * turned)), present)
        if self.readout == "tokens":
            return slot_tokens(x, present)  # (..., M, d)
        return one_token(self.mix(x.flatten(-2)), present)  # (..., 1, d)
