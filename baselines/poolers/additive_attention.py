"""Additive self-attention over the history, whoever the candidate (NAML's user encoder, Wu et al.
2019, IJCAI).

a_l = softmax(v' tanh(W h_l + b)), u = Σ_l a_l h_l; the score depends on the item alone: offline.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Pooler
from fusefront.baselines.poolers.masking import additive, alive


class AdditiveAttention(Pooler):
    """Pools with a weight for each history item that does not depend on the candidate."""

    name: ClassVar[str] = "additive_attention"
    paper: ClassVar[str] = "Wu et al. 2019, IJCAI (NAML)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"hidden": (16, 64)}

    def __init__(self, width: int, *, hidden: int = 64) -> None:
        super().__init__(width)
        self.inner = nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    @property
    def width_out(self) -> int:
        return self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.score(self.inner(x).tanh())], -1)

    def prepare_target(self, x: Tensor) -> Tensor:
        return x[..., :0]

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        values, score = history[..., :-1], history[..., -1]  # [R, (K,) L, D], [R, (K,) L]
        if history.ndim == 4:
            mask = mask.unsqueeze(1)
        weight = (score + additive(mask, score)).softmax(-1) * alive(mask, score)
        pooled = (weight.unsqueeze(-2) @ values).squeeze(-2)  # [R, (K,) D]
        return pooled if history.ndim == 4 else pooled.unsqueeze(1).expand(-1, target.shape[1], -1)
