"""How often the interval with the noise of the searches holds the truth, and what finalists bring.

    python tests/benchmarks/search_noise.py [--searches 60] [--draws 2000] [--errors 3 5 10]

Strategies are response surfaces of six hyper-parameters, AUC in units of 1e-4: random draws spread
by 50, a training's seed moves the value by 7, the rows of validation by 3 for each configuration.
Trial 0 is the defaults. The truth is the mean, over many searches, of the expected AUC of what
the search picks. Searches differ in their own seed alone.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.search_noise import (
    doubling_gain,
    noise_of_trials,
    over_searches,
    search_variance,
)

Floats = NDArray[np.float64]
DIMENSIONS, SPREAD, SEED_SD, ROW_SD = 6, 50.0, 7.0, 3.0
BUDGETS = (5, 10, 20, 40)
ERRORS = (3.0, 5.0, 10.0)  # of rows and seeds together, of one difference
UNEQUAL = ((20, 5), (40, 10), (20, 10))


class Surface(NamedTuple):
    """Expected AUC over the unit cube, standardised to the spread of random draws."""

    kind: str
    centre: Floats
    weight: Floats
    phase: Floats
    shift: float = 0.0
    scale: float = 1.0

    def raw(self, points: Floats) -> Floats:
        """[N] values of [N, D] points, before they are standardised."""
        away = points - self.centre
        distance = (self.weight * away**2).sum(-1)
        if self.kind == "plateau":
            return -np.maximum(np.sqrt(distance) - 0.25, 0.0)
        if self.kind == "rugged":
            waves = np.sin(14 * points + self.phase) * np.sqrt(self.weight)
            return -distance + 0.12 * waves.sum(-1)
        return -distance

    def __call__(self, points: Floats) -> Floats:
        return (self.raw(points) - self.shift) / self.scale


class Search(NamedTuple):
    """The trials that a search saw, and the truth of what it picked."""

    observed: tuple[float, ...]
    true: tuple[float, ...]

    @property
    def picked(self) -> float:
        return self.true[int(np.argmax(self.observed))]


def surface(kind: str, seed: int) -> Surface:
    """One of the family; its importance is uneven over the hyper-parameters."""
    rng = np.random.default_rng(seed)
    weight = rng.dirichlet(np.full(DIMENSIONS, 0.8)) * DIMENSIONS
    bare = Surface(kind, rng.uniform(0.2, 0.8, DIMENSIONS), weight, rng.uniform(0, 6, DIMENSIONS))
    values = bare.raw(rng.random((4000, DIMENSIONS)))
    return bare._replace(shift=float(values.max()), scale=float(values.std() / SPREAD))


def defaults(of: Surface) -> Floats:
    """A point that somebody thought reasonable: better than two thirds of random ones."""
    points = np.random.default_rng(7).random((300, DIMENSIONS))
    return points[np.argsort(of(points))[200]]


def _observed(rng: np.random.Generator, true: Floats) -> Floats:
    noise = np.hypot(SEED_SD, ROW_SD)
    return true + noise * rng.standard_normal(true.shape)


def random_search(of: Surface, trials: int, seed: int) -> Search:
    """Trial 0 at the defaults, the others anywhere."""
    rng = np.random.default_rng(seed)
    points = rng.random((trials, DIMENSIONS))
    points[0] = defaults(of)
    true = of(points)
    return Search(tuple(_observed(rng, true).tolist()), tuple(true.tolist()))


def tpe_search(of: Surface, trials: int, seed: int) -> Search:
    """As the program searches: TPE, a third of the trials drawn at random first."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(seed)
    startup = min(10, max(2, trials // 3))
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    names = {f"x{k}": optuna.distributions.FloatDistribution(0, 1) for k in range(DIMENSIONS)}
    true = [float(of(defaults(of)))]
    observed = [float(_observed(rng, np.array(true))[0])]
    for _ in range(1, trials):
        trial = study.ask(names)
        true.append(float(of(np.array([trial.params[name] for name in names]))))
        observed.append(float(_observed(rng, np.array(true[-1:]))[0]))
        study.tell(trial, observed[-1])
    return Search(tuple(observed), tuple(true))


Searcher = Callable[[Surface, int, int], Search]
SEARCHERS: dict[str, Searcher] = {"random": random_search, "TPE": tpe_search}


def pools(searcher: Searcher, trials: int, surfaces: int, searches: int) -> list[list[Search]]:
    """Many searches of each surface, kinds in turn."""
    kinds = ("quadratic", "plateau", "rugged")
    return [
        [searcher(surface(kinds[s % 3], s), trials, 1000 * s + k) for k in range(searches)]
        for s in range(surfaces)
    ]


def _model(values: Sequence[float], error: float) -> JointModel:
    """Strategies whose difference has the options error of rows and seeds."""
    size = len(values)
    return JointModel(
        tuple(f"s{i}" for i in range(size)),
        np.array(values),
        np.zeros(size),
        np.full(size, 5),
        np.eye(size) * error**2 / 2,
        np.zeros(size),
        np.zeros((size, size)),
        100_000,
        100_000,
    )


class Cell(NamedTuple):
    """Shares of draws in which the interval covered the truth, and its mean half width."""

    without: float
    covered: float
    half: float


def coverage(
    left: list[list[Search]],
    right: list[list[Search]],
    error: float,
    draws: int,
    seed: int = 0,
    *,
    guided: bool = False,
) -> Cell:
    """(tuned a) - (tuned b), each of another surface, over searches, rows and seeds."""
    rng = np.random.default_rng(seed)
    means = [[float(np.mean([s.picked for s in pool])) for pool in side] for side in (left, right)]
    bare, covered, half = [], [], []
    for _ in range(draws):
        a, b = rng.choice(len(left), 2, replace=False)
        first, second = (side[p][rng.integers(len(side[p]))] for side, p in ((left, a), (right, b)))
        truth = means[0][a] - means[1][b]
        values = [s.picked + error / np.sqrt(2) * rng.standard_normal() for s in (first, second)]
        model = _model(values, error)
        noise = noise_of_trials({"s0": first.observed, "s1": second.observed}, guided=guided)
        assert noise is not None
        pair = over_searches(model, model.names, noise).pair(0, 1)
        narrow = model.pair(0, 1)
        bare.append(narrow.low <= truth <= narrow.high)
        covered.append(pair.low <= truth <= pair.high)
        half.append((pair.high - pair.low) / 2)
    return Cell(float(np.mean(bare)), float(np.mean(covered)), float(np.mean(half)))


def simultaneous(
    pool: list[list[Search]], error: float, draws: int, seed: int = 0, *, guided: bool = False
) -> Cell:
    """All pairs with the first strategy at once, by c_base: the share in which every one holds."""
    rng = np.random.default_rng(seed)
    means = np.array([np.mean([s.picked for s in searches]) for searches in pool])
    bare, covered, half = [], [], []
    for _ in range(draws):
        drawn = [searches[rng.integers(len(searches))] for searches in pool]
        noise_of_rows = error / np.sqrt(2) * rng.standard_normal(len(pool))
        model = _model([s.picked + e for s, e in zip(drawn, noise_of_rows, strict=True)], error)
        noise = noise_of_trials({f"s{i}": s.observed for i, s in enumerate(drawn)}, guided=guided)
        assert noise is not None
        wide = over_searches(model, model.names, noise)
        truth = means - means[0]
        for of, weighed in ((model, bare), (wide, covered)):
            reach = of.c_base(0) * of.se[:, 0]
            weighed.append(bool((np.abs(of.diff[:, 0] - truth) <= reach + 1e-9).all()))
        half.append(float((wide.c_base(0) * wide.se[1:, 0]).mean()))
    return Cell(float(np.mean(bare)), float(np.mean(covered)), float(np.mean(half)))


class Choice(NamedTuple):
    """True AUC of what is picked, and the optimism of the value that picked it."""

    plain: float
    finalists: float  # 3 finalists, 2 new seeds each, on top of the search
    longer: float  # the same 6 trainings as more trials
    bias_plain: float
    bias_finalists: float


def finalists(kind: str, trials: int, seed_sd: float, draws: int, seed: int = 0) -> Choice:
    """Random searches: what 3 x 2 more trainings bring, as finalists and as more trials."""
    of = surface(kind, 1)
    rng = np.random.default_rng(seed)
    true = of(rng.random((draws, trials + 6, DIMENSIONS)))
    rows = ROW_SD * rng.standard_normal(true.shape)
    observed = true + rows + seed_sd * rng.standard_normal(true.shape)
    line = np.arange(draws)
    short = np.argsort(-observed[:, :trials], 1)
    first, longer = short[:, 0], np.argmax(observed, 1)
    best = short[:, :3]
    again = seed_sd * rng.standard_normal((draws, 3, 2)).sum(2)
    weighed = (observed[line[:, None], best] + 2 * (true + rows)[line[:, None], best] + again) / 3
    chosen = best[line, np.argmax(weighed, 1)]
    return Choice(
        float(true[line, first].mean()),
        float(true[line, chosen].mean()),
        float(true[line, longer].mean()),
        float((observed[line, first] - true[line, first]).mean()),
        float((weighed.max(1) - true[line, chosen]).mean()),
    )


def _print_pairs(searches: int, draws: int, errors: Sequence[float]) -> None:
    heads = "  ".join(f"error {error:.0f}: without / with (half)" for error in errors)
    _line(f"search  trials  sd true  estimated/true variance  doubling  {heads}")
    for name, searcher in SEARCHERS.items():
        guided = searcher is tpe_search
        by_budget: dict[int, list[list[Search]]] = {}
        for trials in BUDGETS:
            pool = by_budget[trials] = pools(searcher, trials, 9, searches)
            spreads = [np.var([s.picked for s in some], ddof=1) for some in pool]
            guesses = [
                np.mean([search_variance(s.observed, guided=guided) for s in some]) for some in pool
            ]
            gain = statistics.fmean(doubling_gain(s.observed) for some in pool for s in some)
            shown = _cells(coverage(pool, pool, error, draws, guided=guided) for error in errors)
            _line(
                f"{name:7} {trials:6} {np.sqrt(np.mean(spreads)):8.1f} "
                f"{np.mean(guesses) / np.mean(spreads):24.2f} {gain:9.1f}  {shown}"
            )
        for a, b in UNEQUAL:
            sides = by_budget[a], by_budget[b]
            shown = _cells(coverage(*sides, error, draws, guided=guided) for error in errors)
            _line(f"{name:7} {f'{a}:{b}':>6} {'':44}{shown}")
        for trials in BUDGETS:
            every = by_budget[trials][:8]
            cell = simultaneous(every, errors[0], max(draws // 10, 50), guided=guided)
            _line(f"{name:7} {trials:6} all 7 pairs with one at once: {_cells([cell])}")


def _cells(cells: Iterable[Cell]) -> str:
    return "  ".join(f"{c.without:.3f} / {c.covered:.3f} ({c.half:.0f})" for c in cells)


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _print_finalists(draws: int) -> None:
    sys.stdout.write(
        "\nfinalists  trials  seed sd   gain of 3 x 2 seeds   gain of 6 more trials   bias  with\n"
    )
    for kind in ("quadratic", "plateau", "rugged"):
        for trials in (5, 10, 20):
            for seed_sd in (5.0, 10.0, 20.0):
                choice = finalists(kind, trials, seed_sd, draws)
                sys.stdout.write(
                    f"{kind:10} {trials:6} {seed_sd:8.0f} {choice.finalists - choice.plain:21.2f} "
                    f"{choice.longer - choice.plain:23.2f} {choice.bias_plain:6.1f} "
                    f"{choice.bias_finalists:5.1f}\n"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=60)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--errors", type=float, nargs="+", default=list(ERRORS))
    options = parser.parse_args()
    _print_finalists(10 * options.draws)
    _print_pairs(options.searches, options.draws, options.errors)
