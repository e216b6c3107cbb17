"""Early interaction of target and history in a transformer (TransAct, Xia et al. 2023, KDD; as momo
uses it).

x_l = [h_l; t], N post-norm encoder layers over the L positions; u = [y_{L-k+1}; ...; y_L; W max_l
y_l + b], so width_out = (k + 1) 2D: the maximum is over the real positions, and the last k outputs
are zero where padded. The history cannot be encoded once: every layer runs per candidate. Histories
are left-padded, L >= 1; a request without history reads the target at the last position.
"""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusefront.baselines.contract import Pooler
from fusefront.baselines.packed import Packed, at
from fusefront.baselines.poolers.layers import Dense
from fusefront.baselines.poolers.masking import additive


class PublishedEncoderLayer(nn.Module):
    """y = LN(x + Attention(x)), z = LN(y + W_2 ReLU(W_1 y)), as published with biases
    throughout."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = Dense((width, hidden, width), dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [B, L, D], bias [B, 1, 1, L] to [B, L, D]."""
        split = torch.unflatten(self.project(x), -1, (3, self.heads, -1))  # [B, L, 3, h, dh]
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # [B, h, L, dh]
        score = (query / sqrt(query.shape[-1])) @ key.transpose(-1, -2) + bias
        mixed = (self.dropout(score.softmax(-1)) @ value).transpose(1, 2).flatten(-2)
        x = self.norms[0](x + self.dropout(self.out(mixed)))
        return self.norms[1](x + self.dropout(self.feed(x)))  # type: ignore[no-any-return]


class Transformer(Pooler):
    """A transformer over the history with the target concatenated to every position."""

    name: ClassVar[str] = "transformer"
    paper: ClassVar[str] = "Xia et al. 2023, KDD (TransAct)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"layers": (1, 2), "last": (4, 16)}
    keeps_width: ClassVar[bool] = False

    def __init__(
        self,
        width: int,
        *,
        layers: int = 2,
        heads: int = 1,
        hidden: int = 256,
        dropout: float = 0.0,
        last: int = 16,
        mask_as_published: bool = False,
        length: int = 0,
    ) -> None:
        """`mask_as_published` inverts the padding mask, as the challenge's rank-1 code does.

        Then padded positions affect the result, so that their number must not depend on the batch:
        `length` > 0 pads and cuts every history to that many positions.
        """
        super().__init__(width)
        if (2 * width) % heads:
            raise ValueError(f"{heads} heads do not divide the width {2 * width}; choose a divisor")
        self.last, self.length = last, length
        self.mask_as_published = mask_as_published
        self.layers = nn.ModuleList(
            PublishedEncoderLayer(2 * width, heads, hidden, dropout) for _ in range(layers)
        )
        self.out = nn.Linear(2 * width, 2 * width)

    @property
    def width_out(self) -> int:
        return (self.last + 1) * 2 * self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        return x

    def prepare_target(self, x: Tensor) -> Tensor:
        return x

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        history = history.unsqueeze(1) if history.ndim == 3 else history  # [R, 1 or K, L, D]
        history = history.masked_fill(~mask[:, None, :, None], 0.0)
        if self.length:
            history = functional.pad(history, (0, 0, self.length, 0))[:, :, -self.length :]
            mask = functional.pad(mask, (self.length, 0))[:, -self.length :]
        requests, candidates, _ = target.shape
        readable = self._readable(mask)
        lead = (requests, candidates, readable.shape[-1], -1)
        x = torch.cat([history.expand(*lead), target.unsqueeze(2).expand(*lead)], -1).flatten(0, 1)
        readable = readable.unsqueeze(1).expand(-1, candidates, -1).flatten(0, 1)  # [R * K, L]
        bias = additive(readable, x)[:, None, None]
        for layer in self.layers:
            x = layer(x, bias)
        there = readable.unsqueeze(-1)  # [R * K, L, 1]
        largest = x.masked_fill(~there, torch.finfo(x.dtype).min).amax(1)
        x = x.masked_fill(~there, 0.0)
        newest = functional.pad(x, (0, 0, self.last, 0))[:, -self.last :]  # zero where L < k
        summary = torch.cat([newest.flatten(1), self.out(largest)], -1)
        return summary.reshape(requests, candidates, -1)

    def pool_rows(self, target: Tensor, history: Tensor, packed: Packed) -> Tensor:
        """The same over real rows alone, each with its own history: [N, D], [n, D] -> [N, .]."""
        place, mask = packed.unrolled
        pooled: Tensor = self(target.unsqueeze(1), at(history, place), mask)
        return pooled.squeeze(1)

    def _readable(self, mask: Tensor) -> Tensor:
        """The positions that attention may read; only the last one if there is none."""
        readable = ~mask if self.mask_as_published else mask
        nothing = readable.sum(-1, keepdim=True) == 0
        last = torch.arange(mask.shape[-1], device=mask.device) == mask.shape[-1] - 1
        return readable | (nothing & last)
