"""Verdicts on ways of fusing: their intervals also cover the noise of the search, beside rows and
seeds."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging import verdicts
from fusefront.harness.statistics.judging.estimates import TRAINED_ONLY, lacking
from fusefront.harness.statistics.judging.table import decided_in_words
from fusefront.harness.statistics.largest_t import Family
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import Panel
from fusefront.harness.statistics.result_rows import Estimate, SearchRow, SearchVerdicts
from fusefront.harness.statistics.score_source import ScoreSource
from fusefront.harness.statistics.search_noise import (
    FEWEST_TRIALS,
    USEFUL_TRIALS,
    SearchNoise,
    doubling_gain,
    noise_of_trials,
    noise_of_tunings,
    over_searches,
    search_variance,
)

UNSEARCHED = "Hyper-parameters are as given: no statement about another choice of them."
MEANING = (
    "On ways of fusing, another search included: intervals over rows, seeds and searches, right for"
    " all of them at once. The verdicts on the configurations trained stand in the first table."
)


class _Ways(NamedTuple):
    """The ways of fusing that can be judged, and their comparisons with the baseline's."""

    model: JointModel  # variance over searches included
    family: Family  # whose intervals hold together


class _Judge(NamedTuple):
    """The material for the rows."""

    options: Options
    panel: Panel
    trials: Mapping[str, int]  # completed, of the searched strategies
    noise: SearchNoise | None
    ways: _Ways | None


def search_verdicts(source: ScoreSource, options: Options, panel: Panel) -> SearchVerdicts | None:
    """Whether each way of fusing would be better than the baseline's if all searches were repeated.

    None if nothing is known of the searches, or if the metric is not the one they optimised.
    """
    if options.trials is None or options.metric != "auc":
        return None
    names = [
        name
        for name in panel.models[options.metric].names
        if name == options.baseline or source.role(name) == "strategy"
    ]
    values = {name: options.trials[name] for name in names if name in options.trials}
    if not values:
        return SearchVerdicts((), np.nan, np.nan, (), "", (UNSEARCHED,))
    joint = panel.models[options.metric]
    tunings = {name: means for name, means in options.tuned.items() if name in values}
    noise = noise_of_tunings(joint, tunings) or noise_of_trials(values, guided=options.guided)
    known = [n for n in names if n not in values or (noise and n in noise.variance)]
    ways = None
    if noise and options.baseline in known:
        ways = _ways(over_searches(joint, known, noise), options.baseline)
    judge = _Judge(options, panel, {n: len(v) for n, v in values.items()}, noise, ways)
    gains = {name: doubling_gain(some) for name, some in values.items()}
    rows = tuple(_row(judge, name, gains.get(name, np.nan)) for name in names)
    return SearchVerdicts(
        rows,
        noise.df if noise else np.nan,
        ways.family.critical(ways.model.level) if ways else np.nan,
        _best(judge),
        noise.source if noise else "",
        (*_lacking_trials(judge, values), *_unfinished(options, gains), *_unequal(judge)),
    )


def _ways(model: JointModel, baseline: str) -> _Ways:
    every = np.ones(len(model.names), bool)
    return _Ways(model, model.family(model.index(baseline), every))


def _p(judge: _Judge, name: str) -> float:
    """The chance of a larger |t| for any of them if nothing differs; nan where no verdict is
    possible."""
    ways, base = judge.ways, judge.options.baseline
    if ways is None or name not in ways.model.names:
        return float("nan")
    model, family = ways
    pair = model.pair(model.index(name), model.index(base))
    if judge.panel.identical(name, base) or np.isnan(pair.p):
        return float("nan")
    return max(family.exceeded(pair.difference / pair.se), pair.p)


def _row(judge: _Judge, name: str, gain: float) -> SearchRow:
    base, ways, noise = judge.options.baseline, judge.ways, judge.noise
    trials = judge.trials.get(name, 0)
    variance = noise.variance.get(name, np.nan) if noise else np.nan
    p = _p(judge, name)
    row = SearchRow(
        name, trials, float(np.sqrt(variance)), gain, Estimate(np.nan), p, np.nan, "baseline", ""
    )
    if name == base:
        return row
    joint = judge.panel.models[judge.options.metric]
    value = float(joint.diff[joint.index(name), joint.index(base)])
    if ways is None or np.isnan(p):
        reason = _why_none(judge, name, value)
        return row._replace(
            difference=Estimate(value, note=reason), verdict="no verdict", reason=reason
        )
    model, family = ways
    i, j = model.index(name), model.index(base)
    pair = model.simultaneous(i, j, family.critical(model.level))
    word = verdicts.read(pair.low, pair.high, judge.options.margin, higher=judge.options.higher)
    share = float((model.search_part[i] + model.search_part[j]) / model.variance[i, j])
    return row._replace(
        difference=Estimate(value, pair.low, pair.high),
        share=share,
        verdict=word,
        reason=_reason(judge, word, pair.difference, p, share),
    )


def _reason(judge: _Judge, word: str, difference: float, p: float, share: float) -> str:
    if word == "equivalent":
        return f"equivalent within ±{judge.options.margin:g}, another search included"
    if word in verdicts.DECIDED:
        return decided_in_words(word, abs(difference), judge.options.margin, p)
    more = "; more trials would narrow it most" if share > 0.5 else ""
    return f"{word}: the search makes {share:.0%} of the variance{more}"


def _why_none(judge: _Judge, name: str, difference: float) -> str:
    base, panel = judge.options.baseline, judge.panel
    joint = panel.models[judge.options.metric]
    few = [
        f"{judge.trials[who]} completed trials of {who!r}"
        for who in (name, base)
        if who in judge.trials and (not judge.noise or who not in judge.noise.variance)
    ]
    if few:
        return (
            f"{' and '.join(few)}, {FEWEST_TRIALS} are needed: the difference of "
            f"{difference:+.4f} says which configuration is better, not which way of fusing"
        )
    if panel.identical(name, base):
        return f"identical predictions to {base!r}, seed by seed"
    for who in (name, base):
        if joint.n[joint.index(who)] < 2:
            return f"{who!r} has one seed: {TRAINED_ONLY}"
    return lacking(joint) or "the difference varies with nothing"


def _best(judge: _Judge) -> tuple[str, ...]:
    """The ways of fusing that none is shown to beat, of those that can be judged; () if nothing can
    be said."""
    if judge.ways is None or not judge.options.ranked or not judge.ways.model.has_intervals:
        return ()
    model = judge.ways.model
    if len(model.names) < 2 or bool((model.n < 2).any()):
        return ()
    best = verdicts.ranks(model, higher=judge.options.higher).in_best_set
    return tuple(model.names[at] for at in np.flatnonzero(best))


def _lacking_trials(judge: _Judge, values: Mapping[str, object]) -> list[str]:
    counts = {
        name: count
        for name, count in judge.trials.items()
        if not judge.noise or name not in judge.noise.variance
    }
    if not counts:
        return [MEANING]
    trials = judge.options.trials or {}
    spreads = [search_variance(trials[name], guided=judge.options.guided) for name in counts]
    known = [spread for spread in spreads if not np.isnan(spread)]
    fewest, most = min(counts.values()), max(counts.values())
    each = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    moved = (
        f"the search alone moves the AUC by about ±{np.sqrt(np.mean(known)):.4f} (sd)"
        if known
        else "what the search moves is not known"
    )
    who = "" if len(counts) == len(values) else f" ({', '.join(counts)})"
    plural = "" if each == "1" else "s"
    return [
        f"{each} completed trial{plural} each{who}: {moved}. Differences say which configuration is"
        f" better, not which way of fusing: no verdict on strategies. At least {FEWEST_TRIALS} "
        f"trials give an interval, {USEFUL_TRIALS} a useful one."
    ]


def _unfinished(options: Options, gains: Mapping[str, float]) -> list[str]:
    return [
        f"{name}: search not converged; doubling the trials would bring about another {gain:.4f}."
        for name, gain in gains.items()
        if gain > options.margin
    ]


def _unequal(judge: _Judge) -> list[str]:
    counts = judge.trials
    if len(set(counts.values())) < 2:
        return []
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return [
        f"Completed trials differ ({listed}): who has fewer is searched less well and less surely."
    ]
