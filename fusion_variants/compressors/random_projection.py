"""Random projection: z = (x - mean) R / √k, R standard normal from the seed: distances nearly
kept."""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Compressor, CompressorReport


class RandomProjection(Compressor):
    """A projection without learning, the baseline for every other compressor."""

    name: ClassVar[str] = "random_projection"
    fit_uses: ClassVar[str] = "seed"
    paper: ClassVar[str] = "Johnson and Lindenstrauss 1984"
    choices: ClassVar = {"k": (16, 32, 64, 128)}

    def __init__(self, width_in: int, *, k: int = 64) -> None:
        super().__init__(width_in)
        self.k = k
        self.mean: Tensor
        self.directions: Tensor
        self.register_buffer("mean", torch.zeros(width_in))
        self.register_buffer("directions", torch.zeros(width_in, k))

    @property
    def width_frozen(self) -> int:
        return self.k

    @property
    def width_out(self) -> int:
        return self.k

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        generator = torch.Generator().manual_seed(seed)
        self.mean.copy_(rows.double().mean(0))
        drawn = torch.randn(self.width_in, self.k, generator=generator)
        self.directions.copy_(drawn * self.k**-0.5)
        return CompressorReport({})

    def transform(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) @ self.directions  # (n, k)

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        return rows.masked_fill(~present.unsqueeze(-1), 0.0), rows.new_zeros(())
