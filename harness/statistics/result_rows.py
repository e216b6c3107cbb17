"""The rows of a comparison: estimates, strategies, slices, shares of variance, points of curves."""

from typing import NamedTuple

from fusefront.harness.statistics.power import Settle


class Estimate(NamedTuple):
    """A number with its 95 % interval, or the reason why it has none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""


class StrategyRow(NamedTuple):
    """One strategy of the table."""

    name: str
    role: str  # strategy | control | ablation
    seeds: int
    metrics: dict[str, Estimate]
    differences: dict[str, Estimate]  # to the baseline, right for the family; empty for itself
    valid: float  # the primary metric on validation: what a selection may look at
    p: float  # of no difference to the baseline
    p_adjusted: float  # that luck alone shows more somewhere in the family
    family: str  # strategies | controls | ""
    verdict: str  # read off the ends of the difference; no verdict | baseline
    reason: str  # the verdict in a sentence
    needs: Settle  # what would see the declared effect
    mde: float  # smallest difference to the baseline that is seen with 80 % power
    rank_low: int
    rank_high: int
    in_best_set: bool


class Winner(NamedTuple):
    """The best strategy and its lead over the baseline."""

    name: str
    difference: float
    low: float
    high: float
    note: str
    expected: float | None = None  # drawn back to the others it was picked from; None: not known


class ClusterWeight(NamedTuple):
    """How unequal the clusters of rows are, by the rows that the primary metric sees."""

    effective: float  # equal clusters would tell as much: 1 / sum of squared shares, at most mc
    largest_share: float  # of the cluster that carries the intervals most
    largest: int  # its code in the rows: the user, or the request
    rows: int  # of that cluster
    positives: int


class SliceRow(NamedTuple):
    """One strategy on one value of a declared slice."""

    slice: str
    value: str
    strategy: str
    rows: int
    positives: int
    mc: int
    metrics: dict[str, Estimate]
    difference: Estimate  # of the primary metric to the baseline
    p_adjusted: float  # that luck alone shows more anywhere in the family, over all slices
    verdict: str  # read off the ends of the difference
    note: str
    mde: float = float("nan")  # smallest difference seen with 80 % power within the family


class Share(NamedTuple):
    """Where the variance of a strategy's difference to the baseline comes from; shares add to 1."""

    strategy: str
    rows: float
    seeds: float
    both: float  # seeds x rows: falls with more of either
    tuning: float  # nan where one tuning run is all there is
    buy: str  # what to get more of


class CurvePoint(NamedTuple):
    """A bin of the calibration curve with the interval of the share of positives around p."""

    rows: float
    predicted: float
    observed: float
    low: float
    high: float


class SearchRow(NamedTuple):
    """A way of fusing: its difference to the baseline with the noise of the search in it."""

    name: str
    trials: int  # completed; 0 where nothing was searched
    sd: float  # of its metric over other searches; nan where that is not known
    doubling: float  # what as many trials again would bring; nan where that is not known
    difference: Estimate
    p_adjusted: float  # that luck alone shows more for any strategy
    share: float  # the search's part of the variance of the difference
    verdict: str  # read off the ends of the difference; no verdict | baseline
    reason: str


class SearchVerdicts(NamedTuple):
    """What may be concluded on ways of fusing, not only on the configurations trained."""

    rows: tuple[SearchRow, ...]
    df: float  # of each variance over searches; nan without one
    c_base: float
    best_set: tuple[str, ...]
    source: str  # trials | tuning runs | "" where nothing is known
    sentences: tuple[str, ...]
