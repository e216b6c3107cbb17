"""Linear layers over the last axis, folded into two-dimensional products."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class Dense(nn.Module):
    """Linear layers with ReLU (and dropout) between, none after the last."""

    def __init__(
        self, widths: Sequence[int], dropout: float = 0.0, *, last_bias: bool = True
    ) -> None:
        super().__init__()
        last = len(widths) - 2
        self.layers = nn.ModuleList(
            nn.Linear(before, after, bias=last_bias or index < last)
            for index, (before, after) in enumerate(pairwise(widths))
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., widths[0]] to [..., widths[-1]]."""
        lead, y = x.shape[:-1], x.reshape(-1, x.shape[-1])
        for index, layer in enumerate(self.layers):
            y = layer(y if index == 0 else self.dropout(y.relu()))
        return y.reshape(*lead, y.shape[-1])
