"""The front as a whole: the area under it with an interval, and its knee with a probability."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fusefront.harness.decision.expected import expected_over_today, measured_gains
from fusefront.harness.decision.frontier import draw_latency, log_latency, non_dominated
from fusefront.harness.decision.inputs import Floats, Inputs, Measured
from fusefront.harness.statistics.exchangeable import DRAWS, gain_draws

SEED = 20_261_128


class FrontExtent(NamedTuple):
    """Axes: AUC over today's, and natural log of the latency in ms; only gains above 0 count."""

    area: Measured  # of expected gains; ends: 95 % of the joint draws
    slowest_ms: float  # right end of the area: the slowest measured strategy
    knee: int | None  # the most frequent knee; None if the front has no inner point
    knee_chance: float  # share of the draws in which it is
    knees: tuple[float, ...] = ()  # [S] share of the draws in which each is
    regret: tuple[Measured | None, ...] = ()  # [S] AUC that it lacks to the best under the limit


def front_extent(
    inputs: Inputs, quantile: str = "p99", under: Sequence[int] = ()
) -> FrontExtent | None:
    """The front's area and knee; None if fewer than two shippable strategies have a latency and an
    error.

    `under` are the candidates that keep the limit. The regret of each is the mean AUC that it lacks
    to the best of them; its ends cover 95 % of the draws.

    The knee is the point of the front farthest above the line between its ends, both axes scaled to
    the front. It depends on which strategies are in the study, so it is reported with its
    probability.
    """
    today = inputs.today
    if today is None:
        return None
    centre = log_latency(inputs, quantile)
    members = [
        i
        for i in inputs.shippable
        if np.isfinite(centre[i]) and np.isfinite(inputs.pairs.se[i, today])
    ]
    rivals = [i for i in members if i != today]
    if len(members) < 2:
        return None
    rng = np.random.default_rng(SEED)
    gains = np.zeros((DRAWS, inputs.size))
    gains[:, rivals] = gain_draws(
        *measured_gains(inputs.candidates, inputs.pairs, today, rivals), rng
    )
    speed = draw_latency(inputs, rng, DRAWS, quantile)[:, members]
    regret = _regret(gains, [i for i in under if i in members], inputs.size)
    gains = gains[:, members]
    slowest = float(centre[members].max())
    areas = covered(speed, gains, slowest)
    expected = expected_over_today(inputs.candidates, inputs.pairs, today)[members]
    value = float(covered(centre[None, members], expected[None], slowest)[0])
    knees = np.array([knee_of(c, g) for c, g in zip(speed, gains, strict=True)])
    counts = np.bincount(knees[knees >= 0], minlength=len(members))
    most = int(np.argmax(counts))
    low, high = np.quantile(areas, [0.025, 0.975])
    return FrontExtent(
        Measured(value, min(float(low), value), max(float(high), value)),
        float(np.exp(slowest)),
        members[most] if counts.any() else None,
        float(counts[most] / DRAWS),
        tuple(
            float(counts[members.index(i)] / DRAWS) if i in members else 0.0
            for i in range(inputs.size)
        ),
        regret,
    )


def _regret(gains: Floats, under: Sequence[int], size: int) -> tuple[Measured | None, ...]:
    """[S] regrets from gains [draws, S]; None for a strategy that does not keep the limit."""
    if not under:
        return (None,) * size
    best = gains[:, under].max(1)
    less: list[Measured | None] = [None] * size
    for i in under:
        lost = best - gains[:, i]
        low, high = np.quantile(lost, [0.025, 0.975])
        less[i] = Measured(float(lost.mean()), float(low), float(high))
    return tuple(less)


def covered(cost: Floats, gain: Floats, end: float) -> Floats:
    """[n] area under the best gain so far (at least 0), from the cheapest strategy to `end`.

    `cost`, `gain` are [n, S].

    >>> covered(np.array([[1.0, 2.0, 4.0]]), np.array([[0.5, 0.2, 1.0]]), 5.0).tolist()
    [2.5]
    """
    order = np.argsort(cost, axis=1)
    cost = np.minimum(np.take_along_axis(cost, order, 1), end)
    best = np.maximum.accumulate(np.take_along_axis(gain, order, 1), axis=1)
    width = np.diff(cost, axis=1, append=np.full((len(cost), 1), end))
    area: Floats = (np.maximum(best, 0.0) * width).sum(1)
    return area


def knee_of(cost: Floats, gain: Floats) -> int:
    """Index of the front's point farthest above the line between its ends; -1 if there is none.

    `cost`, `gain` are [S].

    >>> knee_of(np.array([0.0, 1.0, 4.0]), np.array([0.0, 0.8, 1.0]))
    1
    """
    front = np.flatnonzero(non_dominated(cost, gain))
    front = front[np.argsort(cost[front], kind="stable")]
    if len(front) < 3:
        return -1
    x, y = cost[front], gain[front]
    if x[-1] == x[0]:  # all are twins
        return -1
    above = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
    inner = int(np.argmax(above[1:-1])) + 1
    return int(front[inner]) if above[inner] > 0 else -1
