"""Rates by simulation from the normal model: false words, planned power, calibration curves.

python tests/benchmarks/error_rates.py --draws 2000     # prints the tables of docs/statistics.md
"""

import argparse
import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fusefront.harness.statistics import joint
from fusefront.harness.statistics.auc import tie_groups
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.families import families
from fusefront.harness.statistics.measures.calibration import (
    calibration_error,
    equal_mass_bins,
    share_intervals,
)
from fusefront.harness.statistics.planner import plan
from fusefront.harness.statistics.power import Components, power
from fusefront.harness.statistics.rows import row_axis

Floats = NDArray[np.float64]
ROWS, ROW_SE, CLUSTERS = 100_000, 0.0005, 20_000  # of the pilot


class FalseWords(NamedTuple):
    """Shares of studies in which an equal strategy is called better or worse."""

    together: float  # by intervals that are right for all at once
    alone: float  # by each interval alone
    power: float  # share of the true differences that are called, all at once


class Planned(NamedTuple):
    """What the plans made from pilots would really reach."""

    power: float  # mean
    enough: float  # share of plans with 80 % or more
    plain: float  # mean, had the pilot's seed variance been taken as it is


def drawn_model(theta: Floats, seeds: int, rng: np.random.Generator) -> JointModel:
    """A comparison of strategies whose metrics are `theta`; rows and seeds err by 0.001 each."""
    size = len(theta)
    K = 0.001**2 * (0.5 + 0.5 * np.eye(size))  # the same rows: errors are half common
    runs = theta[:, None] + 0.001 * rng.standard_normal((size, seeds))
    value = runs.mean(1) + np.linalg.cholesky(K) @ rng.standard_normal(size)
    names = tuple(map(str, range(size)))
    count, none = np.full(size, seeds), np.zeros(size)
    return JointModel(names, value, runs.var(1, ddof=1), count, K, none, K, 5000, 5000)


def false_words(
    equal: int, different: int, effect: float, seeds: int, draws: int, seed: int
) -> FalseWords:
    """`equal` strategies are as good as the baseline, `different` ones better by `effect`."""
    rng = np.random.default_rng(seed)
    theta = np.r_[np.zeros(1 + equal), np.full(different, effect)]
    everyone = np.arange(len(theta)) > 0
    rates = np.zeros((draws, 3))
    for k in range(draws):
        model = drawn_model(theta, seeds, rng)
        own = families(model, "0", everyone)
        places = range(1, len(theta))
        shown = [model.simultaneous(i, 0, own.critical(model.names[i])) for i in places]
        called = np.array([pair.low > 0 or pair.high < 0 for pair in shown])
        raw = np.array([model.pair(i, 0).p < 0.05 for i in places])
        share = called[equal:].mean() if different else 0.0
        rates[k] = called[:equal].any(), raw[:equal].any(), share
    return FalseWords(*rates.mean(0).tolist())


def planned(effect: float, seed_sd: float, seeds: int, draws: int, seed: int) -> Planned:
    """Pilots of `seeds` seeds say how many seeds are needed on the present rows."""
    rng = np.random.default_rng(seed)
    true = Components(ROW_SE**2, 2 * seed_sd**2, 0.0, CLUSTERS)
    K = np.eye(2) * ROW_SE**2 / 2
    names, none, count = ("a", "b"), np.zeros(2), np.full(2, seeds)
    reached, plain = [], []
    for _ in range(draws):
        s2 = seed_sd**2 * rng.chisquare(seeds - 1, 2) / (seeds - 1)
        pilot = JointModel(names, none, s2, count, K, none, K, CLUSTERS, CLUSTERS)
        first_plan = plan(effect, pilot, pilot_rows=ROWS)
        as_seen = plan(effect, pilot_rows=ROWS, row_se=ROW_SE, seed_sd=float(np.sqrt(s2.mean())))
        for each, powers in ((first_plan, reached), (as_seen, plain)):
            n = each.seeds_alone or 1000
            powers.append(power(effect, true.variance(1, n), true.df(1, n)))
    return Planned(
        float(np.mean(reached)), float(np.mean(np.array(reached) >= 0.795)), float(np.mean(plain))
    )


def curve_coverage(per_user: int, bias: float, draws: int, seed: int, users: int = 600) -> Floats:
    """[bins] how often the interval of a calibrated model's bin holds what was predicted.

    A click happens with the predicted probability; clicks of one user are dependent. `bias` is the
    mean logit.
    """
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), per_user)
    covered = []
    for _ in range(draws):
        logit = (rng.standard_normal(len(user)) + bias).astype(np.float32)
        luck = np.sqrt(0.3) * rng.standard_normal(users)[user]
        luck += np.sqrt(0.7) * rng.standard_normal(len(user))
        label = (special.ndtr(luck) < special.expit(logit)).astype(np.uint8)
        groups = tie_groups(logit, label)
        axis = row_axis(user, label)
        curve = calibration_error(logit, groups, equal_mass_bins(groups), axis).curve
        low, high = share_intervals(curve)
        covered.append((low <= curve.predicted) & (curve.predicted <= high))
    return np.mean(np.array(covered, float), axis=0)


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    joint.DRAWS = 5000  # of each critical value: studies are many
    _line("equal", "better", "by", "seeds", "a false word", "each alone", "found")
    for equal, better, effect in ((10, 0, 0.0), (8, 2, 0.003), (8, 2, 0.006), (5, 5, 0.006)):
        for seeds in (3, 5):
            rates = false_words(equal, better, effect, seeds, options.draws, options.seed)
            _line(*map(str, (equal, better, effect, seeds)), *(f"{v:.3f}" for v in rates))
    _line("seed spread", "pilot's seeds", "power reached", "plans with 80 %", "without the bound")
    for seed_sd in (0.0003, 0.001, 0.002):
        for seeds in (3, 5):
            rates = planned(0.002, seed_sd, seeds, max(options.draws // 8, 50), options.seed)
            _line(str(seed_sd), str(seeds), *(f"{v:.3f}" for v in rates))
    _line("rows of a user", "mean logit", "worst bin", "mean", "best bin")
    for per_user, bias in ((1, -1.0), (4, -1.0), (20, -1.0), (4, -4.0), (20, -4.0)):
        bins = curve_coverage(per_user, bias, options.draws // 2, options.seed)
        _line(
            str(per_user), str(bias), *(f"{v:.3f}" for v in (bins.min(), bins.mean(), bins.max()))
        )


def _line(*cells: str) -> None:
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
