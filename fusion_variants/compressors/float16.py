"""float16 rows: half the bytes, eleven bits of precision; |x| beyond 65,504 is cut there."""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Compressor, CompressorReport

LARGEST = torch.finfo(torch.float16).max


class HalfRows(Compressor):
    """Two bytes a number."""

    name: ClassVar[str] = "float16"
    fit_uses: ClassVar[str] = "rows"
    paper: ClassVar[str] = "IEEE 754-2008"

    @property
    def width_frozen(self) -> int:
        return self.width_in

    @property
    def width_out(self) -> int:
        return self.width_in

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        error = (self.transform(rows).float() - rows).square().sum()
        relative = (error / rows.square().sum().clamp_min(1e-12)).sqrt()
        return CompressorReport(
            {"relative_error": float(relative), "bytes_per_item": 2.0 * self.width_in}
        )

    def transform(self, rows: Tensor) -> Tensor:
        return rows.clamp(-LARGEST, LARGEST).half()

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        x = rows.float().masked_fill(~present.unsqueeze(-1), 0.0)  # (..., D)
        return x, x.new_zeros(())
