"""Expected gains over today's strategy, shrunk towards each other because the best was picked."""

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
    """For the members: measured gains [members] over today's, their covariance, and who is no
    control [members] bool."""
    spread = covariance_of_gains(pairs.steady_variance, today, list(members))
    alike = [not candidates[i].control for i in members]
    return pairs.diff[list(members), today], spread, np.array(alike, bool)


def expected_over_today(candidates: Sequence[Candidate], pairs: Pairs, today: int) -> Floats:
    """[S] expected gains over today's strategy; measuring devices and controls keep their measured
    gains.

    0 for today's; nan where the error is not known.
    """
    members = [
        i
        for i, candidate in enumerate(candidates)
        if i != today and not candidate.measuring_device and np.isfinite(pairs.se[i, today])
    ]
    expected = np.where(np.isfinite(pairs.se[:, today]), pairs.diff[:, today], np.nan)
    expected[members] = expected_gains(*measured_gains(candidates, pairs, today, members))
    return expected


def around(interval: Measured, value: float) -> Measured:
    """The interval moved to an expected value, which must lie within it."""
    if np.isnan(value):
        return interval
    return Measured(float(np.clip(value, interval.low, interval.high)), *interval[1:])
