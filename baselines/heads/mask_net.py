"""MaskNet head: blocks that multiply the features with a mask made of all of them.

m_b = V_b ReLU(U_b x + u_b) + v_b; h_b = ReLU(LN(W_b (m_b ⊙ x))) for every block b side by side, x
the normed features; logit = MLP([h_1; ...; h_B]).
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed


class MaskBlock(nn.Module):
    """ReLU(LN(W (mask(x) ⊙ x))) over rows [N, F]."""

    def __init__(self, width: int, out: int, reduction: float) -> None:
        super().__init__()
        inner = max(1, int(width * reduction))
        self.enter, self.leave = nn.Linear(width, inner), nn.Linear(inner, width)
        self.project = nn.Linear(width, out, bias=False)
        self.layer_norm = nn.LayerNorm(out)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, F] to [N, out]."""
        mask = self.leave(self.enter(x).relu())  # [N, F]
        return self.layer_norm(self.project(mask * x)).relu()  # type: ignore[no-any-return]


class MaskNet(Head):
    """Several parallel blocks that multiply the features by element-wise masks."""

    name: ClassVar[str] = "mask_net"
    paper: ClassVar[str] = "Wang et al. 2021, DLP-KDD"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "blocks": (1, 2, 4),
        "block": (16, 32, 64),
        "reduction": (0.5, 1.0, 2.0),
        "hidden": ((16,), (32, 16), (64, 32)),
    }

    def __init__(
        self,
        width: int,
        *,
        blocks: int = 2,
        block: int = 32,
        reduction: float = 1.0,
        hidden: tuple[int, ...] = (32,),
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        if reduction <= 0:
            raise ValueError(f"reduction is {reduction}; expected a number above 0")
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.blocks = nn.ModuleList(MaskBlock(width, block, reduction) for _ in range(blocks))
        widths = (blocks * block, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.out = nn.Linear(widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        x = normed(self.norm, x)
        h = torch.cat([block(x) for block in self.blocks], -1)  # [N, B * block]
        for layer in self.layers:
            h = layer(h).relu()
        return self.out(h).squeeze(-1)  # type: ignore[no-any-return]
