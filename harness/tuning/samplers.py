"""Which sampler proposes the trials of a search, and why one does not fit it.

Each proposal has its own sampler with its own seed, over a study rebuilt from the records, so that
the same records give the same proposal whoever asks and however often.
"""

from collections.abc import Mapping

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

STARTUP = 10  # random trials before a sampler has anything to go by; fewer in a short search
LONGEST_GP = 100  # trials: a proposal takes a third of a second at 40, and longer with each
STATEFUL = ("cma-es", "nsga-ii")

Distributions = Mapping[str, BaseDistribution]


def startup(trials: int) -> int:
    """How many trials of a search are random before its sampler goes by their values.

    >>> startup(6), startup(20), startup(100)
    (2, 6, 10)
    """
    return min(STARTUP, max(2, trials // 3))


def refusal(name: Sampler, space: Distributions, trials: int) -> str:
    """Why the sampler does not fit a search, as a sentence; "" where it does."""
    if name in STATEFUL:
        return (
            f"{name} goes by a state of its own from one proposal to the next, which the records of"
            " a search do not hold, so that it would not survive a kill; use tpe"
        )
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


def make_sampler(name: Sampler, seed: int, trials: int) -> BaseSampler:
    """The sampler of one proposal; qmc is none, `quasi_random` gives its points."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup(trials))
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup(trials))


def quasi_random(space: Distributions, seed: int, number: int) -> dict[str, Json]:
    """Point `number`, from 0, of the scrambled Sobol sequence of `seed` over the ranges."""
    sequence = qmc.Sobol(len(space), scramble=True, seed=seed)
    if number:  # it cannot go forward by nothing
        sequence.fast_forward(number)
    (shares,) = sequence.random(1).tolist()
    return {
        key: _placed(space[key], float(share))
        for key, share in zip(sorted(space), shares, strict=True)
    }


def _placed(drawn: BaseDistribution, share: float) -> Json:
    """The value of a range below which `share` of it lies, on its own scale."""
    if isinstance(drawn, IntDistribution):
        low, high = drawn.low - 0.5, drawn.high + 0.5  # each whole number has the same width
        if not drawn.log:
            return min(max(round(low + share * (high - low)), drawn.low), drawn.high)
        value = round(low * (high / low) ** share) if low > 0 else drawn.low
        return min(max(value, drawn.low), drawn.high)
    assert isinstance(drawn, FloatDistribution)
    if drawn.log:
        return drawn.low * float((drawn.high / drawn.low) ** share)
    return drawn.low + share * (drawn.high - drawn.low)
