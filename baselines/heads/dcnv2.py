"""Deep & cross network v2 (Wang et al. 2021, WWW): cross layers beside an MLP.

h_{k+1} = x ⊙ (W_k h_k + b_k) + h_k, W_k full or U_k V_k of rank r; logit = w' [h_n; MLP(x)] + b.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed


class CrossLayer(nn.Module):
    """x ⊙ (W h + b) + h over rows [N, F]; `rank` 0 = full. In evaluation U V is one matrix where
    that costs less."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, rank, bias=False) if rank else None
        self.up = nn.Linear(rank or width, width)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """x [N, F] times a linear map of h [N, F], plus h: [N, F]."""
        return x * self._mapped(h) + h

    def _mapped(self, h: Tensor) -> Tensor:
        if self.down is None:
            return self.up(h)  # type: ignore[no-any-return]
        rank, width = self.down.weight.shape
        if self.training or 2 * rank <= width:
            return self.up(self.down(h))  # type: ignore[no-any-return]
        return linear(h, self.up.weight @ self.down.weight, self.up.bias)


class Dcnv2(Head):
    """Every layer multiplies the features once more."""

    name: ClassVar[str] = "dcnv2"
    paper: ClassVar[str] = "Wang et al. 2021, WWW"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"layers": (1, 2, 3), "rank": (0, 8, 16)}

    def __init__(
        self,
        width: int,
        *,
        layers: int = 2,
        rank: int = 0,
        hidden: tuple[int, ...] = (64, 32),
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.cross = nn.ModuleList(CrossLayer(width, rank) for _ in range(layers))
        self.deep = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((width, *hidden)))
        self.out = nn.Linear(width + (hidden[-1] if hidden else 0), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        x = normed(self.norm, x)
        crossed = deep = x
        for layer in self.cross:
            crossed = layer(x, crossed)  # [N, F]
        for layer in self.deep:
            deep = layer(deep).relu()  # [N, H]
        both = torch.cat([crossed, deep], -1) if len(self.deep) else crossed
        return self.out(both).squeeze(-1)  # type: ignore[no-any-return]
