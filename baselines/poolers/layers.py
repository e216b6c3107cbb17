"""Linear layers over the last axis, folded into two-dimensional products."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class Dense(nn.Module):
    """Linear layers with ReLU (and dropout) between, none after the last."""

    def __init__(self, widths: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., widths[0]] to [..., widths[-1]]."""
        lead, y = x.shape[:-1], x.reshape(-1, x.shape[-1])
        for index, layer in enumerate(self.layers):
            y = layer(y if index == 0 else self.dropout(y.relu()))
        return y.reshape(*lead, y.shape[-1])
