"""Masks of a history as numbers, made once a request; True = real."""

import torch
from torch import Tensor


def additive(mask: Tensor, like: Tensor) -> Tensor:
    """Mask [...] bool to numbers [...]: 0 where real, hugely negative where padded (half the lowest
    number, so that sums stay finite)."""
    low = torch.finfo(like.dtype).min / 2
    return torch.zeros((), dtype=like.dtype, device=like.device).masked_fill(~mask, low)


def alive(mask: Tensor, like: Tensor) -> Tensor:
    """1 where a history [..., L] holds anything, else 0: [..., 1]."""
    return mask.to(like.dtype).sum(-1, keepdim=True).clamp(max=1.0)
