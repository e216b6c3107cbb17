"""Principal components: z = (x - mean) V_k, and divided by their deviations where whitened.

Mean and components come from the rows that `fit` sees, so absent items, which are zero rows, do not
pull them; absent rows are zero after projection, which says nothing of presence.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Compressor, CompressorReport


class Pca(Compressor):
    """The k directions of most variance of one modality, frozen."""

    name: ClassVar[str] = "pca"
    fit_uses: ClassVar[str] = "rows"
    paper: ClassVar[str] = "Hotelling 1933; per modality: Zhou 2025, arXiv 2504.18961"
    choices: ClassVar = {"k": (16, 32, 64, 128), "whiten": (False, True)}

    def __init__(self, width_in: int, *, k: int = 64, whiten: bool = True) -> None:
        super().__init__(width_in)
        if not 1 <= k <= width_in:
            raise ValueError(f"{self.name}: k is {k}; expected 1 to the vectors' width {width_in}")
        self.k, self.whiten = k, whiten
        self.mean: Tensor
        self.components: Tensor
        self.register_buffer("mean", torch.zeros(width_in))
        self.register_buffer("components", torch.zeros(width_in, k))

    @property
    def width_frozen(self) -> int:
        return self.k

    @property
    def width_out(self) -> int:
        return self.k

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        if len(rows) <= self.k:
            raise ValueError(
                f"{self.name}: {len(rows)} items have this modality in train; "
                f"expected more than k = {self.k}; choose a smaller k"
            )
        exact = rows.double()  # (n, D)
        mean = exact.mean(0)
        centred = exact - mean
        covariance = centred.T @ centred / (len(rows) - 1)  # (D, D)
        variance, vectors = torch.linalg.eigh(covariance)  # ascending
        variance, vectors = variance.flip(0).clamp_min(0.0), vectors.flip(1)
        top = vectors[:, : self.k]  # (D, k)
        largest = top.abs().argmax(0)  # the sign of an eigenvector is free: make it definite
        top = top * top[largest, torch.arange(self.k)].sign()
        if self.whiten:
            top = top / variance[: self.k].clamp_min(1e-12 * float(variance[0])).sqrt()
        self.mean.copy_(mean)
        self.components.copy_(top)
        share = variance[: self.k].sum() / variance.sum().clamp_min(1e-300)
        return CompressorReport({"explained_variance": float(share)})

    def transform(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) @ self.components  # (n, k)

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        return rows.masked_fill(~present.unsqueeze(-1), 0.0), rows.new_zeros(())
