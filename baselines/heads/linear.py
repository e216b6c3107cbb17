"""Linear head: batch norm of the features, then one weight each.

logit = w' BN(x) + b.
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed_linear


class Linear(Head):
    """logit = w' norm(x) + b: no interaction beyond those in the features."""

    name: ClassVar[str] = "linear"
    paper: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}

    def __init__(self, width: int, *, norm: bool = True) -> None:
        super().__init__(width)
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        return normed_linear(self.norm, self.out, x).squeeze(-1)
