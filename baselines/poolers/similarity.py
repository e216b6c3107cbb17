"""Cosines between target and history in buckets; a counting that no gradient passes."""

import torch
from torch import Tensor
from torch.nn import functional


def direction(x: Tensor) -> Tensor:
    """x [..., D] at length 1; a zero vector stays zero."""
    return functional.normalize(x, dim=-1)


def cosines(target: Tensor, history: Tensor) -> Tensor:
    """Directions [R, K, D] and [R, (K,) L, D] to cosines [R, K, L]."""
    if history.ndim == 4:
        return (history @ target.unsqueeze(-1)).squeeze(-1)
    return target @ history.transpose(1, 2)


def bucket(cosine: Tensor, count: int) -> Tensor:
    """Which of `count` equal steps from -1 to 1 each cosine [...] falls in: 0 to count - 1,
    int64."""
    step = (cosine.detach() + 1.0) * (count / 2.0)
    return step.floor().clamp(0, count - 1).long()


def histogram(weight: Tensor, place: Tensor, count: int) -> Tensor:
    """Sum weights [R, K, L] by bucket: [R, K, count]."""
    lead = place.shape[:2]
    empty = torch.zeros(*lead, count, dtype=weight.dtype, device=weight.device)
    return empty.scatter_add(-1, place, weight)


def tier_counts(mask: Tensor, place: Tensor, count: int, like: Tensor) -> Tensor:
    """How many of the real history [R, L] fall in each bucket [R, K, L]: [R, K, count]."""
    return histogram(mask.to(like.dtype).unsqueeze(1).expand_as(place), place, count)


def shares(mask: Tensor, place: Tensor, count: int, like: Tensor) -> Tensor:
    """The share of the real history [R, L] in each bucket: [R, K, count]."""
    weight = mask.to(like.dtype)
    weight = weight / weight.sum(-1, keepdim=True).clamp(min=1.0)
    return histogram(weight.unsqueeze(1).expand(place.shape), place, count)
