"""Residual-quantised codes: level l stores the nearest of K centres to what levels before left
over.

r_0 = x - mean, c_l = argmin_c |r_l - C_l,c|, r_l+1 = r_l - C_l,c_l. The model reads an embedding of
width k per level, learned with the clicks, and adds them up: x = Σ_l E_l[c_l].
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.clusters import collision_rate, k_means, nearest, usage
from fusefront.fusion_variants.contract import Compressor, CompressorReport


class ResidualCodes(Compressor):
    """A vector as `levels` small integers: 3 bytes an item instead of thousands."""

    name: ClassVar[str] = "rq"
    fit_uses: ClassVar[str] = "seed"
    paper: ClassVar[str] = "Chen et al. 2010, Sensors; Rajput et al. 2023, NeurIPS (semantic ids)"
    choices: ClassVar = {"k": (16, 32, 64), "levels": (2, 3, 4), "codes": (64, 256)}

    def __init__(self, width_in: int, *, k: int = 64, levels: int = 3, codes: int = 256) -> None:
        super().__init__(width_in)
        self.k, self.levels, self.codes = k, levels, codes
        self.mean: Tensor
        self.centres: Tensor
        self.offset: Tensor
        self.register_buffer("mean", torch.zeros(width_in))
        self.register_buffer("centres", torch.zeros(levels, codes, width_in))
        self.register_buffer("offset", torch.arange(levels) * codes, persistent=False)
        self.table = nn.Embedding(levels * codes, k)
        nn.init.normal_(self.table.weight, std=levels**-0.5)

    @property
    def width_frozen(self) -> int:
        return self.levels

    @property
    def width_out(self) -> int:
        return self.k

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        if len(rows) < self.codes:
            raise ValueError(
                f"{self.name}: {len(rows)} items have this modality in train; "
                f"expected at least codes = {self.codes}; choose fewer codes"
            )
        generator = torch.Generator().manual_seed(seed)
        self.mean.copy_(rows.double().mean(0))
        rest = whole = rows - self.mean
        spread = rest.square().sum()
        for level in range(self.levels):
            query = self.query(rest, whole)
            self.centres[level] = k_means(query, self.codes, generator)
            rest = rest - self._step(level, nearest(query, self.centres[level]))
        numbers = self.report(self.transform(rows))
        numbers["explained_variance"] = float(1.0 - rest.square().sum() / spread.clamp_min(1e-12))
        return CompressorReport(numbers)

    def query(self, rest: Tensor, whole: Tensor) -> Tensor:
        """What a level's centres are near to: what is left [n, D] of the whole [n, D]."""
        return rest

    def _step(self, level: int, code: Tensor) -> Tensor:
        """What a level takes away from rows of these codes [n]: [n, D]."""
        return self.centres[level][code][:, : self.width_in]

    def report(self, rows: Tensor) -> dict[str, float]:
        """Use and perplexity of each level's codebook, and the collision rate, of codes
        [n, levels]."""
        numbers = {}
        for level in range(self.levels):
            used, perplexity = usage(rows[:, level], self.codes)
            numbers[f"codebook_use_{level}"], numbers[f"perplexity_{level}"] = used, perplexity
        return numbers | {"collision_rate": collision_rate(rows)}

    def transform(self, rows: Tensor) -> Tensor:
        rest = whole = rows - self.mean
        codes = []
        for level, centres in enumerate(self.centres):
            codes.append(nearest(self.query(rest, whole), centres))
            rest = rest - self._step(level, codes[-1])
        return torch.stack(codes, -1)  # (n, levels) int64

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        x = self.table(rows.long() + self.offset).sum(-2)  # (..., k)
        return x.masked_fill(~present.unsqueeze(-1), 0.0), x.new_zeros(())
