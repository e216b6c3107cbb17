"""Functions shared by the training losses: sampled rows, masked means, InfoNCE, gradient
reversal."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

MOST_ROWS = 1024  # most rows of losses over pairs, whose cost is quadratic


def sampled(rows: int, device: torch.device, most: int = MOST_ROWS) -> Tensor:
    """[n] indices of at most `most` of the rows, drawn without replacement
    (`torch.manual_seed`)."""
    if rows <= most:
        return torch.arange(rows, device=device)
    return torch.randperm(rows)[:most].to(device)  # drawn on the CPU: the same on every device


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean [] of the values [...] where the mask [...] is True; 0 where it never is."""
    return values.masked_fill(~mask, 0.0).sum() / mask.sum().clamp_min(1)


def info_nce(a: Tensor, b: Tensor, ids: Tensor | None, temperature: float) -> Tensor:
    """Symmetric cross entropy of cos(a_i, b_j) / temperature against i = j, over rows [n, d].

    Other rows of the same item (equal `ids`) are not negatives.
    """
    if not len(a):
        return a.new_zeros(())
    score = normalize(a.float(), dim=-1) @ normalize(b.float(), dim=-1).T / temperature  # (n, n)
    if ids is not None:
        same = ids.unsqueeze(0) == ids.unsqueeze(1)
        twins = same & ~torch.eye(len(ids), dtype=torch.bool, device=ids.device)
        score = score.masked_fill(twins, torch.finfo(score.dtype).min)
    target = torch.arange(len(a), device=a.device)
    return 0.5 * (cross_entropy(score, target) + cross_entropy(score.T, target))


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(x: Tensor) -> Tensor:
    """x [...] unchanged; backward, its gradient changes sign, so that x maximises an adversary's
    loss."""
    reversed_: Tensor = _Reverse.apply(x)  # type: ignore[no-untyped-call]
    return reversed_
