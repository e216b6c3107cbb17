"""HSTU's pointwise aggregated attention over the history, read by the candidate at its end.

A layer: [u; v; q; k] = SiLU(W LN(x)); y_i = O (LN(Σ_j SiLU(q_i · k_j) v_j / n) ⊙ u_i) + x_i over
the real j ≤ i of n, no softmax: how often something occurs is not normalised away. The candidate
comes after the newest item and sees all; u = its output. Items do not see the candidate, so their
outputs are made once a request. The published bias of positions and times is left out: poolers know
the order alone.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from fusefront.baselines.contract import Pooler


class HstuLayer(nn.Module):
    """Gated aggregation of values, added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter_norm, self.mixed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 4 * width)
        self.out = nn.Linear(width, width)

    def views(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x [B, L, D] to the gate [B, L, D] and values, queries, keys [B, h, L, dh]."""
        u, v, q, k = silu(self.project(self.enter_norm(x))).chunk(4, -1)
        split = [torch.unflatten(part, -1, (self.heads, -1)).transpose(1, 2) for part in (v, q, k)]
        return u, split[0], split[1], split[2]

    def finish(self, x: Tensor, gate: Tensor, mixed: Tensor) -> Tensor:
        """x and gate [B, L, D], mixed values [B, h, L, dh] to [B, L, D]."""
        normed = self.mixed_norm(mixed.transpose(1, 2).flatten(2))
        return self.out(normed * gate) + x  # type: ignore[no-any-return]


class Hstu(Pooler):
    """A stack of gated, unnormalised attention layers."""

    name: ClassVar[str] = "hstu"
    paper: ClassVar[str] = "Zhai et al. 2024, ICML"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"layers": (1, 2), "heads": (1, 2)}

    def __init__(self, width: int, *, layers: int = 1, heads: int = 2) -> None:
        super().__init__(width)
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}; choose a divisor")
        self.layers = nn.ModuleList(HstuLayer(width, heads) for _ in range(layers))

    @property
    def width_out(self) -> int:
        return self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        return x

    def prepare_target(self, x: Tensor) -> Tensor:
        return x

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        if history.ndim == 4:  # a history of its own for every candidate: requests of one
            requests, candidates = target.shape[:2]
            each = mask.repeat_interleave(candidates, 0)
            pooled = self(target.flatten(0, 1).unsqueeze(1), history.flatten(0, 1), each)
            return pooled.view(requests, candidates, -1)  # type: ignore[no-any-return]
        real = mask.to(history.dtype)  # [R, L]
        history = history.masked_fill(~mask.unsqueeze(-1), 0.0)
        count = real.cumsum(-1).clamp(min=1.0)  # [R, L]
        length = mask.shape[1]
        earlier = torch.ones(length, length, dtype=real.dtype, device=real.device).tril()
        share = earlier * real.unsqueeze(1) / count.unsqueeze(-1)  # [R, L, L]
        total = (real.sum(-1) + 1.0)[:, None, None, None]  # [R, 1, 1, 1], the candidate counts
        whole = real[:, None, None] / total  # [R, 1, 1, L]
        for number, layer in enumerate(self.layers):
            u, v, q, k = layer.views(history)  # type: ignore[operator]
            gate, own, query, key = layer.views(target)  # type: ignore[operator]
            mixed = (silu(query @ k.transpose(-1, -2)) * whole) @ v  # [R, h, K, dh]
            itself = silu((query * key).sum(-1, keepdim=True)) / total  # [R, h, K, 1]
            target = layer.finish(target, gate, mixed + itself * own)  # type: ignore[operator]
            if number + 1 < len(self.layers):
                mixed = (silu(q @ k.transpose(-1, -2)) * share.unsqueeze(1)) @ v
                history = layer.finish(history, u, mixed)  # type: ignore[operator]
        return target
