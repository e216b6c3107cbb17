"""Gated multimodal unit: Σ_m σ(W^z_m X) ⊙ tanh(W_m x_m)."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, one_token


class Gmu(FusionOperator):
    """A gate for every number of every slot, decided by all slots together."""

    name: ClassVar[str] = "gmu"
    paper: ClassVar[str] = "Arevalo et al. 2017, ICLR workshop"

    def __init__(self, slots: int, d: int) -> None:
        super().__init__(slots, d)
        self.gate = Flat([slots * d, slots * d])
        self.view = SlotLinear(slots, d, d, bias=False)

    @property
    def tokens_out(self) -> int:
        return 1

    def _gates(self, x: Tensor) -> Tensor:
        gates: Tensor = self.gate(x.flatten(-2)).sigmoid().unflatten(-1, (self.slots, self.d))
        return gates  # (..., M, d)

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """The mean gate of each slot [..., M]; absent slots weigh 0."""
        return self._gates(cleared(x, present)).mean(-1).masked_fill(~present, 0.0)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        gate = self._gates(x)
        return one_token((gate * self.view(x).tanh()).sum(-2), present)  # (..., 1, d)
