"""Verdicts: the word for an interval, the best set and rank intervals."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import JointModel

Word = Literal[
    "better",
    "better, by less than the margin",
    "worse",
    "worse, by less than the margin",
    "equivalent",
    "not worse by more than the margin",
    "not better by more than the margin",
    "cannot tell",
    "no verdict",
    "baseline",
]

DECIDED: tuple[Word, ...] = (  # the interval lies on one side of zero
    "better",
    "better, by less than the margin",
    "worse",
    "worse, by less than the margin",
)
OPEN: tuple[Word, ...] = (  # more rows or seeds could decide
    "not worse by more than the margin",
    "not better by more than the margin",
    "cannot tell",
)


class Ranks(NamedTuple):
    """The range of ranks that each strategy may have; 1 is the best."""

    low: NDArray[np.int64]  # [S]
    high: NDArray[np.int64]  # [S]
    in_best_set: NDArray[np.bool_]  # [S]


def read(low: float, high: float, margin: float, *, higher: bool = True) -> Word:
    """The verdict on a difference, which follows from the two ends of its interval alone.

    `higher`: whether more is better. "no verdict" if an end is nan.

    >>> read(0.0002, 0.0018, 0.005), read(-0.0002, 0.0018, 0.001)
    ('better, by less than the margin', 'not worse by more than the margin')
    """
    if np.isnan(low) or np.isnan(high):
        return "no verdict"
    if not higher:
        low, high = -high, -low
    within = -margin < low and high < margin
    if low > 0:
        return "better, by less than the margin" if within else "better"
    if high < 0:
        return "worse, by less than the margin" if within else "worse"
    if within:
        return "equivalent"
    if low > -margin:
        return "not worse by more than the margin"
    return "not better by more than the margin" if high < margin else "cannot tell"


def significantly_better(model: JointModel, *, higher: bool) -> NDArray[np.bool_]:
    """[S, S] bool: row beats column by more than c_all standard errors, valid for all pairs at
    once."""
    lead = model.diff if higher else -model.diff
    if not model.has_intervals:
        return np.zeros(lead.shape, bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(model.se > 0, lead / model.se, 0.0)
    return np.nan_to_num(t) > model.c_all  # nan without a pair: no one is better


def ranks(model: JointModel, *, higher: bool) -> Ranks:
    """Rank intervals (Mogstad et al. 2024); the best set holds the strategies that none is shown to
    beat."""
    beats = significantly_better(model, higher=higher)
    lost, won = beats.sum(0), beats.sum(1)
    return Ranks(1 + lost, len(model.names) - won, lost == 0)
