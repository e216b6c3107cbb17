"""Symmetric KL: mean over items of ½ [KL(p‖q) + KL(q‖p)], p = softmax(a / τ),
q = softmax(b / τ)."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.choice import between
from fusefront.fusion_variants.contract import AlignmentLoss


class SymmetricKl(AlignmentLoss):
    """Both views of an item get the same distribution over the d numbers."""

    name: ClassVar[str] = "kl"
    paper: ClassVar[str] = "Kullback and Leibler 1951"
    choices: ClassVar = {"temperature": (0.5, 1.0, 2.0)}

    def __init__(self, d: int, *, temperature: float = 1.0) -> None:
        super().__init__(d)
        self.temperature = between("temperature", temperature, 0.0)

    def forward(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        if not len(a):
            return a.new_zeros(())
        log_p = (a.float() / self.temperature).log_softmax(-1)  # (n, d)
        log_q = (b.float() / self.temperature).log_softmax(-1)
        # KL(p‖q) + KL(q‖p) = Σ (p - q) (log p - log q)
        return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1).mean()
