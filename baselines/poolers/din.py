"""Deep interest network's local activation unit (Zhou et al. 2018, KDD).

s_l = MLP([t; h_l; t - h_l; t ⊙ h_l]), u = Σ_l s_l h_l over the real items, without softmax unless
asked. The first layer splits, W [t; h; t - h; t ⊙ h] = (W_1 + W_3) t + (W_2 - W_3) h + W_4 (t ⊙ h):
its first two terms are made offline.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusefront.baselines.contract import Pooler
from fusefront.baselines.packed import HistoryPairs, Packed, at_in, in_blocks
from fusefront.baselines.poolers.crossed import crossed
from fusefront.baselines.poolers.layers import Dense
from fusefront.baselines.poolers.masking import additive, alive


class DinPooler(Pooler):
    """The candidate weighs each history item by a small network."""

    name: ClassVar[str] = "din"
    paper: ClassVar[str] = "Zhou et al. 2018, KDD"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "hidden": ((32, 16), (64, 32), (512, 256)),
        "softmax": (False, True),
    }

    def __init__(
        self,
        width: int,
        *,
        hidden: tuple[int, ...] = (64, 32),
        softmax: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(width)
        if not hidden:
            raise ValueError("hidden is empty; expected the width of at least one layer")
        self.first = nn.Linear(4 * width, hidden[0])
        self.rest = Dense((*hidden, 1), dropout, last_bias=not softmax)  # softmax drops it
        self.dropout = nn.Dropout(dropout)
        self.softmax = softmax

    @property
    def width_out(self) -> int:
        return self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        _, w2, w3, _ = self.first.weight.chunk(4, 1)
        return torch.cat([x, functional.linear(x, w2 - w3)], -1)

    def prepare_target(self, x: Tensor) -> Tensor:
        w1, _, w3, _ = self.first.weight.chunk(4, 1)
        return torch.cat([x, functional.linear(x, w1 + w3, self.first.bias)], -1)

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        widths = [self.width, self.first.out_features]
        t, from_target = torch.split(target, widths, -1)  # [R, K, D], [R, K, H]
        if history.ndim == 3:
            history = history.unsqueeze(1)  # [R, 1, L, .]
        h, from_history = torch.split(history, widths, -1)
        mask = mask.unsqueeze(1)  # [R, 1, L]
        both = t.unsqueeze(2) * h  # [R, K, L, D]
        w4 = self.first.weight.chunk(4, 1)[3]
        lead = both.shape[:-1]
        product = functional.linear(both.flatten(0, 2), w4).reshape(*lead, -1)
        inner = (from_target.unsqueeze(2) + from_history + product).relu()  # [R, K, L, H]
        score = self.rest(self.dropout(inner)).squeeze(-1)  # [R, K, L]
        if self.softmax:
            score = (score + additive(mask, score)).softmax(-1) * alive(mask, score)
        else:
            score = score.masked_fill(~mask, 0.0)
        pooled: Tensor = (score.unsqueeze(-2) @ h).squeeze(-2)
        return pooled

    def pool_rows(self, target: Tensor, history: Tensor, packed: Packed) -> Tensor:
        """The same over real pairs alone: [N, D + H], [n, D + H] -> [N, D]."""
        widths, pairs = [self.width, self.first.out_features], packed.pairs
        t, from_target = torch.split(target, widths, -1)  # [N, D], [N, H]
        h, from_history = torch.split(history, widths, -1)  # [n, D], [n, H]

        def scores(some: HistoryPairs) -> Tensor:
            product = crossed(t, h, self.first.weight.chunk(4, 1)[3], some)  # [P, H]
            like = product.dtype  # half of the memory where products are of half precision
            inner = product.add_(at_in(like, from_history, some.code))  # in place: the widest
            inner = inner.add_(at_in(like, from_target, some.row)).relu_()
            out: Tensor = self.rest(self.dropout(inner)).squeeze(-1)  # [P]
            return out

        score = in_blocks(scores, pairs, from_target)
        return pairs.sums(pairs.softmax(score) if self.softmax else score, h)
