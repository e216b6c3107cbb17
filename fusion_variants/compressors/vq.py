"""Vector quantisation learned with the model: z = E x in P pieces, each to the nearest of its K
codes.

Forward z_q = nearest code of each piece, gradient straight through: x = z + sg(z_q - z). Training
adds weight * (mean |sg(z) - z_q|² + β mean |z - sg(z_q)|²), sg = no gradient.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.clusters import collision_rate, k_means, nearest, usage
from fusefront.fusion_variants.contract import Compressor, CompressorReport


class LearnedCodes(Compressor):
    """An item becomes `parts` integers whose codes are learned from clicks."""

    name: ClassVar[str] = "vq"
    paper: ClassVar[str] = "van den Oord et al. 2017, NeurIPS (VQ-VAE)"
    choices: ClassVar = {"k": (16, 32, 64), "parts": (2, 4, 8), "codes": (64, 256)}

    def __init__(
        self,
        width_in: int,
        *,
        k: int = 64,
        parts: int = 4,
        codes: int = 256,
        weight: float = 1.0,
        commitment: float = 0.25,
    ) -> None:
        super().__init__(width_in)
        if k % parts:
            raise ValueError(f"vq: {parts} parts do not divide k = {k}; choose a divisor of {k}")
        self.k, self.parts, self.codes = k, parts, codes
        self.weight, self.commitment = weight, commitment
        self.encode = nn.Linear(width_in, k)
        self.book = nn.Parameter(torch.randn(parts, codes, k // parts))

    @property
    def width_frozen(self) -> int:
        return self.width_in

    @property
    def width_out(self) -> int:
        return self.k

    @torch.no_grad()
    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        """Start the codes at k-means centres of the encoder's first output, so that all are
        used."""
        if len(rows) < self.codes:
            raise ValueError(
                f"{self.name}: {len(rows)} items have this modality in train; "
                f"expected at least codes = {self.codes}; choose fewer codes"
            )
        generator = torch.Generator().manual_seed(seed)
        pieces = self.encode(rows).unflatten(-1, (self.parts, -1))  # (n, P, k / P)
        for part in range(self.parts):
            self.book[part] = k_means(pieces[:, part], self.codes, generator)
        return CompressorReport(self.report(rows))

    @torch.no_grad()
    def report(self, rows: Tensor) -> dict[str, float]:
        """Use and perplexity of each part's codebook, and collisions, of the current codes of rows
        [n, width_in]."""
        pieces = self.encode(rows).unflatten(-1, (self.parts, -1))  # (n, P, k / P)
        picked = [nearest(pieces[:, part], self.book[part]) for part in range(self.parts)]
        numbers = {}
        for part, codes in enumerate(picked):
            used, perplexity = usage(codes, self.codes)
            numbers[f"codebook_use_{part}"], numbers[f"perplexity_{part}"] = used, perplexity
        return numbers | {"collision_rate": collision_rate(torch.stack(picked, -1))}

    def transform(self, rows: Tensor) -> Tensor:
        return rows

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        absent = ~present.unsqueeze(-1)
        z = self.encode(rows.masked_fill(absent, 0.0))  # (..., k)
        pieces = z.reshape(-1, self.parts, self.k // self.parts).transpose(0, 1)  # (P, N, k / P)
        distance = self.book.square().sum(-1).unsqueeze(1) - 2.0 * pieces @ self.book.mT
        picked = distance.argmin(-1)  # (P, N)
        coded = torch.stack([book[code] for book, code in zip(self.book, picked, strict=True)], 1)
        coded = coded.reshape(z.shape)  # (..., k)
        loss = z.new_zeros(())
        if self.training:
            moved = (z.detach() - coded).square() + self.commitment * (z - coded.detach()).square()
            count = present.sum().clamp_min(1) * self.k
            loss = self.weight * moved.masked_fill(absent, 0.0).sum() / count
            coded = z + (coded - z).detach()
        return coded.masked_fill(absent, 0.0), loss
