"""Initial weights close to the identity: the product of two random maps of one vector carries no
signal."""

import torch
from torch import nn


def near_identity(layer: nn.Linear, noise: float = 0.05) -> nn.Linear:
    """Set the weight to the (rectangular) identity plus a little noise, the bias to zero."""
    with torch.no_grad():
        nn.init.eye_(layer.weight)
        layer.weight += noise * torch.randn_like(layer.weight)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer
