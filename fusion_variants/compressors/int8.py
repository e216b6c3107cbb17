"""int8 rows: x ≈ s round(x / s) with a scale of its own for each row, s = max|x| / 127.

The scale travels in the row's last two bytes as (1 + a / 128) 2^b, rounded up by at most 1/128, so
that the table is one int8 array, a quarter of float32.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Compressor, CompressorReport


class Int8Rows(Compressor):
    """One byte a number."""

    name: ClassVar[str] = "int8"
    fit_uses: ClassVar[str] = "rows"
    paper: ClassVar[str] = "Jacob et al. 2018, CVPR"

    @property
    def width_frozen(self) -> int:
        return self.width_in + 2

    @property
    def width_out(self) -> int:
        return self.width_in

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        back, _ = self(self.transform(rows), torch.ones(len(rows), dtype=torch.bool))
        error = (back - rows).square().sum() / rows.square().sum().clamp_min(1e-12)
        return CompressorReport(
            {"relative_error": float(error.sqrt()), "bytes_per_item": float(self.width_frozen)}
        )

    def transform(self, rows: Tensor) -> Tensor:
        scale = (rows.abs().amax(-1, keepdim=True) / 127.0).clamp_min(2.0**-100)  # (n, 1)
        mantissa, exponent = torch.frexp(scale)  # scale = mantissa 2^exponent, 0.5 <= mantissa < 1
        fraction = ((2.0 * mantissa - 1.0) * 128.0).ceil()  # 0 to 128
        full = fraction == 128.0
        fraction, power = fraction.masked_fill(full, 0.0), exponent - 1 + full.to(exponent.dtype)
        steps = (rows / ((1.0 + fraction / 128.0) * torch.exp2(power.float()))).round()
        parts = [steps.clamp(-127, 127), fraction, power.to(fraction.dtype)]
        return torch.cat(parts, -1).to(torch.int8)  # (n, D + 2)

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        numbers = rows.float()
        scale = (1.0 + numbers[..., -2:-1] / 128.0) * torch.exp2(numbers[..., -1:])  # (..., 1)
        x = numbers[..., :-2] * scale  # (..., D)
        return x.masked_fill(~present.unsqueeze(-1), 0.0), x.new_zeros(())
