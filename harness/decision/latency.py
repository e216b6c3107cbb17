"""Whether a strategy keeps the latency limit, as far as its interval and the session's floor
allow."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

from scipy import stats

from fusefront.harness.decision.inputs import Latency, Measured

LimitGrade = Literal["kept", "missed", "not known"]


def tail(latency: Latency, floor: float) -> Measured | None:
    """The p99 in ms with the ends that decide; None if there were too few requests for one.

    The interval covers one session only; `floor` (a log ratio) is how far a repeated session may
    differ. The two are independent, so that their squares add: log end = log p99 +- sqrt(log(end /
    p99)^2 + floor^2). The true value of an open upper end is at or above it.
    A disturbance only ever adds time, and a burst within a few rounds can raise the whole interval;
    therefore the lower end is at most that of the typical round.
    """
    p99 = latency.p99
    if p99 is None or not 0 < p99.low <= p99.value <= p99.high:
        return None
    low = min(p99.low, typical_low(latency.log_p99))
    down = math.hypot(math.log(p99.value / low), floor)
    up = math.hypot(math.log(p99.high / p99.value), floor)
    return Measured(p99.value, p99.value * math.exp(-down), p99.value * math.exp(up))


def typical_low(log_p99: Sequence[float]) -> float:
    """Lower 97.5 % bound of the median round's p99 in ms, by order statistics; `log_p99` [rounds].
    inf without rounds.

    With 20 rounds it is the 6th smallest, so that disturbing fewer than half of the rounds cannot
    raise it.

    >>> typical_low([math.log(ms) for ms in (9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9)])
    3.0
    """
    if not log_p99:
        return math.inf
    return round(math.exp(sorted(log_p99)[_place(len(log_p99))]), 12)


@cache
def _place(rounds: int) -> int:
    """The index of that order statistic among the sorted rounds, from 0."""
    return max(int(stats.binom.ppf(0.025, rounds, 0.5)) - 1, 0)


def limit_grade(latency: Latency | None, slo_ms: float, floor: float) -> LimitGrade:
    """Is "kept" if the whole interval is at or below the limit (ms), "missed" if it is above, else
    unknown."""
    reach = tail(latency, floor) if latency else None
    if latency is None or reach is None:
        return "not known"
    if reach.high <= slo_ms and not latency.p99_open:
        return "kept"
    return "missed" if reach.low > slo_ms else "not known"
