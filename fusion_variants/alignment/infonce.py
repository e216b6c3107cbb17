"""InfoNCE: symmetric cross entropy of cos(a_i, b_j) / τ against i = j; twins of an item are left
out."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.choice import between
from fusefront.fusion_variants.contract import AlignmentLoss
from fusefront.fusion_variants.contrast import info_nce, sampled


class InfoNce(AlignmentLoss):
    """An item's two views are closer than views of different items; at most 1,024 rows."""

    name: ClassVar[str] = "infonce"
    paper: ClassVar[str] = "van den Oord et al. 2018; Radford et al. 2021, ICML (CLIP)"
    choices: ClassVar = {"temperature": (0.07, 0.1, 0.2)}

    def __init__(self, d: int, *, temperature: float = 0.1) -> None:
        super().__init__(d)
        self.temperature = between("temperature", temperature, 0.0)

    def forward(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        pick = sampled(len(a), a.device)  # (N)
        return info_nce(a[pick], b[pick], ids[pick], self.temperature)
