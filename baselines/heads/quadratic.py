"""Quadratic network, QIN's head (Li et al. 2025, WWW companion): the degree doubles with every
layer.

x ← x + dropout(PReLU(BN(Σ_{r ≤ R} x ⊙ dropout(W_r x + b_r)))), then one linear logit. The R
matrices differ by their dropout alone: they are an ensemble in training and one matrix, their sum,
in evaluation, which is what is exported. Without dropout R changes the learning rate only.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed


class QuadraticLayer(nn.Module):
    """x + dropout(PReLU(BN(Σ_r x ⊙ dropout(W_r x + b_r)))) over rows [N, F]."""

    def __init__(self, width: int, rank: int, dropout: float) -> None:
        super().__init__()
        self.products = nn.Linear(width, rank * width)
        self.norm = nn.BatchNorm1d(width)
        self.bend = nn.PReLU()
        self.dropout = nn.Dropout(dropout)
        self.rank = rank

    def forward(self, x: Tensor) -> Tensor:
        """x [N, F] plus its products with sums of linear maps of it: [N, F]."""
        if self.training:
            each = self.dropout(self.products(x))  # [N, R * F]
            rows = each.reshape(-1, self.rank, x.shape[-1]).sum(1)  # [N, F]
        else:
            parts = (self.products.weight, self.products.bias)
            weight, bias = (torch.unflatten(part, 0, (self.rank, -1)).sum(0) for part in parts)
            rows = linear(x, weight, bias)  # of [F, F]
        return x + self.dropout(self.bend(normed(self.norm, x * rows)))  # type: ignore[no-any-return]


class QuadraticHead(Head):
    """Products of the features with their own linear images."""

    name: ClassVar[str] = "quadratic"
    paper: ClassVar[str] = "Li et al. 2025, WWW companion (QIN)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"layers": (1, 2, 4), "rank": (2, 3, 4)}

    def __init__(
        self,
        width: int,
        *,
        layers: int = 2,
        rank: int = 3,
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.layers = nn.ModuleList(QuadraticLayer(width, rank, dropout) for _ in range(layers))
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        x = normed(self.norm, x)
        for layer in self.layers:
            x = layer(x)
        return self.out(x).squeeze(-1)  # type: ignore[no-any-return]
