"""Cross network v2: h_0 = X, h_l+1 = X ⊙ (W_l h_l + b_l) + h_l, X all slots side by side.

W is full, or U V of rank r, in evaluation one matrix where that costs less. Then one linear layer,
or with readout "tokens" h cut back into slots.
"""

from typing import ClassVar

from torch import Tensor, nn

from fusefront.fusion_variants.choice import one_of
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Chain, Flat
from fusefront.fusion_variants.presence import cleared, one_token, slot_tokens


class CrossNetwork(FusionOperator):
    """Products of degree up to layers + 1 between the numbers of all slots."""

    name: ClassVar[str] = "dcnv2"
    paper: ClassVar[str] = "Wang et al. 2021, WWW"
    choices: ClassVar = {
        "layers": (1, 2, 3),
        "rank": (0, 16, 32),
        "readout": ("linear", "tokens"),
    }

    def __init__(
        self, slots: int, d: int, *, layers: int = 2, rank: int = 0, readout: str = "linear"
    ) -> None:
        super().__init__(slots, d)
        self.readout = one_of("readout", readout, ("linear", "tokens"))
        width = slots * d
        self.cross = nn.ModuleList(_matrix(width, rank) for _ in range(layers))
        self.mix = Flat([width, d]) if readout == "linear" else nn.Identity()

    @property
    def tokens_out(self) -> int:
        return 1 if self.readout == "linear" else self.slots

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        start = cleared(x, present).flatten(-2)  # (..., M * d)
        h = start
        for layer in self.cross:
            h = start * layer(h) + h
        if self.readout == "tokens":
            return slot_tokens(h.reshape(x.shape), present)  # (..., M, d)
        return one_token(self.mix(h), present)  # (..., 1, d)


def _matrix(width: int, rank: int) -> nn.Module:
    if not rank:
        return Flat([width, width])
    return Chain(Flat([width, rank], bias=False), Flat([rank, width]))
