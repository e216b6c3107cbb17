"""How M3SRec reads a history: attention over the tokens of all its slots, and mixtures of experts.

Z = Experts_m(Block(x)) for each slot m, then Z ← Experts(Block(Z)) in every layer; of each slot the
newest item's token stays. Block: a post-norm transformer layer over all L M tokens. Experts: y =
LN(x + Σ_e softmax(R x + r)_e (V_e ReLU(U_e x + u_e) + v_e)).
"""

import torch
from torch import Tensor, nn

from fusefront.baselines.poolers.additive_attention import AdditiveAttention
from fusefront.baselines.poolers.masking import additive
from fusefront.baselines.poolers.transformer import PublishedEncoderLayer


class ExpertMixture(nn.Module):
    """Experts weighed token by token, added to what came in, normed. Every expert reads all."""

    def __init__(self, width: int, hidden: int, experts: int, dropout: float) -> None:
        super().__init__()
        self.experts = experts
        self.route = nn.Linear(width, experts)
        self.enter = nn.Linear(width, experts * hidden)
        bound = hidden**-0.5
        self.leave = nn.Parameter(torch.empty(experts * hidden, width).uniform_(-bound, bound))
        self.shift = nn.Parameter(torch.empty(experts, width).uniform_(-bound, bound))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., D] to [..., D]: Σ_e w_e V_e h_e is one product, Σ_e w_e v_e another."""
        weight = self.route(x).softmax(-1)  # [..., E]
        inner = torch.unflatten(self.dropout(self.enter(x).relu()), -1, (self.experts, -1))
        weighed = (weight.unsqueeze(-1) * inner).flatten(-2)  # [..., E * H]
        mixed = weighed @ self.leave + weight @ self.shift
        return self.norm(x + self.dropout(mixed))  # type: ignore[no-any-return]


class ExpertReader(nn.Module):
    """Tokens of a history's slots to one token a slot."""

    def __init__(
        self,
        slots: int,
        length: int,
        width: int,
        heads: int,
        feed: int,
        experts: int,
        layers: int,
        dropout: float,
    ) -> None:
        """`length` is the longest history, `feed` the hidden width of blocks and of each expert."""
        super().__init__()
        block, mixture = (width, heads, feed, dropout), (width, feed, experts, dropout)
        self.place = nn.Parameter(torch.randn(length, 1, width) * 0.05)  # the newest is the last
        self.first = PublishedEncoderLayer(*block)
        self.specific = nn.ModuleList(ExpertMixture(*mixture) for _ in range(slots))
        self.blocks = nn.ModuleList(PublishedEncoderLayer(*block) for _ in range(layers))
        self.shared = nn.ModuleList(ExpertMixture(*mixture) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Tokens [R, L, M, D], padded on the left where mask [R, L] is False, to [R, M, D]; those
        of a request without history mean nothing."""
        slots = x.shape[2]
        x = x.masked_fill(~mask[..., None, None], 0.0) + self.place[-mask.shape[1] :]
        z = x.transpose(1, 2).flatten(1, 2)  # [R, M * L, D]
        bias = additive(mask, z).repeat(1, slots)[:, None, None]  # [R, 1, 1, M * L]
        own = torch.unflatten(self.first(z, bias), 1, (slots, -1)).unbind(1)
        z = torch.cat([experts(of) for experts, of in zip(self.specific, own, strict=True)], 1)
        for block, experts in zip(self.blocks, self.shared, strict=True):
            z = experts(block(z, bias))
        return torch.unflatten(z, 1, (slots, -1))[:, :, -1]


def read_slots(attention: AdditiveAttention, x: Tensor, present: Tensor) -> Tensor:
    """Slots [N, M, D] of which `present` [N, M] are there, to their weighed sum [N, D]."""
    pooled: Tensor = attention(x[:, :1], attention.prepare_history(x), present)
    return pooled.squeeze(1)
