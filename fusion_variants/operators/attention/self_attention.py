"""Self-attention over the slots: N post-norm transformer layers on x_m + e_m, then their mean."""

from typing import ClassVar

from torch import Tensor, nn

from fusefront.fusion_variants.attention import EncoderLayer, slot_names
from fusefront.fusion_variants.choice import one_of
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import absent_bias, cleared, one_token, slot_tokens


class SelfAttention(FusionOperator):
    """Slots attend to each other; readout "tokens" keeps the slots, "mean" averages them."""

    name: ClassVar[str] = "self_attention"
    paper: ClassVar[str] = "Vaswani et al. 2017, NeurIPS; Song et al. 2019, CIKM (AutoInt)"
    choices: ClassVar = {"layers": (1, 2), "heads": (1, 2, 4), "readout": ("mean", "tokens")}

    def __init__(
        self, slots: int, d: int, *, layers: int = 1, heads: int = 4, readout: str = "mean"
    ) -> None:
        super().__init__(slots, d)
        self.readout = one_of("readout", readout, ("mean", "tokens"))
        self.slot = slot_names(slots, d)
        self.layers = nn.ModuleList(EncoderLayer(d, heads, 2 * d) for _ in range(layers))

    @property
    def tokens_out(self) -> int:
        return 1 if self.readout == "mean" else self.slots

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        """How the present slots read each slot in the first layer [..., M], mean over heads and
        readers."""
        y = cleared(x, present) + self.slot
        first = self.layers[0]
        assert isinstance(first, EncoderLayer)
        read = first.attention.weights(y, y, absent_bias(present, y.dtype))  # (..., M, M)
        readers = present.unsqueeze(-1).to(read.dtype)
        weight = (read * readers).sum(-2) / readers.sum(-2).clamp_min(1)
        return weight.masked_fill(~present, 0.0)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        y = cleared(x, present) + self.slot  # (..., M, d)
        bias = absent_bias(present, y.dtype)  # (..., M)
        for layer in self.layers:
            y = layer(y, bias)
        if self.readout == "tokens":
            return slot_tokens(y, present)  # (..., M, d)
        count = present.sum(-1, keepdim=True).clamp_min(1)  # (..., 1)
        return one_token(cleared(y, present).sum(-2) / count, present)  # (..., 1, d)
