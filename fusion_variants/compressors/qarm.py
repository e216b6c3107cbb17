"""QARM's codes: residual codes of the direction, each level an embedded field of its own.

x / |x| to codes as in `rq`; the model reads [E_1[c_1]; ...; E_L[c_L]], learned with the clicks, for
target and history alike, and a linear layer mixes the levels, where `rq` adds them up.
"""

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import normalize

from fusefront.fusion_variants.compressors.rq import ResidualCodes
from fusefront.fusion_variants.contract import CompressorReport


class QarmCodes(ResidualCodes):
    """A vector as `levels` categorical fields."""

    name: ClassVar[str] = "qarm"
    paper: ClassVar[str] = "Luo et al. 2024, arXiv 2411.11739 (QARM)"
    choices: ClassVar = {"k": (8, 16, 32), "levels": (2, 3), "codes": (64, 256, 1024)}

    def __init__(self, width_in: int, *, k: int = 16, levels: int = 3, codes: int = 256) -> None:
        super().__init__(width_in, k=k, levels=levels, codes=codes)

    @property
    def width_out(self) -> int:
        return self.levels * self.k

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        return super().fit(normalize(rows, dim=-1), seed)

    def transform(self, rows: Tensor) -> Tensor:
        return super().transform(normalize(rows, dim=-1))

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        x = self.table(rows.long() + self.offset).flatten(-2)  # (..., L * k)
        return x.masked_fill(~present.unsqueeze(-1), 0.0), x.new_zeros(())
