"""Adversarial: a two-layer network tells a from b; the gradient into a and b has its sign turned.

The loss is the network's binary cross entropy: it falls for the network and rises for the views.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from fusefront.fusion_variants.contract import AlignmentLoss
from fusefront.fusion_variants.contrast import reverse_gradient
from fusefront.fusion_variants.layers import Flat


class Adversarial(AlignmentLoss):
    """A network cannot tell the modalities apart; the loss starts at log 2."""

    name: ClassVar[str] = "adversarial"
    paper: ClassVar[str] = "Ganin et al. 2016, JMLR"
    choices: ClassVar = {"hidden": (32, 64)}

    def __init__(self, d: int, *, hidden: int = 64) -> None:
        super().__init__(d)
        self.tell = Flat([d, hidden, 1])

    def forward(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        if not len(a):
            return a.new_zeros(())
        logit = self.tell(reverse_gradient(torch.cat([a, b]))).squeeze(-1)  # (2 n)
        truth = torch.cat([torch.zeros_like(logit[: len(a)]), torch.ones_like(logit[len(a) :])])
        return binary_cross_entropy_with_logits(logit, truth)
