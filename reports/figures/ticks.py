"""Round ticks and their texts."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from fusefront.reports import numbers
from fusefront.reports.evidence import Interval

MOST_LOG_TICKS = 9


def latency_ticks(low: float, high: float, *, log: bool) -> tuple[list[float], list[str]]:
    """Ticks of a latency axis in ms, 1-2-5 on a log axis.

    >>> latency_ticks(0.8, 76.0, log=True)[1]
    ['1', '2', '5', '10', '20', '50']
    """
    if not log:
        at = [float(t) for t in MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    else:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            at = [float(f"{s}e{d}") for d in decades for s in steps]
            if sum(low <= t <= high for t in at) <= MOST_LOG_TICKS:
                break
    at = [t for t in at if low <= t <= high]
    return at, [numbers.plain(round(t, 9)) for t in at]


def auc_ticks(
    low: float, high: float, *, signed: bool, most: int = 8
) -> tuple[list[float], list[str]]:
    """Ticks of a quality axis with as many places as their step needs, three at least.

    >>> auc_ticks(-0.003, 0.005, signed=True, most=4)[1]
    ['−0.002', '0', '+0.002', '+0.004']
    """
    at = [float(t) for t in MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)]
    step = at[1] - at[0] if len(at) > 1 else 1e-3
    places = max(3, math.ceil(-math.log10(step) - 1e-9))
    at = [t for t in at if low <= t <= high]
    texts = [numbers.signed(t, places) if signed else numbers.fixed(t, places) for t in at]
    return at, [
        "0" if signed and abs(t) < 1e-12 else text for t, text in zip(at, texts, strict=True)
    ]


def nice_limits(intervals: list[Interval], *, floor: float | None = None) -> tuple[float, float]:
    """Ends of an axis that hold all intervals, padded."""
    low = min(i.value if i.low is None else i.low for i in intervals)
    high = max(i.value if i.high is None else i.high for i in intervals)
    if floor is not None:
        low, high = min(low, floor), max(high, floor)
    pad = 0.06 * max(high - low, 1e-4)
    return float(np.float64(low - pad)), float(np.float64(high + pad))
