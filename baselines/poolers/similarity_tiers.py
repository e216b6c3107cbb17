"""MAKE's similarity tiers beside DIN's pooling (Sheng et al. 2024, CIKM).

u = [DIN(t, h); share of the history in each of B tiers of cos(t, h_l)]: width_out = D + B.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from fusefront.baselines.contract import Pooler
from fusefront.baselines.packed import Packed, at
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.poolers.similarity import bucket, cosines, direction, shares


class SimilarityTiers(Pooler):
    """DIN's pooled vector together with the histogram of similarities."""

    name: ClassVar[str] = "similarity_tiers"
    paper: ClassVar[str] = "Sheng et al. 2024, CIKM (SimTier, MAKE)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"tiers": (5, 10, 20)}
    keeps_width: ClassVar[bool] = False

    def __init__(
        self,
        width: int,
        *,
        tiers: int = 10,
        hidden: tuple[int, ...] = (64, 32),
        softmax: bool = True,
    ) -> None:
        super().__init__(width)
        self.tiers = tiers
        self.pool = DinPooler(width, hidden=hidden, softmax=softmax)

    @property
    def width_out(self) -> int:
        return self.width + self.tiers

    def prepare_history(self, x: Tensor) -> Tensor:
        return torch.cat([direction(x), self.pool.prepare_history(x)], -1)

    def prepare_target(self, x: Tensor) -> Tensor:
        return torch.cat([direction(x), self.pool.prepare_target(x)], -1)

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        widths = [self.width, target.shape[-1] - self.width]
        toward, asks = torch.split(target, widths, -1)
        ways, content = torch.split(history, widths, -1)
        place = bucket(cosines(toward, ways), self.tiers)  # [R, K, L]
        tiers = shares(mask, place, self.tiers, target)
        return torch.cat([self.pool(asks, content, mask), tiers], -1)

    def pool_rows(self, target: Tensor, history: Tensor, packed: Packed) -> Tensor:
        """The same over real pairs alone: [N, Q], [n, H] -> [N, D + B]."""
        pairs = packed.pairs
        toward, asks = torch.split(target, [self.width, target.shape[-1] - self.width], -1)
        ways, content = torch.split(history, [self.width, history.shape[-1] - self.width], -1)
        cosine = (at(toward, pairs.row) * at(ways, pairs.code)).sum(-1)  # [P]
        tiers = pairs.shares(bucket(cosine, self.tiers), self.tiers, target)
        return torch.cat([self.pool.pool_rows(asks, content, packed), tiers], -1)
