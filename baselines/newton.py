"""Logistic regression solved exactly: Newton's method in float64 over blocks of rows.

minimise mean_n log(1 + exp(-s_n z_n)) + ridge / 2 |w|^2, z = x w + b, s = 2 y - 1; b is not
penalised. A step solves H d = g with H = mean p (1 - p) [x; 1][x; 1]' + ridge; it is halved while
the loss grows.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

Blocks = Callable[[], Iterator[tuple[Tensor, Tensor]]]  # x [n, P] float64, y [n] float64; anew
MOST_STEPS = 100
CLOSE = 1e-10  # the iteration ends when no entry of the gradient is larger
LONGEST = 20.0  # longest step, so that weights without a finite optimum grow slowly
JITTER = 1e-12  # equal columns share their weight


class _Point(NamedTuple):
    loss: float
    gradient: Tensor  # [P + 1]
    curvature: Tensor  # [P + 1, P + 1]


def solve_logistic(
    blocks: Blocks, columns: int, ridge: float, start: Tensor | None = None
) -> Tensor:
    """Weights [P + 1] float64, the intercept last.

    Raises:
        ValueError: a feature is not finite.
    """
    weights = torch.zeros(columns + 1, dtype=torch.float64) if start is None else start.clone()
    here = _look(blocks, weights, ridge)
    for _ in range(MOST_STEPS):
        if here.gradient.abs().max() < CLOSE:
            break
        step = _step(here)
        there = _look(blocks, weights - step, ridge)
        while there.loss > here.loss + 1e-14 and step.abs().max() > 1e-12:
            step = step / 2
            there = _look(blocks, weights - step, ridge)
        weights, gained, here = weights - step, here.loss - there.loss, there
        if gained < 1e-15 and step.abs().max() < 1e-9:
            break
    return weights


def _step(here: _Point) -> Tensor:
    jitter = JITTER * torch.eye(len(here.gradient), dtype=torch.float64)
    factor, failed = torch.linalg.cholesky_ex(here.curvature + jitter)
    if failed.item():
        step = torch.linalg.lstsq(here.curvature + jitter, here.gradient.unsqueeze(-1)).solution
    else:
        step = torch.cholesky_solve(here.gradient.unsqueeze(-1), factor)
    step = step.squeeze(-1)
    bounded: Tensor = step * min(1.0, LONGEST / max(float(step.abs().max()), 1e-300))
    return bounded


def _look(blocks: Blocks, weights: Tensor, ridge: float) -> _Point:
    """Loss, gradient and Hessian at the weights, in one pass."""
    size = len(weights)
    loss, rows = 0.0, 0
    gradient = torch.zeros(size, dtype=torch.float64)
    curvature = torch.zeros(size, size, dtype=torch.float64)
    for features, labels in blocks():
        x = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], -1)
        z = x @ weights
        loss += float((torch.nn.functional.softplus(z) - labels * z).sum())
        p = z.sigmoid()
        gradient += x.T @ (p - labels)
        scaled = x * (p * (1 - p)).sqrt().unsqueeze(-1)
        curvature += scaled.T @ scaled
        rows += len(x)
    if not torch.isfinite(gradient).all():
        raise ValueError("a feature is not finite; fix the numbers of the data set")
    penalty = torch.full((size,), ridge, dtype=torch.float64)
    penalty[-1] = 0.0
    loss = loss / max(rows, 1) + float((penalty * weights.square()).sum()) / 2
    gradient = gradient / max(rows, 1) + penalty * weights
    return _Point(loss, gradient, curvature / max(rows, 1) + penalty.diag())
