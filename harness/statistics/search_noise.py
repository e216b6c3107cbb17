"""The noise of the search itself: the variance of a tuned strategy's metric over repeated searches.

An exact bootstrap over the recorded trials; docs/statistics.md has the formulas and their coverage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fusefront.harness.statistics.joint import Floats, JointModel

FEWEST_TRIALS = 5  # completed trials; with fewer there is no interval over searches
USEFUL_TRIALS = 20
FACTOR = 1.5  # measured on searches that draw at random, whatever their length
# for samplers that learn from trials (ours do after a third of them); measured from 5 to 40 trials
GUIDED, GUIDED_FROM, GUIDED_POWER = 1.25, 10, 2 / 3
OWN_DF, POOLED_DF = 2.0, 4.0
POOLED_FROM = 4  # searched strategies with enough trials
ALIKE = 2.0  # largest ratio of the trials of strategies whose variances are pooled

Trials = Mapping[str, Sequence[float]]  # strategy -> validation metric of each completed trial


class SearchNoise(NamedTuple):
    """The variance over searches of each searched strategy's expected metric, with one df for
    all."""

    variance: Mapping[str, float]
    df: float
    source: str  # trials | tuning runs


def best_chances(count: int, drawn: float) -> Floats:
    """[count] the chance that each of `count` values, best first, is the best of `drawn` draws.

    Draws are with replacement.

    >>> best_chances(2, 2).tolist()
    [0.75, 0.25]
    """
    left = np.arange(count, -1, -1) / count
    chances: Floats = left[:-1] ** drawn - left[1:] ** drawn
    return chances


def factor(trials: int, *, guided: bool) -> float:
    """The factor on the variance over resamples.

    Trials that a sampler placed where earlier ones were good resemble each other, so that resamples
    of them vary less than repeated searches would. The factor is therefore larger for `guided`
    searches, and grows with their length.

    >>> [round(factor(n, guided=True), 2) for n in (5, 10, 20, 40)], factor(40, guided=False)
    ([1.88, 1.88, 2.98, 4.72], 1.5)
    """
    if not guided:
        return FACTOR
    return float(FACTOR * GUIDED * max(1.0, trials / GUIDED_FROM) ** GUIDED_POWER)


def search_variance(values: Sequence[float], *, guided: bool = False) -> float:
    """The variance of the winner's value over resamples of the trials, times a measured factor.

    nan with fewer than two trials. From five trials on, values below the median are set to the
    median, so that trials that diverged do not matter.
    """
    ranked = _ranked(values)
    if len(ranked) < 2:
        return float("nan")
    chances = best_chances(len(ranked), len(ranked))
    mean = float(chances @ ranked)
    return factor(len(ranked), guided=guided) * float(chances @ (ranked - mean) ** 2)


def doubling_gain(values: Sequence[float]) -> float:
    """A rough estimate of the gain from twice as many trials: the gain of the second half of these.

    nan with fewer than two trials.
    """
    ranked = _ranked(values)
    count = len(ranked)
    if count < 2:
        return float("nan")
    gain = best_chances(count, count) - best_chances(count, count / 2)
    return float(gain @ ranked)


def noise_of_trials(trials: Trials, *, guided: bool = False) -> SearchNoise | None:
    """The noise of the searches with at least five completed trials; None if there is none.

    With four or more searches of similar length, each variance is averaged with the mean of all,
    which steadies it; with fewer, it stays as estimated. `guided`: the sampler learned from earlier
    trials.
    """
    enough = {name: values for name, values in trials.items() if len(values) >= FEWEST_TRIALS}
    if not enough:
        return None
    own = {name: search_variance(values, guided=guided) for name, values in enough.items()}
    counts = [len(values) for values in enough.values()]
    if len(own) < POOLED_FROM or max(counts) > ALIKE * min(counts):
        return SearchNoise(own, OWN_DF, "trials")
    mean = sum(own.values()) / len(own)
    pooled = {name: (variance + mean) / 2 for name, variance in own.items()}
    return SearchNoise(pooled, POOLED_DF, "trials")


def noise_of_tunings(model: JointModel, tuned: Mapping[str, Sequence[float]]) -> SearchNoise | None:
    """The noise over whole searches with other tuning seeds, pooled over strategies.

    `tuned` holds the mean metric after each search; None if a strategy has fewer than two.
    """
    known = [name for name in model.names if name in tuned]
    if not known or any(len(tuned[name]) < 2 for name in known):
        return None
    seeds = np.nan_to_num(model.seed_part)
    excess = [
        float(np.var(tuned[name], ddof=1)) - float(seeds[model.index(name)]) for name in known
    ]
    variance = max(sum(excess) / len(excess), 0.0)
    df = sum(len(tuned[name]) - 1 for name in known)
    return SearchNoise(dict.fromkeys(known, variance), float(df), "tuning runs")


def over_searches(model: JointModel, names: Sequence[str], noise: SearchNoise) -> JointModel:
    """The model of the strategies `names`, with intervals that also cover repeated searches.

    Strategies that the noise does not list were not searched, so that their variance over searches
    is 0.
    """
    places = [model.index(name) for name in names]
    square = np.ix_(places, places)
    return replace(
        model,
        names=tuple(names),
        theta=model.theta[places],
        s2=model.s2[places],
        n=model.n[places],
        K=model.K[square],
        interaction=model.interaction[places],
        floor=model.floor[square],
        search=np.array([noise.variance.get(name, 0.0) for name in names]),
        search_df=noise.df,
    )


def _ranked(values: Sequence[float]) -> Floats:
    """The values, largest first; those below the median are set to it."""
    ranked = np.sort(np.asarray(values, np.float64))[::-1]
    if len(ranked) >= FEWEST_TRIALS:
        ranked = np.maximum(ranked, np.median(ranked))
    return ranked
