"""SENet over slots: z_m = mean_d x_m, a = σ(W_2 ReLU(W_1 z)), x̃_m = a_m x_m, then W [x̃] + b."""

from typing import ClassVar

from torch import Tensor, nn

from fusefront.fusion_variants.choice import one_of
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import cleared, one_token, slot_tokens


class SeNet(FusionOperator):
    """Slots re-weighted by a network over all of them; readout "tokens" keeps the re-weighted
    slots."""

    name: ClassVar[str] = "senet"
    paper: ClassVar[str] = "Hu et al. 2018, CVPR; Huang et al. 2019, RecSys (FiBiNET)"
    choices: ClassVar = {"reduction": (1, 2, 3), "readout": ("linear", "tokens")}

    def __init__(self, slots: int, d: int, *, reduction: int = 1, readout: str = "linear") -> None:
        super().__init__(slots, d)
        self.readout = one_of("readout", readout, ("linear", "tokens"))
        self.excite = Flat([slots, max(1, slots // reduction), slots])
        self.mix = Flat([slots * d, d]) if readout == "linear" else nn.Identity()

    @property
    def tokens_out(self) -> int:
        return 1 if self.readout == "linear" else self.slots

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """The weight of each slot [..., M] between 0 and 1; absent slots weigh 0."""
        weight: Tensor = self.excite(cleared(x, present).mean(-1)).sigmoid()
        return weight.masked_fill(~present, 0.0)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        weight = self.excite(x.mean(-1)).sigmoid()  # (..., M)
        x = weight.unsqueeze(-1) * x
        if self.readout == "tokens":
            return slot_tokens(x, present)  # (..., M, d)
        return one_token(self.mix(x.flatten(-2)), present)  # (..., 1, d)
