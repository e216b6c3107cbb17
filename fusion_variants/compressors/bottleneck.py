"""Learned bottleneck: z = E x, trained with the click model; loss weight * mean |D
z - x|² / |x|²."""

from typing import ClassVar

from torch import Tensor, nn

from fusefront.fusion_variants.contract import Compressor, CompressorReport


class LearnedBottleneck(Compressor):
    """A linear projection learned from clicks; `weight` > 0 adds a loss for reconstructing the
    vector."""

    name: ClassVar[str] = "bottleneck"
    fit_uses: ClassVar[str] = "rows"
    paper: ClassVar[str] = "Hinton and Salakhutdinov 2006, Science (autoencoder)"
    choices: ClassVar = {"k": (16, 32, 64, 128), "weight": (0.0, 0.1)}

    def __init__(self, width_in: int, *, k: int = 64, weight: float = 0.0) -> None:
        super().__init__(width_in)
        self.k, self.weight = k, weight
        self.encode = nn.Linear(width_in, k)
        self.decode = nn.Linear(k, width_in) if weight else None

    @property
    def width_frozen(self) -> int:
        return self.width_in

    @property
    def width_out(self) -> int:
        return self.k

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        return CompressorReport({})

    def transform(self, rows: Tensor) -> Tensor:
        return rows

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        absent = ~present.unsqueeze(-1)
        rows = rows.masked_fill(absent, 0.0)
        x = self.encode(rows).masked_fill(absent, 0.0)  # (..., k)
        loss = x.new_zeros(())
        if self.training and self.decode is not None:
            error = (self.decode(x) - rows).masked_fill(absent, 0.0).square().sum()
            loss = self.weight * error / rows.square().sum().clamp_min(1e-12)
        return x, loss
