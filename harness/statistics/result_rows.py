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
    differences: dict[str, Estimate]  # to the baseline, ends hold for the family; {} for itself
    valid: float  # the primary metric on validation, which selection may use
    p: float  # of the hypothesis: no difference to the baseline
    p_adjusted: float  # chance of a larger |t| in the family if nothing differs
    family: str  # strategies | controls | ""
    verdict: str  # read off the ends of the difference; no verdict | baseline
    reason: str  # the verdict in a sentence
    needs: Settle  # rows or seeds that would detect the declared effect
    mde: float  # smallest difference to the baseline detected with 80 % power
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
    expected: float | None = None  # lead shrunk towards those of the others; None: unknown


class ClusterWeight(NamedTuple):
    """How unequal the clusters of rows are, counted in the rows that the primary metric uses."""

    effective: float  # equal clusters with as much information: 1 / sum of squared shares, up to mc
    largest_share: float  # of the cluster with the most weight
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
    p_adjusted: float  # as above, over all slices of the family
    verdict: str  # read off the ends of the difference
    note: str
    mde: float = float("nan")  # smallest difference seen with 80 % power within the family


class Share(NamedTuple):
    """The sources of the variance of a strategy's difference to the baseline; shares sum to 1."""

    strategy: str
    rows: float
    seeds: float
    both: float  # seeds x rows: falls with more of either
    tuning: float  # nan if there was one tuning run only
    buy: str  # what to get more of


class CurvePoint(NamedTuple):
    """A bin of the calibration curve, with an interval for its share of positives."""

    rows: float
    predicted: float
    observed: float
    low: float
    high: float


class SearchRow(NamedTuple):
    """A way of fusing: its difference to the baseline, including the noise of the search."""

    name: str
    trials: int  # completed; 0 where nothing was searched
    sd: float  # of its metric over repeated searches; nan if unknown
    doubling: float  # expected gain of twice as many trials; nan if unknown
    difference: Estimate
    p_adjusted: float  # chance of a larger |t| for any strategy if nothing differs
    share: float  # the search's part of the variance of the difference
    verdict: str  # read off the ends of the difference; no verdict | baseline
    reason: str


class SearchVerdicts(NamedTuple):
    """Verdicts on ways of fusing, which cover repeated searches, not only the configurations
    trained."""

    rows: tuple[SearchRow, ...]
    df: float  # degrees of freedom of each variance over searches; nan without
    c_base: float
    best_set: tuple[str, ...]
    source: str  # trials | tuning runs | "" where nothing is known
    sentences: tuple[str, ...]
