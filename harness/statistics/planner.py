"""Plans a study: how many test rows, days of traffic and seeds detect a given difference."""

from typing import NamedTuple

import numpy as np
from scipy import special

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.power import (
    MOST_SEEDS,
    Components,
    components,
    endless_seeds,
    power,
    round_up,
    rows_factor,
    seeds_needed,
)

SEEDS = (2, 3, 5, 8, 10, 20, 40)
_UPPER = 0.20  # the pilot's seed variance is taken at its 80 % upper bound

# without a pilot: 1 M rows of requests, AUC near .75; measured in simulation, docs/statistics.md
ASSUMED_ROWS = 1_000_000
ASSUMED_ROW_SE = 0.00034  # of a difference
ASSUMED_SEED_SD = 0.001  # of one strategy


class Line(NamedTuple):
    """The test rows that reach the power with a number of seeds a strategy; None if no number
    does."""

    seeds: int
    rows: int | None
    days: float | None


class PowerPlan(NamedTuple):
    """The rows and seeds that detect `effect` with 80 % power."""

    effect: float
    alpha: float
    rows_per_day: float | None  # of traffic, if it was given
    rows: int  # of the pilot, or assumed
    seeds: int  # of the pilot, or assumed
    row_se: float  # standard error of a difference from test rows alone, at `rows`
    seed_sd: float  # of one strategy; from a pilot, the 80 % upper bound
    basis: str  # where these come from
    power_now: float  # with the pilot's rows and seeds
    lines: tuple[Line, ...]
    seeds_alone: int | None  # for each strategy, on the present rows; None = never
    fewest_seeds: int | None  # for each strategy, with infinitely many rows; None = more than 40
    sentences: tuple[str, ...]


def plan(
    effect: float,
    pilot: JointModel | None = None,
    *,
    pilot_rows: int = ASSUMED_ROWS,
    baseline: str | None = None,
    among: tuple[str, ...] = (),
    comparisons: int = 1,
    rows_per_day: float | None = None,
    row_se: float = ASSUMED_ROW_SE,
    seed_sd: float = ASSUMED_SEED_SD,
    alpha: float = 0.05,
) -> PowerPlan:
    """Rows and seeds that detect a difference of `effect` with 80 % power.

    With a pilot: the noisiest strategy (of `among`, if given) against `baseline`, its seed variance
    at the 80 % upper bound. `comparisons` is the size of the family, each comparison getting an
    equal share of the error level; this is within .02 of the simulated critical value. Without a
    pilot, `row_se` (at `pilot_rows` rows) and `seed_sd` are assumptions, and the plan says so.

    Raises:
        ValueError: the effect is not above 0.
    """
    if not effect > 0:
        raise ValueError(f"got effect {effect}, expected a difference above 0")
    level = alpha / max(comparisons, 1)
    if pilot is None:
        parts, seeds = Components(row_se**2, 2 * seed_sd**2, 0.0, pilot_rows // 20), 3
        basis = "assumed: no pilot was given"
    else:
        parts, seeds, name = _from_pilot(pilot, baseline or pilot.names[0], among)
        basis = (
            f"pilot: {name} against {baseline or pilot.names[0]}, seed variance at its upper bound"
        )
    counts = sorted({*SEEDS, seeds})
    lines = tuple(_line(parts, effect, n, level, pilot_rows, rows_per_day) for n in counts)
    alone = seeds_needed(parts, effect, level)
    now = power(effect, parts.variance(1, seeds), parts.df(1, seeds), level)
    result = PowerPlan(
        effect=effect,
        alpha=level,
        rows_per_day=rows_per_day,
        rows=pilot_rows,
        seeds=seeds,
        row_se=float(np.sqrt(parts.rows)),
        seed_sd=float(np.sqrt((parts.seeds + parts.interaction) / 2)),
        basis=basis,
        power_now=now,
        lines=lines,
        seeds_alone=alone,
        fewest_seeds=next(
            (n for n in range(2, SEEDS[-1] + 1) if rows_factor(parts, effect, n, level)), None
        ),
        sentences=(),
    )
    return result._replace(sentences=_sentences(result, endless_seeds(parts, effect, level)))


def upper_bound(s2: float, seeds: int) -> float:
    """80 % upper bound of a variance estimated from `seeds` seeds: s2 * nu / chi2 quantile.

    >>> round(upper_bound(1.0, 3), 2)
    4.48
    """
    freedom = seeds - 1
    return s2 * freedom / float(special.chdtri(freedom, 1 - _UPPER))


def _from_pilot(
    pilot: JointModel, baseline: str, among: tuple[str, ...]
) -> tuple[Components, int, str]:
    base = pilot.index(baseline)
    usable = [
        place
        for place in range(len(pilot.names))
        if place != base
        and (not among or pilot.names[place] in among)
        and pilot.n[place] > 1
        and pilot.variance[place, base] > 0
    ]
    if pilot.n[base] < 2 or not usable or not pilot.has_intervals:
        raise ValueError(
            f"the pilot cannot tell the noise of {baseline!r} and another strategy; it needs two "
            "strategies with at least two seeds each on ten clusters of each class"
        )
    worst = max(usable, key=lambda place: float(pilot.variance[place, base]))
    spread = components(pilot, worst, base)
    net = 0.0
    for place in (worst, base):
        seeds = int(pilot.n[place])
        net += max(upper_bound(float(pilot.s2[place]), seeds) - pilot.interaction[place], 0.0)
    seeds = int(min(pilot.n[worst], pilot.n[base]))
    # K is a difference from which the interaction was subtracted, so it has that part's error, too
    slack = float(special.ndtri(1 - _UPPER)) * np.sqrt(2 / pilot.informative)
    rows = spread.rows + slack * float(pilot.trained_variance[worst, base])
    return spread._replace(seeds=net, rows=rows), seeds, pilot.names[worst]


def _line(
    parts: Components,
    effect: float,
    seeds: int,
    alpha: float,
    rows: int,
    rows_per_day: float | None,
) -> Line:
    factor = rows_factor(parts, effect, seeds, alpha)
    needed = None if factor is None else round_up(factor * rows)
    days = None if needed is None or not rows_per_day else needed / rows_per_day
    return Line(seeds, needed, days)


def _sentences(result: PowerPlan, endless: bool) -> tuple[str, ...]:
    sentences = []
    if any(line.seeds == result.seeds and line.rows is None for line in result.lines):
        sentences.append(
            f"With {result.seeds} seeds rows alone can never decide {result.effect:g}: seeds "
            "differ too much."
        )
    if result.seeds_alone is None and endless:
        sentences.append(
            f"On {result.rows:,} rows more than {MOST_SEEDS:,} seeds each would decide it: seeds "
            "differ too much."
        )
    elif result.seeds_alone is None:
        sentences.append(
            f"On {result.rows:,} rows seeds alone can never decide {result.effect:g}: rows are "
            "too few."
        )
    else:
        sentences.append(f"On {result.rows:,} rows {result.seeds_alone} seeds each decide it.")
    if result.fewest_seeds is None:
        sentences.append(
            f"No number of rows decides it with up to {SEEDS[-1]} seeds; make training less noisy "
            "or look for a larger effect."
        )
    elif result.fewest_seeds > result.seeds:
        sentences.append(
            f"However many rows, at least {result.fewest_seeds} seeds each are needed."
        )
    return tuple(sentences)
