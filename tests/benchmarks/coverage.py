"""Coverage of the intervals by simulation: rows, users, items, seeds; prints the tables of docs.

python tests/benchmarks/coverage.py --draws 1000            # the main table
python tests/benchmarks/coverage.py --draws 500 --only metrics
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import auc_influence, tie_groups
from fusefront.harness.statistics.judging.estimates import alone, ends
from fusefront.harness.statistics.measures.metrics import METRICS, Layout, measure
from fusefront.harness.statistics.paired import pooled_correlation
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.rows import RowTable, row_axis
from fusefront.harness.statistics.score_source import MemorySource

Floats = NDArray[np.float64]
SEEDS = (3, 5, 10)


class World(NamedTuple):
    """Clicks of users on items, and strategies whose scores err per strategy and per seed."""

    name: str
    users: int
    per_user: int  # rows of a user
    request: int  # rows of a request
    bias: float  # of the label's logit: sets the share of positives
    user_sd: float  # of the label's logit over users: unseen by the scores
    own: float  # sd of a strategy's own error per row, the same with every seed
    own_user: float  # share of that error's variance that is common to a user's rows
    seed_rows: float  # sd of a seed's error per row
    quality: Sequence[float]  # sd over seeds of the error's size, one a strategy: moves its AUC
    common: float = 0.0  # correlation over strategies of a seed's effect
    items: int = 0  # 0 = items do not matter
    item_sd: float = 0.0  # of the label's logit over items
    own_item: float = 0.0  # share of a strategy's own error that is common to an item's rows


class Draw(NamedTuple):
    """One data set and all scores on it."""

    rows: RowTable
    scores: NDArray[np.float32]  # [S, n, N]


WORLDS = (
    World("4-row requests, rows dominate", 2000, 4, 4, -1.3, 0.7, 0.5, 0.6, 0.3, (0.03, 0.03)),
    World("no seed effect", 2000, 4, 4, -1.3, 0.7, 0.5, 0.6, 0.3, (0.0, 0.0)),
    World("balanced", 2000, 4, 4, -1.3, 0.7, 0.5, 0.6, 0.3, (0.09, 0.09)),
    World("seeds dominate", 2000, 4, 4, -1.3, 0.7, 0.1, 0.6, 0.1, (0.15, 0.15)),
    World("50-row users, 25 % positive", 200, 50, 4, -1.3, 0.7, 0.5, 0.6, 0.3, (0.05, 0.05)),
    World("50-row users, 1 % positive", 200, 50, 4, -5.1, 0.7, 0.5, 0.6, 0.3, (0.1, 0.1)),
    World("seed spreads 1 : 5.5", 2000, 4, 4, -1.3, 0.7, 0.1, 0.6, 0.1, (0.027, 0.15)),
)
LONG = WORLDS[4]._replace(name="50-row users, requests of 25", request=25)  # recall at 10 is no 1
CROSSED = World(
    "users x items", 200, 50, 4, -1.3, 0.5, 0.5, 0.2, 0.3, (0.05, 0.05), 0.0, 100, 0.7, 0.4
)


def draw(
    world: World,
    rng: np.random.Generator,
    seeds: int,
    *,
    signal: Sequence[float] = (),
    effects: Floats | None = None,
) -> Draw:
    """A data set of the world with `seeds` score vectors of every strategy.

    `signal` multiplies the informative part of each strategy's scores, 1 = all equal; `effects`
    [S, n] replaces the normal seed effects.
    """
    count = world.users * world.per_user
    user = np.repeat(np.arange(world.users), world.per_user)
    item = rng.integers(0, max(world.items, 1), count)
    known = rng.standard_normal(count)
    hidden = world.user_sd * rng.standard_normal(world.users)[user]
    hidden += world.item_sd * rng.standard_normal(max(world.items, 1))[item]
    label = (rng.random(count) < special.expit(world.bias + known + hidden)).astype(np.uint8)
    strategies = len(world.quality)
    if effects is None:
        effects = np.sqrt(1 - world.common) * rng.standard_normal((strategies, seeds))
        effects += np.sqrt(world.common) * rng.standard_normal(seeds)
    scores = np.empty((strategies, seeds, count), np.float32)
    parts = np.sqrt([1 - world.own_user - world.own_item, world.own_user, world.own_item])
    for s, spread in enumerate(world.quality):
        own = parts[0] * rng.standard_normal(count)
        own += parts[1] * rng.standard_normal(world.users)[user]
        own += parts[2] * rng.standard_normal(max(world.items, 1))[item]
        fixed = world.bias + (signal[s] if len(signal) else 1.0) * known + world.own * own
        for r in range(seeds):
            size = np.hypot(max(0.6 + spread * effects[s, r], 0.0), world.seed_rows)
            scores[s, r] = fixed + size * rng.standard_normal(count)
    request = np.arange(count) // world.request
    return Draw(RowTable(label, user, request, item, np.arange(count)), scores)


def truth(
    world: World,
    metrics: tuple[str, ...] = ("auc",),
    rows: int = 1_000_000,
    signal: Sequence[float] = (),
) -> Floats:
    """[metrics, S] expectations over seeds and users: quadrature over seeds, a large population."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    weights = weights / weights.sum()
    large = world._replace(users=rows // world.per_user, items=world.items * 50)
    means = np.zeros((len(metrics), len(world.quality)))
    for s, spread in enumerate(world.quality):
        for node, weight in zip(nodes, weights, strict=True):
            if spread == 0 and node != nodes[len(nodes) // 2]:
                continue
            single = large._replace(quality=(spread,))
            rng = np.random.default_rng(99)  # common numbers: differences are exact
            data = draw(single, rng, 1, signal=signal[s : s + 1], effects=np.array([[node]]))
            values = measure(Layout(data.rows), data.scores[0, 0], metrics).values
            means[:, s] += (weight if spread else 1.0) * np.array(
                [values[name].value for name in metrics]
            )
    return means


class Methods(NamedTuple):
    """Whether each method's 95 % interval held the true difference of strategies 0 and 1."""

    rows_independent: bool  # DeLong: rows independent, seeds fixed
    clusters: bool  # clusters of rows, seeds fixed
    seeds_only: bool  # t interval over seeds
    ours: bool
    paired: bool  # ours, with the correlation of paired seeds taken off
    alone: bool  # the first strategy's own AUC


def difference_coverage(world: World, draws: int, seed: int) -> dict[int, Floats]:
    """Share of draws in which each of Methods covers, by number of seeds: {n: [methods]}."""
    rng = np.random.default_rng(seed)
    expected = truth(world)[0]
    covered: dict[int, list[Methods]] = {n: [] for n in SEEDS}
    for _ in range(draws):
        data = draw(world, rng, max(SEEDS))
        for n, row in _covered(data, expected).items():
            covered[n].append(row)
    return {n: np.mean(np.array(rows, float), axis=0) for n, rows in covered.items()}


def _covered(data: Draw, expected: Floats) -> dict[int, Methods]:
    label, axis = data.rows.label, row_axis(data.rows.group, data.rows.label)
    strategies, seeds = data.scores.shape[:2]
    aucs = [[auc_influence(tie_groups(v, label)) for v in of] for of in data.scores]
    sums = [[np.bincount(axis.code, auc.rows, axis.size) for auc in of] for of in aucs]
    rows = [np.cumsum([auc.rows for auc in of], axis=0) for of in aucs]
    expected_difference = expected[0] - expected[1]
    covered = {}
    for n in [n for n in SEEDS if n <= seeds]:
        names = tuple(map(str, range(strategies)))
        accumulator = Accumulator.empty(names, axis.size, axis.mc)
        for s in range(strategies):
            for r in range(n):
                accumulator.add(names[s], aucs[s][r].value, sums[s][r])
        model = accumulator.joint()
        independent = float(((rows[0][n - 1] - rows[1][n - 1]) ** 2).sum()) / n**2
        gap = abs(model.diff[0, 1] - expected_difference)
        over_seeds = np.sqrt((model.s2[:2] / n).sum())
        pair = model.pair(0, 1)
        values = np.array([[aucs[s][r].value for r in range(n)] for s in range(strategies)])
        paired = replace(model, rho=pooled_correlation(values)).pair(0, 1)
        logit_ends = ends(model, 0, "logit")
        covered[n] = Methods(
            gap <= 1.96 * np.sqrt(independent),
            gap <= 1.96 * np.sqrt(model.trained_variance[0, 1]),
            gap <= special.stdtrit(2 * n - 2, 0.975) * over_seeds,
            pair.low <= expected_difference <= pair.high,
            paired.low <= expected_difference <= paired.high,
            logit_ends[0] <= expected[0] <= logit_ends[1],
        )
    return covered


def metric_coverage(
    world: World, draws: int, seed: int, seeds: int, *, two_way: bool = False
) -> dict[str, tuple[float, float]]:
    """For every metric the coverage of one strategy's interval and of a difference's.

    0 where there is no interval: of recall at 10 with requests of four rows, which is always 1.
    """
    names = ("auc",) if two_way else tuple(METRICS)
    expected = truth(world, names)
    rng = np.random.default_rng(seed)
    covered = np.zeros((len(names), 2))
    for _ in range(draws):
        data = draw(world, rng, seeds)
        scores = {str(s): dict(enumerate(of)) for s, of in enumerate(data.scores)}
        request = PanelRequest(Layout(data.rows), "test", names, two_way=two_way, workers=1)
        panel = collect(MemorySource(data.rows, scores), request)
        for k, name in enumerate(names):
            printed = alone(panel, name, "0")  # nan ends where none is given: never covered
            covered[k, 0] += printed.low <= expected[k, 0] <= printed.high
            pair = panel.models[name].pair(0, 1)
            covered[k, 1] += pair.low <= expected[k, 0] - expected[k, 1] <= pair.high
    return {name: (covered[k, 0] / draws, covered[k, 1] / draws) for k, name in enumerate(names)}


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("difference", "metrics", "two-way"))
    options = parser.parse_args()
    error = np.sqrt(0.95 * 0.05 / options.draws)
    sys.stdout.write(f"{options.draws} draws a cell, Monte Carlo error {error:.3f}\n")
    if options.only in (None, "difference"):
        _print_difference(options.draws, options.seed)
    if options.only in (None, "metrics"):
        _print_metrics(options.draws, options.seed)
    if options.only in (None, "two-way"):
        _print_two_way(options.draws, options.seed)


def _line(*cells: str) -> None:
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


def _print_difference(draws: int, seed: int) -> None:
    _line("world (seeds 3/5/10)", *Methods._fields)
    for world in WORLDS:
        coverage = difference_coverage(world, draws, seed)
        columns = zip(*coverage.values(), strict=True)
        _line(world.name, *("/".join(f"{v:.3f}"[1:] for v in c) for c in columns))


def _print_metrics(draws: int, seed: int) -> None:
    for world in (WORLDS[2], WORLDS[4], WORLDS[5], LONG):
        for seeds in (3, 5):
            coverage = metric_coverage(world, draws, seed, seeds)
            for name, (single, gap) in coverage.items():
                _line(world.name, str(seeds), name, f"{single:.3f}", f"{gap:.3f}")


def _print_two_way(draws: int, seed: int) -> None:
    for items in (50, 200):
        world = CROSSED._replace(items=items)
        for two_way in (False, True):
            single, gap = metric_coverage(world, draws, seed, 3, two_way=two_way)["auc"]
            what = "user and item" if two_way else "user"
            _line(f"200 users x {items} items", what, f"{single:.3f}", f"{gap:.3f}")


if __name__ == "__main__":
    main()
