"""No compression: the vectors as they are."""

from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.contract import Compressor, CompressorReport


class NoCompression(Compressor):
    """Rows pass unchanged; absent ones are zero."""

    name: ClassVar[str] = "none"
    fit_uses: ClassVar[str] = "rows"

    @property
    def width_frozen(self) -> int:
        return self.width_in

    @property
    def width_out(self) -> int:
        return self.width_in

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        return CompressorReport({})

    def transform(self, rows: Tensor) -> Tensor:
        return rows

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        return rows.masked_fill(~present.unsqueeze(-1), 0.0), rows.new_zeros(())
