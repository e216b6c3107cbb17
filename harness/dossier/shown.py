"""Converts numbers and verdicts of the decision into the types of the report's evidence."""

from typing import get_args

import numpy as np

from fusefront.harness.decision.inputs import Measured
from fusefront.harness.statistics.judging.verdicts import read
from fusefront.reports.evidence import Interval, Verdict


def interval(measured: Measured) -> Interval:
    """A measured number for the evidence; ends that are NaN or infinite become None."""
    low, high = (float(end) if np.isfinite(end) else None for end in (measured.low, measured.high))
    return Interval(float(measured.value), low, high)


def verdict(difference: Interval | None, margin: float) -> Verdict:
    """The verdict that follows from a difference's interval; "" without one."""
    if difference is None or difference.low is None or difference.high is None:
        return ""
    word = read(difference.low, difference.high, margin)
    return next((known for known in get_args(Verdict) if known == word), "")
