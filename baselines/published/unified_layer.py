"""OneTrans's layer: a pre-norm causal transformer layer over a history and the fields behind it.

x ← x + O Attention(N(x)), x ← x + FFN(N(x)), N = RMSNorm. History tokens share one set of weights,
each field has its own. A token reads itself and what stands before it: history i ≤ l; fields the
whole history and fields j ≤ t.
"""

import torch
from torch import Tensor, nn

from fusefront.baselines.heads.rank_mixer import TokenLinear
from fusefront.baselines.poolers.masking import additive


def rms(x: Tensor, scale: Tensor) -> Tensor:
    """x [..., D] at root mean square 1, times the scale [D]."""
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * scale


class UnifiedLayer(nn.Module):
    """One causal layer: weights shared by the history, of its own for each of T fields."""

    def __init__(self, width: int, fields: int, heads: int, feed: int, *, last: bool) -> None:
        """The last layer gives fields alone."""
        super().__init__()
        self.heads, self.last = heads, last
        self.scales = nn.Parameter(torch.ones(4, width))
        self.past, self.own = nn.Linear(width, 3 * width), TokenLinear(fields, width, 3 * width)
        self.own_out = TokenLinear(fields, width, width)
        if not last:
            self.past_out = nn.Linear(width, width)
            feed_layers = (nn.Linear(width, feed), nn.ReLU(), nn.Linear(feed, width))
            self.past_feed = nn.Sequential(*feed_layers)
        self.own_in, self.own_feed = (
            TokenLinear(fields, width, feed),
            TokenLinear(fields, feed, width),
        )

    def forward(self, s: Tensor, f: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """History [R, L, d], fields [R, K, T, d], mask [R, L]; the history goes on unless last."""
        requests, candidates, count, _ = f.shape
        q, k, v = self.past(rms(s, self.scales[0])).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # [R, h, L, dh]
        own = self.own(rms(f, self.scales[1]).flatten(0, 1)).unflatten(-1, (3, self.heads, -1))
        own = own.unflatten(0, (requests, candidates)).permute(
            3, 0, 1, 4, 2, 5
        )  # [3, R, K, h, T, dh]
        asks, keys, values = own.unbind(0)
        scale = q.shape[-1] ** -0.5
        bias = additive(mask, s)[:, None, None, None]  # [R, 1, 1, 1, L]
        toward = (asks * scale) @ k.unsqueeze(1).transpose(-1, -2) + bias  # [R, K, h, T, L]
        earlier = torch.ones(count, count, dtype=torch.bool, device=f.device).tril()
        among = (asks * scale) @ keys.transpose(-1, -2) + additive(earlier, f)  # [R, K, h, T, T]
        weight = torch.cat([toward, among], -1).softmax(-1)
        length = s.shape[1]
        mixed = weight[..., :length] @ v.unsqueeze(1) + weight[..., length:] @ values
        mixed = mixed.transpose(2, 3).flatten(-2).flatten(0, 1)  # [R * K, T, d]
        f = f + self.own_out(mixed).unflatten(0, (requests, candidates))
        fed = self.own_feed(self.own_in(rms(f, self.scales[3]).flatten(0, 1)).relu())
        f = f + fed.unflatten(0, (requests, candidates))
        if self.last:
            return s, f
        order = torch.ones(length, length, dtype=torch.bool, device=s.device).tril()
        readable = order & mask.unsqueeze(1)  # [R, L, L]
        score = (q * scale) @ k.transpose(-1, -2) + additive(readable, s).unsqueeze(1)
        s = s + self.past_out((score.softmax(-1) @ v).transpose(1, 2).flatten(-2))
        return s + self.past_feed(rms(s, self.scales[2])), f
