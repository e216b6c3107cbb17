"""MARN: s_m = S x_m shared, p_m = P_m x_m specific; Σ_m tanh(V_m p_m + b_m) + max_m w_m s_m.

w_m = 1 - D(s_m)_m: a shared vector that still tells its modality counts less (D: classifier of the
modality; max over present slots). Training adds weight * (CE(D(s), m) + λ CE(A(reversed s), m) +
λ CE(B(p), m)): D learns on detached s, the adversary A pushes modality out of s through reversed
gradients, B keeps it in p.

No code of the authors is public. MMCTR-Bench's adversary sees w_m s_m instead of s_m, which
corrects least the modality that still shows most; the click teaches its weights, too; and its B
sees detached p, which teaches B alone. Here B's loss reaches p, as the formula of the paper has it.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.contrast import reverse_gradient
from fusefront.fusion_variants.layers import Flat, SlotLinear
from fusefront.fusion_variants.presence import cleared, lowest, one_token


class Marn(FusionOperator):
    """Shared parts, made indistinguishable by an adversary, and specific parts of each modality."""

    name: ClassVar[str] = "marn"
    paper: ClassVar[str] = "Li et al. 2020, WWW"
    choices: ClassVar = {"weight": (0.1, 1.0), "adversary": (0.01, 0.05)}

    def __init__(self, slots: int, d: int, *, weight: float = 1.0, adversary: float = 0.05) -> None:
        super().__init__(slots, d)
        self.weight, self.adversary = weight, adversary
        self.shared = Flat([d, d], bias=False)
        self.specific = SlotLinear(slots, d, d, bias=False)
        self.view = SlotLinear(slots, d, d)
        self.tell_weight, self.tell_shared, self.tell_specific = (
            Flat([d, d, slots]) for _ in range(3)
        )

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        shared, specific = self.shared(x), self.specific(x)  # (..., M, d)
        views = cleared(self.view(specific).tanh(), present).sum(-2)  # (..., d)
        attribution = self.tell_weight(shared.detach()).softmax(-1).detach()  # (..., M, M)
        trust = 1.0 - attribution.diagonal(dim1=-2, dim2=-1)  # (..., M)
        weighed = trust.unsqueeze(-1) * shared
        common = lowest(weighed, present).amax(-2)  # (..., d)
        loss = self._modalities(shared, specific, present) if self.training else None
        return one_token(views + common, present, loss)  # (..., 1, d)

    def _modalities(self, shared: Tensor, specific: Tensor, present: Tensor) -> Tensor:
        slot = torch.arange(self.slots, device=present.device).expand(present.shape)[present]
        if not len(slot):
            return shared.new_zeros(())
        shared, specific = shared[present], specific[present]  # (N, d)
        tells = cross_entropy(self.tell_weight(shared.detach()), slot)
        fooled = cross_entropy(self.tell_shared(reverse_gradient(shared)), slot)
        identified = cross_entropy(self.tell_specific(specific), slot)
        return self.weight * (tells + self.adversary * (fooled + identified))
