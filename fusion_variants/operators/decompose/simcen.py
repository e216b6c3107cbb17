"""SimCEN: Gram matrix G = X W X^T / √d of the slots gives two more views of the item.

v_0 = A vec(X), v_1 = B triu(G), v_2 = C tril(G), triangles with their diagonal. Each view passes a
gated expert E_i(v) = σ(G_i v) ⊙ ReLU(H_i v); output W [E_0; E_1; E_2] + b. Training adds weight *
mean of log Σ_j exp(cos(v_1, v_2j) / τ) - (cos(v_0, v_1) + cos(v_0, v_2)) / 2τ over at most 1,024
rows.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fusefront.fusion_variants.choice import between
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.contrast import sampled
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, one_token


class SimCen(FusionOperator):
    """The slots and two views of their products, contrasted."""

    name: ClassVar[str] = "simcen"
    paper: ClassVar[str] = "Li et al. 2024, ACM MM"
    choices: ClassVar = {"weight": (0.0, 0.01, 0.1), "temperature": (0.1, 0.5)}

    def __init__(
        self, slots: int, d: int, *, weight: float = 0.1, temperature: float = 0.1
    ) -> None:
        super().__init__(slots, d)
        self.weight, self.temperature = weight, between("temperature", temperature, 0.0)
        pairs = [(row, column) for row in range(slots) for column in range(slots)]
        self.upper = [row * slots + column for row, column in pairs if row <= column]
        self.lower = [row * slots + column for row, column in pairs if row >= column]
        self.turn = Flat([d, d], bias=False)
        self.view = Flat([slots * d, d])
        self.above, self.below = (Flat([len(self.upper), d]) for _ in range(2))
        self.gates, self.experts = SlotLinear(3, d, d), SlotLinear(3, d, d)
        self.mix = Flat([3 * d, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        gram = (self.turn(x) @ (x * self.d**-0.5).transpose(-1, -2)).flatten(-2)  # (..., M * M)
        above = self.above(gram[..., self.upper])
        below = self.below(gram[..., self.lower])
        views = torch.stack([self.view(x.flatten(-2)), above, below], -2)  # (..., 3, d)
        experts = self.gates(views).sigmoid() * self.experts(views).relu()  # (..., 3, d)
        loss = self._contrast(views[present.any(-1)]) if self.training and self.weight else None
        return one_token(self.mix(experts.flatten(-2)), present, loss)  # (..., 1, d)

    def _contrast(self, views: Tensor) -> Tensor:
        if not len(views):
            return views.new_zeros(())
        some = views[sampled(len(views), views.device)]  # (N, 3, d)
        item, above, below = normalize(some.float(), dim=-1).unbind(-2)
        together = (item * (above + below)).sum(-1) / (2.0 * self.temperature)  # (N)
        apart = (above @ below.T / self.temperature).logsumexp(-1)  # (N)
        return self.weight * (apart - together).mean()
