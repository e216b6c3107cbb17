"""Cosine alignment: mean of 1 - cos(a_i, b_i)."""

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cosine_similarity

from fusefront.fusion_variants.contract import AlignmentLoss


class Cosine(AlignmentLoss):
    """Both views of an item get the same direction."""

    name: ClassVar[str] = "cosine"

    def forward(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        if not len(a):
            return a.new_zeros(())
        return (1.0 - cosine_similarity(a, b, dim=-1)).mean()  # []
