"""A difference with its interval, as every table of the terminal prints it."""

import math

from fusefront.harness.statistics.result_rows import Estimate
from fusefront.reports import numbers
from fusefront.reports.evidence import Interval


def difference_text(estimate: Estimate | None, margin: float | None = None) -> str:
    """A difference with its interval, with digits enough to show on which side of 0 and of the
    margin its ends lie; "" for None."""
    if estimate is None or math.isnan(estimate.value):
        return ""
    if math.isnan(estimate.low):
        return f"{numbers.signed(estimate.value)} no interval"
    return numbers.gap(Interval(estimate.value, estimate.low, estimate.high), margin)
