"""Attention over slots: no key bias (softmax cancels it), mask as one additive term."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from fusefront.fusion_variants.layers import Flat, flat_linear


class Attention(nn.Module):
    """softmax((W_q q + b_q) (W_k k)^T / √d_head + mask) W_v k, heads side by side, then W_o and
    b."""

    def __init__(self, d: int, heads: int, *, width_query: int = 0) -> None:
        super().__init__()
        if heads < 1 or d % heads:
            raise ValueError(f"{heads} heads do not divide width {d}; choose a divisor of {d}")
        self.heads, self.scale = heads, (d // heads) ** -0.5
        self.ask = nn.Linear(width_query or d, d)
        self.tell = nn.Linear(d, 2 * d, bias=False)
        self.mix = Flat([d, d])

    def forward(self, query: Tensor, slots: Tensor, bias: Tensor | None = None) -> Tensor:
        """query [..., T, .], slots [..., S, d], bias [..., S] -> [..., T, d].

        In evaluation one head's keys are part of its query, its values of the layer that follows.
        """
        if self.heads == 1 and not self.training:
            return self._one_head(query, slots, bias)
        weight, values = self._weigh(query, slots, bias)
        context = (weight.to(values.dtype) @ values).transpose(-2, -3)  # (..., T, h, d/h)
        mixed: Tensor = self.mix(context.flatten(-2))  # (..., T, d)
        return mixed

    def weights(self, query: Tensor, slots: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `forward`: how each query weighs each slot, mean over heads [..., T, S]."""
        return self._weigh(query, slots, bias)[0].mean(-3)

    def _weigh(self, query: Tensor, slots: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weights [..., h, T, S] and values [..., h, S, d/h]."""
        # the scale on the weights is constant: an exported graph does not compute it
        weight, start = self.ask.weight * self.scale, self.ask.bias * self.scale
        ask = _heads(linear(query, weight, start), self.heads)  # (..., h, T, d/h)
        keys, values = (_heads(part, self.heads) for part in self.tell(slots).chunk(2, -1))
        score = ask @ keys.transpose(-1, -2)  # (..., h, T, S)
        if bias is not None:
            score = score + bias.unsqueeze(-2).unsqueeze(-2)
        return score.softmax(-1), values

    def _one_head(self, query: Tensor, slots: Tensor, bias: Tensor | None) -> Tensor:
        keys, values = self.tell.weight.chunk(2)  # (d, d) each
        turn = keys.T * self.scale
        ask = linear(query, turn @ self.ask.weight, turn @ self.ask.bias)  # (..., T, d)
        score = ask @ slots.transpose(-1, -2)  # (..., T, S)
        if bias is not None:
            score = score + bias.unsqueeze(-2)
        context = score.softmax(-1).to(slots.dtype) @ slots  # (..., T, d)
        (last,) = self.mix.layers
        assert isinstance(last, nn.Linear)
        return flat_linear(context, last.weight @ values, last.bias)


class EncoderLayer(nn.Module):
    """Post-norm transformer layer: y = LN(x + Attention(x)), then LN(y + FFN(y)) if hidden > 0."""

    def __init__(self, d: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = Attention(d, heads)
        self.norm = nn.LayerNorm(d)
        self.feed = Flat([d, hidden, d]) if hidden else None
        self.feed_norm = nn.LayerNorm(d) if hidden else None

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x [..., S, d], bias [..., S] -> [..., S, d]."""
        y: Tensor = self.norm(x + self.attention(x, x, bias))
        if self.feed is not None and self.feed_norm is not None:
            y = self.feed_norm(y + self.feed(y))
        return y


def slot_names(slots: int, d: int) -> nn.Parameter:
    """A learned vector for each slot [M, d], because attention alone cannot tell slots apart."""
    return nn.Parameter(torch.randn(slots, d) * 0.3)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(-2, -3)
