"""What is to be expected of whoever was picked: gains over today's, drawn back to the others'."""

from collections.abc import Sequence

import numpy as np

from fusefront.harness.decision.inputs import Bools, Candidate, Floats, Measured, Pairs
from fusefront.harness.statistics.exchangeable import (
    Spread,
    covariance_of_gains,
    expected_gains,
)


def measured_gains(
    candidates: Sequence[Candidate], pairs: Pairs, today: int, members: Sequence[int]
) -> tuple[Floats, Spread, Bools]:
    """Of the members: gains [members] over today's as seen, their covariance, who is no
    control [members]."""
    spread = covariance_of_gains(pairs.steady_variance, today, list(members))
    alike = [not candidates[i].control for i in members]
    return pairs.diff[list(members), today], spread, np.array(alike, bool)


def expected_over_today(candidates: Sequence[Candidate], pairs: Pairs, today: int) -> Floats:
    """[S] expected gains of all that may ship; as measured for measuring devices and controls.

    0 for today's; nan where there is no error to tell from.
    """
    members = [
        i
        for i, candidate in enumerate(candidates)
        if i != today and not candidate.measuring_device and np.isfinite(pairs.se[i, today])
    ]
    expected = np.where(np.isfinite(pairs.se[:, today]), pairs.diff[:, today], np.nan)
    if members:
        expected[members] = expected_gains(*measured_gains(candidates, pairs, today, members))
    return expected


def around(interval: Measured, value: float) -> Measured:
    """The interval as it is around an expected value, which is kept within it."""
    if np.isnan(value):
        return interval
    return Measured(float(np.clip(value, interval.low, interval.high)), *interval[1:])
