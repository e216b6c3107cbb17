"""Gated deep cross network: cross layers whose products pass a gate, then an MLP.

c_0 = BN(x); c_{l+1} = c_0 ⊙ (W_l c_l + b_l) ⊙ σ(V_l c_l) + c_l; logit = MLP(c_n).
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed


class Gdcn(Head):
    """A deep cross network with a gate on every product."""

    name: ClassVar[str] = "gdcn"
    paper: ClassVar[str] = "Wang et al. 2023, CIKM"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "layers": (1, 2, 3),
        "hidden": ((32, 16), (64, 32), (128, 64)),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self,
        width: int,
        *,
        layers: int = 2,
        hidden: tuple[int, ...] = (64, 32),
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.gates = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.deep = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((width, *hidden)))
        self.out = nn.Linear(hidden[-1] if hidden else width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        x = normed(self.norm, x)
        h = x
        for cross, gate in zip(self.cross, self.gates, strict=True):
            h = x * cross(h) * gate(h).sigmoid() + h  # [N, F]
        for layer in self.deep:
            h = self.dropout(layer(h).relu())  # [N, H]
        return self.out(h).squeeze(-1)  # type: ignore[no-any-return]
