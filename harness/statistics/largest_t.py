"""Critical values of the largest |t| over many pairs, by simulation; most of the S^2 pairs are
skipped."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

DRAWS = 50_000  # of the largest |t|; its 95 % quantile then errs by about .01
FEWEST_DRAWS, MOST_VALUES = 10_000, 2_500_000  # above 50 strategies: error .02, bounded memory


class Null(NamedTuple):
    """D draws under the hypothesis that all strategies are equal."""

    value: Floats  # [S, D] metrics
    estimated: Floats  # [S, D] variance from seeds, as it would be estimated
    rows: Floats  # [D] factor on the row variance, as it would be estimated
    search: Floats | None = None  # [S, D] variance over searches, as it would be estimated

    def take(self, draws: slice | NDArray[np.intp]) -> "Null":
        """Some of the draws: a slice, or their indices [k]."""
        search = None if self.search is None else self.search[:, draws]
        return Null(self.value[:, draws], self.estimated[:, draws], self.rows[draws], search)


class Errors(Protocol):
    """The parts of a joint model that describe the errors of the pairs."""

    @property
    def rho(self) -> float:
        """Correlation of the seeds that strategies share."""

    @property
    def level(self) -> float:
        """The level of the intervals; .95 at the first look."""

    @property
    def variance(self) -> Floats:
        """[S, S] variance of each difference over seeds, rows and searches; nan where one side has
        a single seed."""

    @property
    def row_part(self) -> Floats:
        """[S, S] variance of each difference from the test rows."""

    @property
    def trained_variance(self) -> Floats:
        """[S, S] variance of each difference between these trained models: other rows, same
        seeds."""


class SomeErrors(NamedTuple):
    """The errors of P of the S strategies."""

    rho: float
    level: float
    variance: Floats  # [P, P]
    row_part: Floats  # [P, P]
    trained_variance: Floats  # [P, P]


class Family(NamedTuple):
    """Comparisons of F of the S strategies with the baseline, whose intervals hold together."""

    members: NDArray[np.bool_]  # [S] which strategies; never the baseline
    largest: Floats  # [D] the largest |t| in each draw in which all are equal, sorted

    def critical(self, level: float) -> float:
        """Half the width of each interval in standard errors; nan where nothing varies."""
        return _critical(self.largest, level)

    def exceeded(self, t: float) -> float:
        """The chance of a larger |t| than this anywhere in the family if nothing differs."""
        beyond = len(self.largest) - np.searchsorted(self.largest, abs(t), side="right")
        return float(beyond) / len(self.largest)


def family(of: Errors, null: Null, baseline: int, members: NDArray[np.bool_]) -> Family:
    """The comparisons of `members` [S] bool with the baseline; those with one seed are left out."""
    members = members.copy()
    members[baseline] = False
    parts = [null.take(slice(k, k + 1000)) for k in range(0, len(null.rows), 1000)]
    t2 = np.concatenate([_t2(of, baseline, part, members) for part in parts])
    return Family(members, np.sort(np.sqrt(t2)))


def critical_of_all(of: Errors, null: Null, among: NDArray[np.bool_] | None = None) -> float:
    """95 % quantile of the largest |t| over all pairs of the strategies `among` [S] bool; nan
    without a pair."""
    if among is not None and not among.all():
        of, null = _part(of, null, among)
    first = null.take(slice(200))
    least = float(np.quantile(_largest(of, first), 0.80))
    largest = _largest(of, null, least)
    if np.quantile(largest, of.level, method="lower") <= least:  # not among those that are exact
        largest = _largest(of, null)
    return _critical(np.sqrt(largest), of.level)


def critical_of_base(of: Errors, null: Null, baseline: int) -> float:
    """95 % quantile of the largest |t| over the pairs with the baseline."""
    every = np.ones(len(null.value), bool)
    return family(of, null, baseline, every).critical(of.level)


def _part(of: Errors, null: Null, among: NDArray[np.bool_]) -> tuple[Errors, Null]:
    square = np.ix_(among, among)
    part = SomeErrors(
        of.rho, of.level, of.variance[square], of.row_part[square], of.trained_variance[square]
    )
    search = None if null.search is None else null.search[among]
    return part, Null(null.value[among], null.estimated[among], null.rows, search)


def _largest(of: Errors, null: Null, least: float = 0.0) -> Floats:
    """[D] the largest t^2 over all pairs in each draw, exact where it is above `least`.

    The row variance of a pair is at least the sum of its sides' `own`. So t^2 can be above `least`
    only where two values differ by more than their own errors allow, which is true for few pairs.
    """
    own = of.row_part.copy()
    np.fill_diagonal(own, own.max())
    own = own.min(1, keepdims=True) / 2
    errors = own * null.rows + (1 - of.rho) * null.estimated
    if null.search is not None:
        errors += null.search
    reach = np.sqrt(least / 2 * errors)
    lowest = (null.value + reach).min(0)
    largest = np.zeros(len(null.rows))
    for a in range(len(null.value)):
        draws = np.flatnonzero(null.value[a] - reach[a] > lowest)
        largest[draws] = np.maximum(largest[draws], _t2(of, a, null.take(draws)))
    return largest


def _t2(of: Errors, a: int, null: Null, among: NDArray[np.bool_] | None = None) -> Floats:
    """[D] the largest t^2 of strategy a against each strategy of `among` [S] bool that differs from
    it."""
    others = of.variance[a] > 0
    if among is not None:
        others &= among
    if not others.any():
        return np.zeros(len(null.rows))
    spread = null.estimated[others]
    variance = np.multiply.outer(of.row_part[a, others], null.rows)
    variance += spread + null.estimated[a]
    if of.rho:
        variance -= 2 * of.rho * np.sqrt(spread * null.estimated[a])
    floor = np.multiply.outer(of.trained_variance[a, others], null.rows)
    np.maximum(variance, floor, out=variance)
    if null.search is not None:
        variance += null.search[others] + null.search[a]
    t2: Floats = ((null.value[a] - null.value[others]) ** 2 / variance).max(0)
    return t2


def _critical(largest: Floats, level: float) -> float:
    """A quantile of |t|, at least that of one comparison in a large sample; nan if all are 0."""
    quantile = float(np.quantile(largest, level))
    least = round(float(special.ndtri(0.5 + level / 2)), 2)
    return max(quantile, least) if quantile > 0 else float("nan")
