"""Which sampler proposes the trials of a search, and why a sampler may not suit a search.

Each proposal has its own sampler with its own seed, over an Optuna study rebuilt from the records,
so that equal records give an equal proposal in any process and at any time.
"""

from collections.abc import Mapping
from importlib.util import find_spec

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from scipy.stats import qmc

from fusefront.harness.runs.files import Json
from fusefront.harness.runs.study import Sampler

STARTUP = 10  # random trials before the sampler models their values; fewer in a short search
LONGEST_GP = 100  # trials: a proposal takes a third of a second at 40 and grows with each
STATEFUL = ("cma-es", "nsga-ii")  # their state is stored in the claims, beside the parameters
LARGEST_POPULATION = 50

Distributions = Mapping[str, BaseDistribution]


def startup(trials: int) -> int:
    """How many trials of a search are random before its sampler uses their values.

    >>> startup(6), startup(20), startup(100)
    (2, 6, 10)
    """
    return min(STARTUP, max(2, trials // 3))


def population(trials: int) -> int:
    """The size of a generation of nsga-ii in trials; the first generation is random.

    >>> population(10), population(100), population(1000)
    (4, 20, 50)
    """
    return min(LARGEST_POPULATION, max(4, trials // 5))


def refusal(name: Sampler, space: Distributions, trials: int, objectives: int = 1) -> str:
    """Why the sampler does not suit a search, as a sentence; "" if it does."""
    if name == "nsga-ii" and objectives == 1:
        return "nsga-ii searches for a Pareto front; write objectives: [auc, macs], or use tpe"
    if name == "cma-es":
        return _no_cma_es(space, objectives)
    lists = [key for key, drawn in space.items() if isinstance(drawn, CategoricalDistribution)]
    if name == "qmc" and lists:
        return (
            f"qmc spreads points over ranges, and {lists[0]!r} is a list of choices; write a range,"
            " or use tpe or random"
        )
    if name == "qmc" and len(space) > qmc.Sobol.MAXDIM:
        return f"qmc knows at most {qmc.Sobol.MAXDIM} ranges, and there are {len(space)}; use tpe"
    if name == "gp" and space and trials > LONGEST_GP:
        return (
            f"gp takes seconds for each proposal beyond {LONGEST_GP} trials, and there are "
            f"{trials}; use tpe"
        )
    return ""


def _no_cma_es(space: Distributions, objectives: int) -> str:
    if objectives > 1:
        return "cma-es has one objective; use tpe, or nsga-ii for a Pareto front"
    for key, drawn in space.items():
        if not isinstance(drawn, FloatDistribution):
            what = "whole numbers" if isinstance(drawn, IntDistribution) else "a list of choices"
            return (
                f"cma-es moves a cloud through ranges of numbers, and {key!r} is {what}; write a "
                "range with a decimal point, or use tpe"
            )
    if len(space) == 1:
        return "cma-es needs two ranges or more, and there is one; use tpe"
    if find_spec("cmaes") is None:
        return "cma-es needs the package cmaes, which is not installed; install it, or use tpe"
    return ""


def make_sampler(name: Sampler, seed: int, trials: int) -> BaseSampler:
    """The Optuna sampler for one proposal; not for "qmc", whose points `quasi_random` gives."""
    if name == "nsga-ii":
        return optuna.samplers.NSGAIISampler(population_size=population(trials), seed=seed)
    if name == "cma-es":
        return optuna.samplers.CmaEsSampler(
            seed=seed, n_startup_trials=startup(trials), warn_independent_sampling=False
        )
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup(trials))
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup(trials))


def quasi_random(space: Distributions, seed: int, number: int) -> dict[str, Json]:
    """Point `number`, counted from 0, of the scrambled Sobol sequence with `seed` over the
    ranges."""
    sequence = qmc.Sobol(len(space), scramble=True, seed=seed)
    if number:  # fast_forward refuses 0
        sequence.fast_forward(number)
    (shares,) = sequence.random(1).tolist()
    return {
        key: _placed(space[key], float(share))
        for key, share in zip(sorted(space), shares, strict=True)
    }


def _placed(drawn: BaseDistribution, share: float) -> Json:
    """The value of a range at the quantile `share`, on the range's own (linear or log) scale."""
    if isinstance(drawn, IntDistribution):
        low, high = drawn.low - 0.5, drawn.high + 0.5  # each integer gets the same share
        if not drawn.log:
            return min(max(round(low + share * (high - low)), drawn.low), drawn.high)
        value = round(low * (high / low) ** share) if low > 0 else drawn.low
        return min(max(value, drawn.low), drawn.high)
    assert isinstance(drawn, FloatDistribution)
    if drawn.log:
        return drawn.low * float((drawn.high / drawn.low) ** share)
    return drawn.low + share * (drawn.high - drawn.low)
