"""Coverage of a difference where users have very unequal rows; prints the table of docs.

    python tests/benchmarks/unequal_clusters.py --draws 400

Two strategies of equal quality, so the true difference is 0: their own errors, common to the rows
of a user in part, are drawn anew with users and rows. "before" counts every user as one.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import auc_influence, tie_groups
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.rows import RowTable, row_axis
from fusefront.harness.statistics.score_source import MemorySource

Floats = NDArray[np.float64]
Sizes = Callable[[np.random.Generator], NDArray[np.int64]]


class World(NamedTuple):
    """Users with so many rows each."""

    name: str
    sizes: Sizes
    df: float = 3.0  # of the users' t distributed effects; inf = normal
    bias: float = -1.3  # of the label's logit
    seeds: int = 5
    seed_sd: float = 0.05  # sd over seeds of the size of a seed's error
    items: int = 0  # items that matter; 0 = none
    item_sd: float = 0.0


def even(users: int, low: int, high: int) -> Sizes:
    """Between `low` and `high` rows each."""
    return lambda rng: rng.integers(low, high + 1, users)


def giant(users: int, *shares: float) -> Sizes:
    """10 to 80 rows each, and users that have such shares of all rows."""

    def sizes(rng: np.random.Generator) -> NDArray[np.int64]:
        small = rng.integers(10, 81, users - len(shares))
        total = small.sum() / (1 - sum(shares))
        return np.append(np.array(shares) * total, small).astype(np.int64)

    return sizes


def pareto(users: int) -> Sizes:
    """Rows with the tail of a Pareto distribution of index 1.1, cut at 3,000."""
    return lambda rng: np.minimum(10 * (1 - rng.random(users)) ** (-1 / 1.1), 3000).astype(np.int64)


def few_raters(rng: np.random.Generator) -> NDArray[np.int64]:
    """74 users as in the last tenth of a small rating log: one has a quarter of the rows."""
    small = np.exp(rng.normal(4.0, 1.1, 73)) + 2
    return np.append(small.sum() * 0.246 / 0.754, small).astype(np.int64)


WORLDS = (
    World("120 users, 5 to 200 rows", even(120, 5, 200)),
    World("same, 3 seeds", even(120, 5, 200), seeds=3),
    World("300 users of 20 rows", even(300, 20, 20)),
    World("one user 10 %", giant(150, 0.10)),
    World("three users 12 % each", giant(150, 0.12, 0.12, 0.12)),
    World("one user 30 %", giant(150, 0.30)),
    World("one user 30 %, normal effects", giant(150, 0.30), df=np.inf),
    World("one user 50 %", giant(150, 0.50)),
    World("Pareto sizes", pareto(150)),
    World("74 raters, one 24.6 %", few_raters),
    World("12 users", even(12, 100, 1000)),
    World("25 users", even(25, 40, 500)),
    World("200 users", even(200, 5, 120)),
    World("1.5 % positives", even(150, 20, 120), bias=-5.6),
    World("60 items matter", even(120, 5, 200), items=60, item_sd=0.6),
    World("60 items matter, one user 30 %", giant(150, 0.30), items=60, item_sd=0.6),
    World("one user 30 %, 1.4 % positives", giant(150, 0.30), bias=-5.0),
    World("one user 50 %, normal effects", giant(150, 0.50), df=np.inf),
    World("74 raters, normal effects", few_raters, df=np.inf),
    World("12 users, normal effects", even(12, 100, 1000), df=np.inf),
    World("12 users of 550 rows, normal effects", even(12, 550, 550), df=np.inf),
)


class Data(NamedTuple):
    """Rows and scores of all strategies and seeds."""

    rows: RowTable
    scores: NDArray[np.float32]  # [S, n, N]


def draw(world: World, rng: np.random.Generator, strategies: int = 2) -> Data:
    """Users, rows, labels, scores."""
    sizes = world.sizes(rng)
    user = np.repeat(np.arange(len(sizes)), sizes)
    count = len(user)
    item = rng.integers(0, world.items or 60, count)

    def effect() -> Floats:
        if np.isinf(world.df):
            return rng.standard_normal(len(sizes))[user]
        scale = np.sqrt(world.df / (world.df - 2))
        return (rng.standard_t(world.df, len(sizes)) / scale)[user]

    def of_item() -> Floats:
        return world.item_sd * rng.standard_normal(world.items or 60)[item]

    known = rng.standard_normal(count)
    chance = special.expit(world.bias + known + 0.7 * effect() + of_item())
    label = (rng.random(count) < chance).astype(np.uint8)
    scores = np.empty((strategies, world.seeds, count), np.float32)
    for s in range(strategies):
        own = 0.3 * rng.standard_normal(count) + 0.4 * effect() + of_item()
        for r in range(world.seeds):
            size = max(0.4 + world.seed_sd * rng.standard_normal(), 0.0)
            scores[s, r] = known + own + size * rng.standard_normal(count)
    return Data(RowTable(label, user, np.arange(count), item, np.arange(count)), scores)


def before(data: Data) -> JointModel:
    """The model that counts every user as one and sums what every row adds."""
    label = data.rows.label
    axis = row_axis(data.rows.group, label)
    names = tuple(map(str, range(len(data.scores))))
    accumulator = Accumulator.empty(names, axis.size, axis.mc)
    for name, of in zip(names, data.scores, strict=True):
        for scores in of:
            auc = auc_influence(tie_groups(scores, label))
            accumulator.add(name, auc.value, np.bincount(axis.code, auc.rows, axis.size))
    return accumulator.joint()


def models(data: Data, metric: str, *, two_way: bool) -> JointModel:
    """The model of one metric as `compare` makes it."""
    scores = {str(s): dict(enumerate(of)) for s, of in enumerate(data.scores)}
    request = PanelRequest(Layout(data.rows), "test", (metric,), two_way=two_way, workers=1)
    return collect(MemorySource(data.rows, scores), request).models[metric]


class Covered(NamedTuple):
    """Shares of draws, and what goes with them."""

    before: float  # interval of the difference with every user as one
    single: float  # by E - 1 degrees of freedom
    now: float
    two_way: float  # by user and item; nan where it was not drawn
    effective: float  # median
    width: float  # median of now over before
    two_way_width: float  # median of two-way over now


def coverage(
    world: World, draws: int, seed: int, metric: str = "auc", *, two_way: bool = False
) -> Covered:
    """How often the 95 % interval of the difference holds 0."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(draws):
        data = draw(world, rng)
        old = before(data).pair(0, 1) if metric == "auc" else None
        model = models(data, metric, two_way=False)
        new, single = model.pair(0, 1), replace(model, df_bound=0.0).pair(0, 1)
        both = models(data, metric, two_way=True).pair(0, 1) if two_way else None
        rows.append(
            (
                np.nan if old is None else old.low <= 0 <= old.high,
                single.low <= 0 <= single.high,
                new.low <= 0 <= new.high,
                np.nan if both is None else both.low <= 0 <= both.high,
                model.informative,
                np.nan if old is None else (new.high - new.low) / (old.high - old.low),
                np.nan if both is None else (both.high - both.low) / (new.high - new.low),
            )
        )
    table = np.array(rows, float)
    return Covered(*table[:, :4].mean(0), *np.median(table[:, 4:], axis=0))


def false_words(world: World, draws: int, seed: int, strategies: int = 8) -> tuple[float, float]:
    """Share of draws in which any of several equal strategies is called better or worse."""
    rng = np.random.default_rng(seed)
    wrong = np.zeros(2)
    for _ in range(draws):
        data = draw(world, rng, strategies)
        for k, model in enumerate((before(data), models(data, "auc", two_way=False))):
            t = np.abs(model.diff[1:, 0]) / model.se[1:, 0]
            wrong[k] += bool((t > model.c_base(0)).any())
    return float(wrong[0] / draws), float(wrong[1] / draws)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("difference", "metrics", "words"))
    options = parser.parse_args()
    if options.only in (None, "difference"):
        _line("world", "effective", "before", "E - 1", "now", "width", "two-way", "width")
        for world in WORLDS:
            crossed = bool(world.items)
            covered = coverage(world, options.draws, options.seed, two_way=crossed)
            _line(
                world.name,
                f"{covered.effective:.1f}",
                *(f"{v:.3f}" for v in (covered.before, covered.single, covered.now)),
                f"{covered.width:.2f}",
                f"{covered.two_way:.3f}",
                f"{covered.two_way_width:.2f}",
            )
    if options.only in (None, "metrics"):
        _line("world", "metric", "now")
        for world in (WORLDS[5], WORLDS[9]):
            for metric in ("pr_auc", "logloss", "normalised_entropy", "group_auc"):
                covered = coverage(world, options.draws, options.seed, metric)
                _line(world.name, metric, f"{covered.now:.3f}")
    if options.only in (None, "words"):
        _line("8 equal strategies", "false words before", "now")
        for world in (WORLDS[0], WORLDS[5], WORLDS[9]):
            old, new = false_words(world, options.draws, options.seed)
            _line(world.name, f"{old:.3f}", f"{new:.3f}")


def _line(*cells: str) -> None:
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
