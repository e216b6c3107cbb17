"""Intervals of latency quantiles; rounds are the clusters, since neighbouring requests are
dependent.

One subject: Woodruff's survey interval (Woodruff 1952, JASA) with a lag term. Two subjects:
Student's t over rounds for the differences of log quantiles by visit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
LEVEL = 0.95
POWER = 0.80


class QuantileInterval(NamedTuple):
    """A pooled quantile with its 95 % interval, in the unit of the samples."""

    value: float
    low: float
    high: float
    at_least: bool  # the upper end is the largest sample: the interval is open there


def quantile_interval(
    rounds: Sequence[ArrayLike], p: float, level: float = LEVEL
) -> QuantileInterval:
    """The p quantile of all samples (one array [requests] a round) with an interval clustered by
    round.

    The interval covers this machine during this session, and no other time.

    Raises:
        ValueError: there are fewer than two rounds.
    """
    clusters = [np.asarray(r, np.float64) for r in rounds]
    pooled = np.sort(np.concatenate(clusters))
    count, groups = len(pooled), len(clusters)
    if groups < 2:
        raise ValueError(f"got {groups} rounds, expected at least 2: one round has no spread")
    value = float(np.quantile(pooled, p))
    share = np.array([(r <= value).mean() for r in clusters])
    spread = float(share.std(ddof=1)) / groups**0.5
    error = max(spread, (p * (1 - p) / count) ** 0.5) * _inflation(share)
    reach = float(stats.t.ppf(0.5 + level / 2, groups - 1)) * error / (p * (1 - p))
    center = np.log(p / (1 - p))
    ends = 1 / (1 + np.exp(-(center + np.array([-reach, reach]))))
    low, high = np.quantile(pooled, ends)
    return QuantileInterval(value, float(low), float(high), bool(ends[1] * (count - 1) > count - 2))


def _inflation(share: Floats) -> float:
    """sqrt((1 + r) / (1 - r)), where r is the lag-1 correlation over rounds, clipped to [0, .8]."""
    if share.min() == share.max():
        return 1.0  # the rounding error of their mean is no correlation
    centered = share - share.mean()
    r = float((centered[1:] * centered[:-1]).sum() / (centered**2).sum())
    r = min(max(r, 0.0), 0.8)
    return float(((1 + r) / (1 - r)) ** 0.5)


def log_quantiles(rounds: Sequence[ArrayLike], p: float) -> Floats:
    """Natural log of the p quantile of each round, [R]."""
    return np.array([np.log(np.quantile(np.asarray(r, np.float64), p)) for r in rounds])


class Difference(NamedTuple):
    """The mean log ratio of two subjects' quantiles, paired by round."""

    mean: float  # log(a / b)
    half: float  # half width of the 95 % interval
    error: float  # standard error
    rounds: int

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval, log ratio."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval, log ratio."""
        return self.mean + self.half

    @property
    def floor(self) -> float:
        """|d| + h as a log ratio: for two equal sessions, what a real difference must exceed."""
        return abs(self.mean) + self.half


def difference(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Difference:
    """The t interval of a - b, both log quantiles by round [R].

    Raises:
        ValueError: there are fewer than two rounds.
    """
    d = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if len(d) < 2:
        raise ValueError(f"got {len(d)} rounds, expected at least 2: one round has no spread")
    error = float(d.std(ddof=1)) / len(d) ** 0.5
    half = float(stats.t.ppf(0.5 + level / 2, len(d) - 1)) * error
    return Difference(float(d.mean()), half, error, len(d))


def beyond_floor(change: Difference, twins: Difference) -> bool:
    """Whether two latencies differ by more than equal sessions do: |d| > |d of the twins| + max(h,
    h of the twins).

    The larger of the two half widths is used, whichever pair was disturbed more, so the pair's
    interval also excludes 0. A neighbour's burst that slows one visit of one session by 20 to 40 %,
    without any run-queue delay, only shows in that pair's noise: of 450 real triples of equal
    sessions, the third was within |d| + h of the twins in 424, and within this bound in all.
    """
    return abs(change.mean) > abs(twins.mean) + max(twins.half, change.half)


def smallest_difference(
    errors: ArrayLike, rounds: int, twins: Difference, power: float = POWER
) -> float:
    """The log ratio that a session would have detected with 80 % power, for its typical pair.

    errors: standard errors of its paired differences; their median is the typical one.
    """
    error = float(np.median(np.asarray(errors, np.float64)))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, rounds - 1)) * error
    needed = abs(twins.mean) + max(twins.half, half)
    return needed + float(stats.t.ppf(power, rounds - 1)) * error
