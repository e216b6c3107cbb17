"""Attention operators against PyTorch's own layers with the same weights: outputs, and what comes
back to the slots.

With mbt's and perceiver's released code (JAX) they share the layers, not the whole: it normalises
in front of each layer.
"""

import pytest
import torch
from torch import nn

from fusefront.fusion_variants.zoo import OPERATORS

D, HEADS, SLOTS, ROWS = 4, 2, 3, 7
PRESENT = torch.tensor(
    [[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
)


def attention(ours):
    """`nn.MultiheadAttention` with the weights of ours, whose keys and values have no constants."""
    layer = nn.MultiheadAttention(D, HEADS, batch_first=True).double()
    layer.load_state_dict(attention_weights(ours))
    return layer


def attention_weights(ours):
    return {
        "in_proj_weight": torch.cat([ours.ask.weight, ours.tell.weight]),
        "in_proj_bias": torch.cat([ours.ask.bias, torch.zeros(2 * D)]),
        "out_proj.weight": ours.mix.layers[0].weight,
        "out_proj.bias": ours.mix.layers[0].bias,
    }


def encoder(ours):
    """`nn.TransformerEncoderLayer`, norms after, with the weights of ours."""
    layer = nn.TransformerEncoderLayer(D, HEADS, 2 * D, 0.0, batch_first=True).double()
    weights = {f"self_attn.{k}": v for k, v in attention_weights(ours.attention).items()}
    parts = {"norm1": ours.norm, "norm2": ours.feed_norm}
    parts |= {f"linear{k + 1}": ours.feed.layers[k] for k in (0, 1)}
    for name, part in parts.items():
        weights |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    layer.load_state_dict(weights)
    return layer


def mean(x, there):
    weight = there.double().unsqueeze(-1)
    return (weight * x).sum(1) / weight.sum(1)


def self_attention(ours, x, there):
    y = x + ours.slot
    for layer in ours.layers:
        y = encoder(layer)(y, src_key_padding_mask=~there)
    return mean(y, there)


def perceiver(ours, x, there):
    latents = ours.latents.expand(ROWS, -1, -1)
    slots = x + ours.slot
    read = attention(ours.read)(latents, slots, slots, key_padding_mask=~there)[0]
    return encoder(ours.think)(ours.norm(latents + read)).mean(1)


def mbt(ours, x, there):
    shared = ours.bottleneck.expand(ROWS, -1, -1)
    own = list(x.unsqueeze(2).unbind(1))
    for layer in ours.layers:
        pairs = zip(layer, own, strict=True)
        both = [encoder(each)(torch.cat([slot, shared], 1)) for each, slot in pairs]
        own = [y[:, :1] for y in both]
        weight = there.double()[:, :, None, None]
        shared = (torch.stack([y[:, 1:] for y in both], 1) * weight).sum(1) / weight.sum(1)
    return mean(torch.cat(own, 1), there) + shared.mean(1)


def cross_attention(ours, x, there):
    """Rows without any content keep their id."""
    slots, some = x[:, 1:] + ours.slot, there[:, 1:].any(-1)
    mask = ~there[:, 1:] & some.unsqueeze(-1)
    read = attention(ours.attention)(x[:, :1], slots, slots, key_padding_mask=mask)[0]
    return x[:, 0] + read.squeeze(1) * some.unsqueeze(-1)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("formula", [self_attention, perceiver, mbt, cross_attention])
def test_operators_are_made_of_pytorchs_layers(formula, training):
    torch.manual_seed(4)
    settings = {"self_attention": {"layers": 2}, "mbt": {"layers": 2, "bottleneck": 2}}
    ours = OPERATORS[formula.__name__](SLOTS, D, heads=HEADS, **settings.get(formula.__name__, {}))
    ours = ours.double().train(training)
    with torch.no_grad():
        for value in ours.parameters():
            value.copy_(0.5 * torch.randn_like(value))
    there = PRESENT.bool()
    x = torch.randn(ROWS, SLOTS, D).double().requires_grad_()
    slope = torch.randn(ROWS, D).double()
    with torch.no_grad():
        empty = (x * there.unsqueeze(-1)).clone()
    empty.requires_grad_()
    theirs = formula(ours, empty, there)
    mine = ours(x, there).tokens.squeeze(1)
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    (mine * slope).sum().backward()
    (theirs * slope).sum().backward()
    back = empty.grad * there.unsqueeze(-1)
    torch.testing.assert_close(x.grad, back, rtol=1e-9, atol=1e-9)
