"""PPNet head: every layer of an MLP is scaled, row by row, by a gate of the features themselves.

g_l = 2 σ(V_l ReLU(U_l sg(x) + u_l) + v_l), sg = no gradient; h_l = ReLU(W_l (g_l ⊙ h_{l-1}) + b_l),
h_0 = x the normed features; logit = w' h_n + b. The paper's prior is the embeddings of user, item
and author; a head sees all features side by side, so they all are its prior here. EPNet's gate over
the embeddings is g_1 here: of the same prior, a second one would scale the same features twice.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed


class PpNet(Head):
    """An MLP whose layers are scaled for each row by gates."""

    name: ClassVar[str] = "ppnet"
    paper: ClassVar[str] = "Chang et al. 2023, KDD (PEPNet)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "hidden": ((32, 16), (64, 32), (128, 64)),
        "gate": (8, 16, 32),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self,
        width: int,
        *,
        hidden: tuple[int, ...] = (64, 32),
        gate: int = 16,
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        self.norm = nn.BatchNorm1d(width) if norm else None
        widths = (width, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.enter = nn.ModuleList(nn.Linear(width, gate) for _ in hidden)
        self.leave = nn.ModuleList(nn.Linear(gate, wide) for wide in widths[:-1])
        self.out = nn.Linear(widths[-1], 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        x = normed(self.norm, x)
        prior, h = x.detach(), x
        for layer, enter, leave in zip(self.layers, self.enter, self.leave, strict=True):
            gate = 2.0 * leave(enter(prior).relu()).sigmoid()  # [N, H_{l-1}]
            h = self.dropout(layer(gate * h).relu())  # [N, H_l]
        return self.out(h).squeeze(-1)  # type: ignore[no-any-return]
