"""Power of a comparison: the smallest difference it detects, and the rows or seeds that detect a
given one."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from fusefront.harness.statistics import student
from fusefront.harness.statistics.joint import JointModel

POWER = 0.80
MOST_ROWS = 1e6  # factor on the rows beyond which "rows alone cannot decide"
MOST_SEEDS = 1000


class Components(NamedTuple):
    """The sources of one difference's variance, at the present number of rows."""

    rows: float  # K: variance from the test rows with infinitely many seeds
    seeds: float  # net variance over seeds, both strategies together
    interaction: float  # seeds x rows, both together: falls with either
    mc: int  # clusters with a positive, or with a negative, the smaller
    effective: float | None = None  # clusters that the degrees of freedom count; None: mc

    def variance(self, factor: float, seeds: int) -> float:
        """Variance of the difference with `factor` times the rows and `seeds` each."""
        return self.rows / factor + (self.seeds + self.interaction / factor) / seeds

    def df(self, factor: float, seeds: int) -> float:
        """Degrees of freedom if both strategies have half of the seed variance each."""
        rows, over_seeds = self.rows / factor, (self.seeds + self.interaction / factor) / seeds
        clusters = self.mc if self.effective is None else self.effective
        parts = rows**2 / max(clusters * factor - 1, 1) + over_seeds**2 / (2 * max(seeds - 1, 1))
        return (rows + over_seeds) ** 2 / parts if parts > 0 else 1e9


class Settle(NamedTuple):
    """What would decide a comparison; None = more of that alone never does."""

    rows: int | None  # more test rows
    seeds: int | None  # more seeds for each of the two


def components(model: JointModel, a: int, b: int) -> Components:
    """The parts of the variance of a - b as estimated."""
    pair = [a, b]
    return Components(
        float(model.row_part[a, b]),
        float(np.nan_to_num(model.net_s2[pair]).sum()),
        float(model.interaction[pair].sum()),
        model.mc,
        None if model.effective is None else model.row_df + 1,
    )


def power(effect: float, variance: float, df: float, alpha: float = 0.05) -> float:
    """The chance that a two-sided t test at level alpha detects a difference of this size, with the
    right sign."""
    if not variance > 0:
        return 1.0
    shift = effect / np.sqrt(variance)
    if df > 5000:  # the non-central t equals the normal to four digits
        return float(special.ndtr(shift + special.ndtri(alpha / 2)))
    missed = special.nctdtr(df, shift, -special.stdtrit(df, alpha / 2))
    return 1 - float(np.nan_to_num(missed))  # nan: the chance of a miss underflows to 0


def detectable(variance: float, df: float, alpha: float = 0.05, target: float = POWER) -> float:
    """The minimum detectable effect: detected with chance `target`; nan without a variance."""
    if not np.isfinite(variance) or variance < 0:
        return float("nan")
    if variance == 0:
        return 0.0
    root = float(np.sqrt(variance))
    top = (10.0 - float(student.quantile(df, alpha / 2))) * 3 * root

    def lack(effect: float) -> float:
        return power(effect, variance, df, alpha) - target

    return float(optimize.brentq(lack, 0.0, top, xtol=1e-4 * root))


def rows_factor(
    parts: Components, effect: float, seeds: int, alpha: float = 0.05, target: float = POWER
) -> float | None:
    """The smallest factor on the number of rows that reaches the power; None if rows alone never
    do."""
    if seeds < 2:
        return None

    def lack(log_factor: float) -> float:
        factor = float(np.exp(log_factor))
        return power(effect, parts.variance(factor, seeds), parts.df(factor, seeds), alpha) - target

    # at the least ten clusters of each class are needed for any interval
    low, high = float(np.log(10 / max(parts.mc, 1))), float(np.log(MOST_ROWS))
    if lack(high) < 0:
        return None
    if lack(low) >= 0:
        return float(np.exp(low))
    return float(np.exp(optimize.brentq(lack, low, high, xtol=1e-4)))


def seeds_needed(
    parts: Components, effect: float, alpha: float = 0.05, target: float = POWER
) -> int | None:
    """The fewest seeds a strategy that reach the power on the present rows; None if none do."""

    def enough(seeds: int) -> bool:
        return power(effect, parts.variance(1, seeds), parts.df(1, seeds), alpha) >= target

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS  # one seed never decides
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def endless_seeds(parts: Components, effect: float, alpha: float = 0.05) -> bool:
    """Whether the present rows would detect the effect if every strategy had infinitely many
    seeds."""
    clusters = parts.mc if parts.effective is None else parts.effective
    return power(effect, parts.rows, max(clusters - 1, 1), alpha) >= POWER


def settle(
    model: JointModel, rows: int, a: int, b: int, effect: float, alpha: float = 0.05
) -> Settle:
    """How many more rows, or more seeds for each of the two, would detect a difference of `effect`
    (80 % power)."""
    parts = components(model, a, b)
    present = int(min(model.n[a], model.n[b]))
    factor = rows_factor(parts, effect, present, alpha)
    seeds = seeds_needed(parts, effect, alpha)
    return Settle(
        None if factor is None else round_up((factor - 1) * rows),
        None if seeds is None else max(0, seeds - present),
    )


def round_up(value: float) -> int:
    """Rounded up to two significant digits; more digits would be false precision.

    >>> round_up(123_456)
    130000
    """
    if value <= 0:
        return 0
    step = 10.0 ** max(np.floor(np.log10(value)) - 1, 0)
    return int(np.ceil(value / step) * step)
