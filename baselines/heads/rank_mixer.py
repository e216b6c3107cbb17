"""RankMixer head: tokens mixed by a fixed exchange of their parts, a network of its own for each.

X = the normed features in T chunks, each through a linear map of its own to width D. A block: part
h of token t goes to token h as its part t (no parameter), S = LN(mixed + X), X ← LN(FFN_t(S_t) +
S_t) with FFN_t = V_t GELU(U_t s + u_t) + v_t; logit = w' mean_t X_t + b.
"""

from collections.abc import Mapping
from math import ceil
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.norm import normed


class TokenLinear(nn.Module):
    """A linear layer of its own for each token: [N, T, in] to [N, T, out]."""

    def __init__(self, tokens: int, width_in: int, width_out: int) -> None:
        super().__init__()
        bound = width_in**-0.5
        self.weight = nn.Parameter(torch.empty(tokens, width_in, width_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(tokens, 1, width_out))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, T, in] to [N, T, out]."""
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)


class MixerBlock(nn.Module):
    """Exchanges parts between tokens, then applies one network a token; both with a residual and a
    norm."""

    def __init__(self, tokens: int, width: int, hidden: int) -> None:
        super().__init__()
        self.enter = TokenLinear(tokens, width, hidden)
        self.leave = TokenLinear(tokens, hidden, width)
        self.mixed_norm, self.fed_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, T, D] to [N, T, D]."""
        parts = torch.unflatten(x, -1, (x.shape[1], -1))  # [N, T, T, D / T]
        x = self.mixed_norm(parts.transpose(1, 2).flatten(-2) + x)
        fed = self.leave(functional.gelu(self.enter(x)))
        return self.fed_norm(fed + x)  # type: ignore[no-any-return]


class RankMixer(Head):
    """Mixes tokens by a fixed exchange of their parts, which needs no parameters."""

    name: ClassVar[str] = "rank_mixer"
    paper: ClassVar[str] = "Zhu et al. 2025, CIKM"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "tokens": (2, 4, 8),
        "token_width": (16, 32),
        "blocks": (1, 2),
        "hidden": (32, 64),
    }

    def __init__(
        self,
        width: int,
        *,
        tokens: int = 4,
        token_width: int = 16,
        blocks: int = 2,
        hidden: int = 32,
        norm: bool = True,
    ) -> None:
        super().__init__(width)
        if token_width % tokens:
            raise ValueError(
                f"token_width is {token_width}; expected a multiple of {tokens} tokens"
            )
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.tokens, self.chunk = tokens, ceil(width / tokens)
        self.enter = TokenLinear(tokens, self.chunk, token_width)
        self.blocks = nn.ModuleList(MixerBlock(tokens, token_width, hidden) for _ in range(blocks))
        self.out = nn.Linear(token_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N]."""
        x = functional.pad(normed(self.norm, x), (0, self.tokens * self.chunk - self.width))
        x = self.enter(torch.unflatten(x, -1, (self.tokens, -1)))  # [N, T, D]
        for block in self.blocks:
            x = block(x)
        return self.out(x.mean(1)).squeeze(-1)  # type: ignore[no-any-return]
