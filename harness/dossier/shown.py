"""Numbers of the decision as the report's evidence holds them."""

import numpy as np

from fusefront.harness.decision.inputs import Measured
from fusefront.reports.evidence import Interval


def interval(measured: Measured) -> Interval:
    """A measured number for the evidence: ends that are NaN are no ends."""
    low, high = (None if np.isnan(end) else float(end) for end in (measured.low, measured.high))
    return Interval(float(measured.value), low, high)
