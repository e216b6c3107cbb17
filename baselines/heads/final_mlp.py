"""FinalMLP head: two networks over differently gated features, joined by a bilinear form.

x_s = 2 σ(p_s) ⊙ BN(x), h_s = MLP_s(x_s) for s = 1, 2; logit = w_1' h_1 + w_2' h_2 + Σ_j h_1j' W_j
h_2j + b over k parts j. In evaluation gate and BN are part of the first layer's weights. Without
context features of its own the published gate is a learned vector,
as here.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import affine, normed


class FinalMlp(Head):
    """Two networks on differently gated features, joined by a bilinear form."""

    name: ClassVar[str] = "final_mlp"
    paper: ClassVar[str] = "Mao et al. 2023, AAAI"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "hidden": ((32, 16), (64, 32), (128, 64)),
        "parts": (1, 2, 4),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self,
        width: int,
        *,
        hidden: tuple[int, ...] = (64, 32),
        parts: int = 2,
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        if not hidden or hidden[-1] % parts:
            raise ValueError(f"hidden is {hidden}; its last width must be a multiple of {parts}")
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.gates = nn.Parameter(torch.randn(2, width) * 0.1)
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((width, *hidden))) for _ in range(2)
        )
        self.out = nn.Linear(2 * hidden[-1], 1)
        each = hidden[-1] // parts
        self.products = nn.Parameter(torch.randn(parts, each, each) / each)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        streams = []
        for gate, layers in zip(self.gates, self.layers, strict=True):
            assert isinstance(layers, nn.ModuleList)
            inner = self._gated(layers[0], 2.0 * gate.sigmoid(), x)  # type: ignore[arg-type]
            h = self.dropout(inner.relu())  # [N, H]
            for layer in layers[1:]:
                h = self.dropout(layer(h).relu())
            streams.append(h)
        parts = self.products.shape[0]
        left, right = (torch.unflatten(h, -1, (parts, -1)).transpose(0, 1) for h in streams)
        pairs = ((left @ self.products) * right).sum((0, 2))  # [N]
        return self.out(torch.cat(streams, -1)).squeeze(-1) + pairs  # type: ignore[no-any-return]

    def _gated(self, layer: nn.Linear, gate: Tensor, x: Tensor) -> Tensor:
        if self.training:
            return layer(gate * normed(self.norm, x))  # type: ignore[no-any-return]
        if self.norm is None:
            return linear(x, layer.weight * gate, layer.bias)
        scale, shift = affine(self.norm)
        bias = layer.bias + (layer.weight * (gate * shift)).sum(-1)
        return linear(x, layer.weight * (gate * scale), bias)
