"""MLP head: batch norm of the features, hidden layers with ReLU, one logit.

logit = w' ReLU(W_n ... ReLU(W_1 BN(x) + b_1) ... + b_n) + b, dropout after each ReLU.
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed_linear


class Mlp(Head):
    """A network over the features."""

    name: ClassVar[str] = "mlp"
    paper: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "hidden": ((32, 16), (64, 32), (128, 64)),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self,
        width: int,
        *,
        hidden: tuple[int, ...] = (64, 32),
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        self.norm = nn.BatchNorm1d(width) if norm else None
        widths = (width, *hidden)
        pairs = zip(widths, hidden, strict=False)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairs)
        self.out = nn.Linear(widths[-1], 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        norm = self.norm
        for layer in self.layers:
            x = self.dropout(normed_linear(norm, layer, x).relu())  # type: ignore[arg-type]  # [N, H]
            norm = None
        return normed_linear(norm, self.out, x).squeeze(-1)
