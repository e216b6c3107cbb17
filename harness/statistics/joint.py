"""The joint normal model of the strategies' metric: test rows by influence values, seeds by
variances.

As Obuchowski & Rockette 1995 and Gallas 2006, with seeds in the role of readers; degrees of freedom
by Satterthwaite 1946 as in Hillis 2007. docs/statistics.md has the formulas and the measured
coverage.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics import student
from fusefront.harness.statistics.exchangeable import steadied
from fusefront.harness.statistics.largest_t import (
    DRAWS,
    FEWEST_DRAWS,
    MOST_VALUES,
    Family,
    Null,
    critical_of_all,
    critical_of_base,
    family,
)

Floats = NDArray[np.float64]

FEWEST_CLUSTERS = 10  # with fewer: an estimate without interval
FEW_CLUSTERS = 30  # below: an interval with a warning
FEWEST_EFFECTIVE = 2.0  # effective ones; below, one cluster is the study: no interval


class Pair(NamedTuple):
    """The difference a - b with its two-sided interval; nan where there is none."""

    difference: float
    se: float
    df: float
    low: float
    high: float
    p: float  # two-sided, of no difference


class Alone(NamedTuple):
    """The metric of one strategy with its standard error; nan where there is none."""

    value: float
    se: float
    df: float


@dataclass(frozen=True)
class JointModel:
    """The joint model of one metric for S strategies with n_s seeds each and m clusters of test
    rows."""

    names: tuple[str, ...]
    theta: Floats  # [S] mean over seeds
    s2: Floats  # [S] variance over seeds, the test rows fixed; nan with one seed
    n: NDArray[np.int64]  # [S] seeds
    K: Floats  # [S, S] covariance from the test rows; diagonal: of two different seeds
    interaction: Floats  # [S] the part of s2 that more test rows would remove
    floor: Floats  # [S, S] covariance of the seed means for the trained models themselves
    m: int  # clusters of rows
    mc: int  # the smaller of clusters with a positive and clusters with a negative
    rho: float = 0.0  # correlation of paired seeds that is removed; 0 = independent seeds
    search: Floats | None = None  # [S] variance over repeated searches; None: only the tuned models
    search_df: float = 2.0  # degrees of freedom of `search`
    effective: float | None = None  # number of equal clusters with as much information; None: mc
    df_bound: float = 0.0  # times `mc`, the bound in `row_df`; 0: `effective` counts once
    level: float = 0.95  # of all intervals; higher after several looks at test

    def __post_init__(self) -> None:
        if self.K.shape != (len(self.names), len(self.names)):
            raise ValueError(f"K: got {self.K.shape}, expected [S, S] with S = {len(self.names)}")

    @property
    def means(self) -> dict[str, float]:
        """Strategy -> its metric."""
        return {name: float(self.theta[at]) for at, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Position of strategy `name`; raises ValueError, which lists the known names."""
        if name not in self.names:
            raise ValueError(f"got strategy {name!r}, expected one of: {', '.join(self.names)}")
        return self.names.index(name)

    @property
    def informative(self) -> float:
        """The number of equal clusters with as much information on the row variance."""
        return float(self.mc) if self.effective is None else min(float(self.mc), self.effective)

    @property
    def row_df(self) -> float:
        """Degrees of freedom of the row variance of a difference, at least 1.

        With a `df_bound`: one less than twice the effective clusters, at most `df_bound` times all
        clusters; without: one less than the effective clusters. A cluster with much of the
        difference has much of its estimated variance, too, so their ratio has shorter tails than
        Student's t with one degree of freedom less than the effective clusters.
        """
        counted = self.informative
        if self.df_bound and self.effective is not None:
            counted = min(2 * self.informative, self.df_bound * self.mc)
        return max(counted - 1, 1.0)

    @property
    def alone_df(self) -> float:
        """Degrees of freedom of the row variance of one strategy's metric, at least 1."""
        return max(self.informative - 1, 1.0)

    @cached_property
    def row_part(self) -> Floats:
        """[S, S] variance of each difference from the test rows, for a typical pair of seeds."""
        diagonal = np.diag(self.K)
        part = np.maximum(diagonal[:, None] + diagonal - 2 * self.K, 0.0)
        part[part < 1e-11 * diagonal] = 0.0  # rounding error of equal numbers
        return part

    @cached_property
    def seed_part(self) -> Floats:
        """[S] variance of each strategy's mean from its seeds; nan with one seed."""
        return self.s2 / self.n

    @cached_property
    def net_s2(self) -> Floats:
        """[S] variance over seeds that would remain with infinitely many test rows."""
        return np.maximum(self.s2 - self.interaction, 0.0)

    @cached_property
    def trained_variance(self) -> Floats:
        """[S, S] variance of each difference between these trained models: other rows, same
        seeds."""
        diagonal = np.diag(self.floor)
        return np.maximum(diagonal[:, None] + diagonal - 2 * self.floor, 0.0)

    @cached_property
    def search_part(self) -> Floats:
        """[S] variance of each strategy's metric over repeated searches; 0 where it is not
        considered."""
        return np.zeros(len(self.names)) if self.search is None else self.search

    @cached_property
    def variance(self) -> Floats:
        """[S, S] variance of each difference over seeds, rows and, if known, searches.

        nan where one side has a single seed.
        """
        seeds = self.seed_part
        total = self.row_part + seeds[:, None] + seeds
        total -= 2 * self.rho * np.sqrt(seeds[:, None] * seeds)
        total = np.maximum(total, self.trained_variance)
        total += self.search_part[:, None] + self.search_part
        np.fill_diagonal(total, 0.0)
        return total

    @cached_property
    def steady_variance(self) -> Floats:
        """[S, S] `variance` with each seed variance shrunk halfway to the mean of all."""
        return steadied(self.variance, self.seed_part)

    @cached_property
    def se(self) -> Floats:
        """[S, S] standard errors of the differences."""
        return np.sqrt(self.variance)

    @cached_property
    def diff(self) -> Floats:
        """[S, S] differences, row minus column."""
        return self.theta[:, None] - self.theta

    @cached_property
    def dfs(self) -> Floats:
        """[S, S] degrees of freedom (Satterthwaite, Welch); inf where the variance is 0."""
        seeds = self.seed_part**2 / np.maximum(self.n - 1, 1)
        rows = self.row_part**2 / self.row_df
        welch = self.row_part + self.seed_part[:, None] + self.seed_part
        searches = self.search_part**2 / self.search_df
        total = np.maximum(welch, self.trained_variance)
        total += self.search_part[:, None] + self.search_part
        uncertain = rows + seeds[:, None] + seeds + searches[:, None] + searches
        with np.errstate(divide="ignore", invalid="ignore"):
            df = total**2 / uncertain
        df[total == 0] = np.inf
        return df

    def df(self, a: int, b: int) -> float:
        """Degrees of freedom of the difference a - b."""
        return float(self.dfs[a, b])

    @property
    def has_intervals(self) -> bool:
        """False if too few clusters hold both classes, or if one cluster has nearly all the
        weight."""
        return self.mc >= FEWEST_CLUSTERS and self.informative >= FEWEST_EFFECTIVE

    def pair(self, a: int, b: int, level: float | None = None) -> Pair:
        """The difference a - b over seeds and rows; its ends are nan with one seed or too few
        clusters."""
        value, se, df = float(self.diff[a, b]), float(self.se[a, b]), self.df(a, b)
        return _interval(value, se if self.has_intervals else np.nan, df, level or self.level)

    def simultaneous(self, a: int, b: int, critical: float) -> Pair:
        """The difference a - b with an interval of `critical` standard errors to either side.

        The interval is wider if a single comparison needs more, as with few seeds. `p` is that of
        this comparison alone.
        """
        pair = self.pair(a, b)
        if np.isnan(pair.low) or np.isnan(critical):
            return pair
        half = max(critical * pair.se, pair.high - pair.difference)
        return pair._replace(low=pair.difference - half, high=pair.difference + half)

    def alone_alpha(self, a: int, b: int, critical: float) -> float:
        """The two-sided error of the comparison a - b alone, with the interval that `simultaneous`
        gives."""
        df = self.df(a, b)
        if np.isnan(critical) or np.isnan(df):
            return 1 - self.level
        return min(student.two_sided(df, critical), 1 - self.level)

    def trained_pair(self, a: int, b: int, level: float | None = None) -> Pair:
        """The difference between these trained models over other test rows; says nothing about
        other seeds."""
        se = float(np.sqrt(self.trained_variance[a, b])) if self.has_intervals else np.nan
        return _interval(float(self.diff[a, b]), se, self.row_df, level or self.level)

    def alone(self, a: int) -> Alone:
        """The metric of one strategy; with one seed the error is that of the trained model."""
        rows = max(float(self.K[a, a]), 0.0)
        seeds = float(self.seed_part[a]) if self.n[a] > 1 else 0.0
        total = max(rows + seeds, float(self.floor[a, a]))
        parts = rows**2 / self.alone_df + seeds**2 / max(int(self.n[a]) - 1, 1)
        df = total**2 / parts if parts > 0 else self.alone_df
        se = float(np.sqrt(total)) if self.has_intervals else float("nan")
        return Alone(float(self.theta[a]), se, df)

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """[n, S] draws of the true metrics: theta plus errors, with seed variances drawn given s2.

        A strategy with one seed varies with the test rows only.
        """
        freedom = np.maximum(self.n - 1, 1)
        seeds = np.nan_to_num(self.seed_part)
        spread = np.sqrt(seeds * freedom / rng.chisquare(freedom, (n, len(self.names))))
        return self.theta + self._row_noise(rng, n) + self._seed_noise(rng, n) * spread

    @cached_property
    def c_all(self) -> float:
        """95 % quantile of the largest |t| over all pairs if all strategies were equal; nan without
        a pair."""
        return critical_of_all(self, self.null)

    def c_base(self, baseline: int) -> float:
        """95 % quantile of the largest |t| over the pairs with the baseline if all strategies were
        equal."""
        return critical_of_base(self, self.null, baseline)

    def c_among(self, members: NDArray[np.bool_]) -> float:
        """95 % quantile of the largest |t| over all pairs of `members` [S] bool if all strategies
        were equal."""
        return critical_of_all(self, self.null, members)

    def family(self, baseline: int, members: NDArray[np.bool_]) -> Family:
        """The comparisons of `members` [S] bool with the baseline, whose intervals hold
        together."""
        return family(self, self.null, baseline, members)

    @cached_property
    def null(self) -> Null:
        """Draws of the metrics and of their estimated errors if all strategies were equal.

        Dunnett 1955 with errors that are unequal and estimated.
        """
        rng = np.random.default_rng(0)
        size, freedom = len(self.names), np.maximum(self.n - 1, 1)
        draws = min(DRAWS, max(FEWEST_DRAWS, MOST_VALUES // size))
        seeds = np.nan_to_num(self.seed_part)[:, None]
        value = self._row_noise(rng, draws).T
        value += np.sqrt(seeds) * self._seed_noise(rng, draws).T
        estimated = (
            seeds * (rng.chisquare(freedom, (draws, size)) / freedom).T
        )  # s2 / n as estimated
        rows = rng.chisquare(self.row_df, draws) / self.row_df
        if self.search is None:
            return Null(value, estimated, rows)
        value += np.sqrt(self.search)[:, None] * rng.standard_normal((size, draws))
        spread = rng.chisquare(self.search_df, (size, draws)) / self.search_df
        return Null(value, estimated, rows, self.search[:, None] * spread)

    def crossed(self, item: "JointModel", cell: "JointModel") -> "JointModel":
        """Two-way clustering (Cameron, Gelbach & Miller 2011): V_user + V_item - V_cell."""
        interaction = self.interaction + item.interaction - cell.interaction
        return replace(
            self,
            K=self.K + item.K - cell.K,
            floor=self.floor + item.floor - cell.floor,
            interaction=np.maximum(interaction, 0.0),
            m=min(self.m, item.m),
            mc=min(self.mc, item.mc),
            effective=min(self.informative, item.informative),
            df_bound=min(self.df_bound, item.df_bound),
        )

    def _seed_noise(self, rng: np.random.Generator, n: int) -> Floats:
        """[n, S] standard normal draws, correlated by `rho`."""
        noise: Floats = np.sqrt(1 - self.rho) * rng.standard_normal((n, len(self.names)))
        noise += np.sqrt(self.rho) * rng.standard_normal((n, 1))
        return noise

    def _row_noise(self, rng: np.random.Generator, n: int) -> Floats:
        values, vectors = np.linalg.eigh((self.K + self.K.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        noise: Floats = rng.standard_normal((n, len(values))) @ root.T
        return noise


def _interval(value: float, se: float, df: float, level: float) -> Pair:
    if not se > 0:
        return Pair(value, se, df, np.nan, np.nan, np.nan)
    half = float(student.quantile(df, 0.5 + level / 2)) * se
    p = student.two_sided(df, value / se)
    return Pair(value, se, df, value - half, value + half, p)
