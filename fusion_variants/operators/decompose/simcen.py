"""SimCEN: Gram matrix G = X W X^T of the slots gives two more views beside ego = vec(X).

v_1 = B triu(G), v_2 = C tril(G), triangles with their diagonal, each as wide as ego. A layer mixes
all three, [ego; v_1; v_2] ← A [ego; v_1; v_2] + a, and one gate of ego scales both views, v_i ←
(σ(U ego + c) / τ_u) ⊙ v_i + v_i, later layers adding n_i and the layer's own input v_i; then ReLU
(v_1: leaky). Output [ego; v_1 + dropout(ego); v_2 + dropout(ego)]. Training adds weight * mean of
-log(exp((cos(ego, v_1) + cos(ego, v_2)) / 2τ) / Σ_j exp(cos(v_1, v_2j) / τ) + 1e-5) of the outputs,
over at most 1,024 rows.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from fusefront.fusion_variants.choice import between, one_of
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.contrast import sampled
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import cleared, one_token, several_tokens


class ExpertLayer(nn.Module):
    """One layer over three views side by side, gated by the first of them."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.mix, self.gate = nn.Linear(width_in, 3 * width), nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, views: Tensor, shift: Tensor | None) -> Tensor:
        """Views [N, width_in] to [N, 3, width]; with a shift [2, width] the inputs are added."""
        ego, *both = self.mix(views).unflatten(-1, (3, -1)).unbind(-2)
        gate = self.gate(ego).sigmoid() / self.scale
        both = [gate * view + view for view in both]
        if shift is not None:
            before = torch.unflatten(views, -1, (3, -1))[..., 1:, :].unbind(-2)
            both = [a + n + b for a, n, b in zip(both, shift.unbind(0), before, strict=True)]
        return torch.stack([ego.relu(), leaky_relu(both[0]), both[1].relu()], -2)


class SimCen(FusionOperator):
    """The slots and two views of their products, contrasted."""

    name: ClassVar[str] = "simcen"
    paper: ClassVar[str] = "Li et al. 2024, ACM MM"
    choices: ClassVar = {
        "layers": (1, 2, 3),
        "weight": (0.0, 0.01, 0.1),
        "temperature": (0.1, 0.5, 2.0),
        "readout": ("linear", "tokens"),
    }

    def __init__(
        self,
        slots: int,
        d: int,
        *,
        layers: int = 1,
        hidden: int = 0,
        dropout: float = 0.1,
        weight: float = 0.1,
        temperature: float = 0.1,
        readout: str = "linear",
    ) -> None:
        """`hidden` is the width h of a view in the layers, 0 = d; `readout` "tokens" gives the 3 h
        numbers as they are, h a multiple of d."""
        super().__init__(slots, d)
        self.weight, self.temperature = weight, between("temperature", temperature, 0.0)
        self.readout = one_of("readout", readout, ("linear", "tokens"))
        self.hidden = hidden or d
        pairs = [(row, column) for row in range(slots) for column in range(slots)]
        self.upper = [row * slots + column for row, column in pairs if row <= column]
        self.lower = [row * slots + column for row, column in pairs if row >= column]
        self.turn = Flat([d, d], bias=False)
        nn.init.xavier_normal_(next(self.turn.parameters()))
        self.above, self.below = (Flat([len(self.upper), slots * d], bias=False) for _ in range(2))
        widths = [3 * slots * d] + [3 * self.hidden] * (layers - 1)
        self.experts = nn.ModuleList(ExpertLayer(width, self.hidden) for width in widths)
        self.shifts = nn.ParameterList(torch.rand(2, self.hidden) for _ in range(layers - 1))
        self.dropout = nn.Dropout(dropout)
        if readout == "tokens" and self.hidden % d:
            raise ValueError(f"hidden is {self.hidden}; tokens of {d} need a multiple of {d}")
        self.mix = Flat([3 * self.hidden, d]) if readout == "linear" else nn.Identity()

    @property
    def tokens_out(self) -> int:
        return 1 if self.readout == "linear" else 3 * self.hidden // self.d

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        views, loss = self.views(x, present)  # (..., 3, h)
        token = self.mix(views.flatten(-2))
        if self.readout == "linear":
            return one_token(token, present, loss)  # (..., 1, d)
        return several_tokens(token.unflatten(-1, (-1, self.d)), present, loss)  # (..., T, d)

    def views(self, x: Tensor, present: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cleared x [..., M, d] to ([ego; ego + v_1; ego + v_2] [..., 3, h], loss [] in
        training)."""
        gram = (self.turn(x) @ x.transpose(-1, -2)).flatten(-2)  # (..., M * M)
        above, below = self.above(gram[..., self.upper]), self.below(gram[..., self.lower])
        views = torch.cat([x.flatten(-2), above, below], -1)  # (..., 3 M d)
        for expert, shift in zip(self.experts, [None, *self.shifts], strict=True):
            out = expert(views, shift)  # (..., 3, h)
            views = out.flatten(-2)
        ego = out[..., :1, :]
        added = torch.cat([ego, out[..., 1:, :] + self.dropout(ego)], -2)
        training = self.training and self.weight
        return added, self._contrast(added[present.any(-1)]) if training else None

    def _contrast(self, views: Tensor) -> Tensor:
        if not len(views):
            return views.new_zeros(())
        some = views[sampled(len(views), views.device)]  # (N, 3, h)
        ego, above, below = normalize(some, dim=-1).unbind(-2)
        together = (ego * (above + below)).sum(-1) / (2.0 * self.temperature)  # (N)
        apart = (above @ below.T / self.temperature).logsumexp(-1)  # (N)
        return -self.weight * ((together - apart).exp() + 1e-5).log().mean()
