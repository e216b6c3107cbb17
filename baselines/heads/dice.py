"""Dice, DIN's activation: a ReLU whose corner follows the data and whose other side has a slope.

p = σ((x - mean) / √(var + ε)), y = p x + α (1 - p) x, mean and variance of the batch in training
and running ones in evaluation, α learned from 0. In evaluation a row's score is that of any batch.
"""

import torch
from torch import Tensor, nn


class Dice(nn.Module):
    """Rows [N, F] through it, number by number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, eps=1e-9, momentum=0.01, affine=False)
        self.slope = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, F] to [N, F]; one row alone, which has no variance, by the running statistics."""
        norm = self.norm
        if norm.training and x.shape[0] > 1:
            share = norm(x).sigmoid()
        else:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            share = ((x - norm.running_mean) * (norm.running_var + norm.eps).rsqrt()).sigmoid()
        return (share + self.slope * (1.0 - share)) * x  # type: ignore[no-any-return]
