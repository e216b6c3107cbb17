"""The rows of the comparison's table: metrics, differences, verdicts in words."""

import numpy as np

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging import verdicts
from fusefront.harness.statistics.judging.estimates import TRAINED_ONLY, alone, difference, lacking
from fusefront.harness.statistics.judging.families import Families, confirmatory, families
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import Panel
from fusefront.harness.statistics.power import Settle, detectable, settle
from fusefront.harness.statistics.result_rows import Estimate, StrategyRow
from fusefront.harness.statistics.score_source import ScoreSource

NOTHING = Settle(None, None)


def strategy_rows(
    source: ScoreSource, options: Options, panel: Panel, valid: dict[str, float], rows: int
) -> tuple[StrategyRow, ...]:
    """One row a strategy in the source's order; a refused strategy has the reason in its row."""
    model = panel.models[options.metric]
    base = model.index(options.baseline)
    members = confirmatory(source, options, model.names)
    by_metric = {m: families(each, options.baseline, members) for m, each in panel.models.items()}
    own = by_metric[options.metric]
    ranked = verdicts.ranks(model, higher=options.higher)
    judged = {}
    for i, name in enumerate(model.names):
        p, adjusted, alpha = float("nan"), float("nan"), own.alpha(i)
        if may_be_judged(panel, options, name):
            p, adjusted = model.pair(i, base).p, own.p_adjusted(i)
        differences = _differences(panel, by_metric, name, options.baseline)
        word, reason, needs = "baseline", "", NOTHING
        if i != base:
            gap = differences[options.metric]
            word = verdicts.read(gap.low, gap.high, options.margin, higher=options.higher)
            if np.isnan(p):
                word = "no verdict"
            reason, needs = _reason(options, panel, name, word, adjusted, rows, alpha)
        judged[name] = StrategyRow(
            name=name,
            role=source.role(name),
            seeds=int(model.n[i]),
            metrics=_metrics(source, panel, name),
            differences=differences,
            valid=valid.get(name, float("nan")),
            p=p,
            p_adjusted=adjusted,
            family=own.name(i),
            verdict=word,
            reason=reason,
            needs=needs,
            mde=minimum_effect(model, i, base, alpha),
            rank_low=int(ranked.low[i]),
            rank_high=int(ranked.high[i]),
            in_best_set=bool(ranked.in_best_set[i]),
        )
    return tuple(judged.get(name) or _refused(source, panel, name) for name in source.strategies)


def may_be_judged(panel: Panel, options: Options, name: str) -> bool:
    """Whether a verdict on the strategy is possible: two seeds on each side, and numbers that
    differ."""
    model, base = panel.models[options.metric], options.baseline
    i, j = model.index(name), model.index(base)
    return i != j and not panel.identical(name, base) and min(model.n[i], model.n[j]) > 1


def minimum_effect(model: JointModel, a: int, b: int, alpha: float) -> float:
    """The smallest difference between a and b that a test on these data detects with 80 % power."""
    if a == b or not model.has_intervals:
        return float("nan")
    return detectable(float(model.variance[a, b]), model.df(a, b), alpha)


def _reason(
    options: Options, panel: Panel, name: str, word: str, p: float, rows: int, alpha: float
) -> tuple[str, Settle]:
    model = panel.models[options.metric]
    i, j = model.index(name), model.index(options.baseline)
    if word == "no verdict":
        return _why_none(panel, model, name, options.baseline), NOTHING
    if word == "equivalent":
        return f"equivalent within ±{options.margin:g}", NOTHING
    if word in verdicts.DECIDED:
        gap = abs(float(model.diff[i, j]))
        return decided_in_words(word, gap, options.margin, p), NOTHING
    needs = settle(model, rows, i, j, options.declared, alpha)
    return f"{word} ({in_words(needs, options.declared)})", needs


def decided_in_words(word: str, gap: float, margin: float, p: float) -> str:
    """The verdict as a phrase: better or worse, by how much, with its p.

    >>> decided_in_words("better, by less than the margin", 0.0004, 0.001, 0.012)
    'better by 0.0004, less than the margin of 0.001; adjusted p = 0.012'
    """
    side = word.split(",")[0]
    small = f", less than the margin of {margin:g};" if word != side else ","
    return f"{side} by {gap:.4f}{small} adjusted p = {p:.2g}"


def _why_none(panel: Panel, model: JointModel, name: str, baseline: str) -> str:
    if panel.identical(name, baseline):
        return f"identical predictions to {baseline!r}, seed by seed: the difference is exactly 0"
    seeds = {who: int(model.n[model.index(who)]) for who in (name, baseline)}
    for who, count in seeds.items():
        if count < 2:
            return f"{who!r} has one seed: {TRAINED_ONLY}"
    if note := lacking(model):
        return note
    return "the difference varies neither with rows nor with seeds"


def in_words(needs: Settle, effect: float) -> str:
    """The rows or seeds that would detect the effect with 80 % power, in words.

    >>> in_words(Settle(None, 4), 0.001)
    'rows alone cannot decide 0.001; needs about 4 more seeds each'
    """
    rows, seeds = needs
    if rows == 0 or seeds == 0:
        return f"a difference of {effect:g} would have been seen with 80 % power"
    if rows is None and seeds is None:
        return f"neither rows nor seeds alone can decide {effect:g}; needs more of both"
    if rows is None:
        return f"rows alone cannot decide {effect:g}; needs about {seeds} more seeds each"
    if seeds is None:
        return f"seeds alone cannot decide {effect:g}; needs about {rows:,} more rows"
    return f"needs about {rows:,} more rows or {seeds} more seeds each for {effect:g}"


def _metrics(source: ScoreSource, panel: Panel, name: str) -> dict[str, Estimate]:
    estimates = {metric: alone(panel, metric, name) for metric in panel.models}
    gaps = [source.gap(name, seed) for seed in source.seeds(name)]
    known = [gap for gap in gaps if gap is not None]
    value = float(np.mean(known)) if known else float("nan")
    note = "no interval: train scores are not kept" if known else "not recorded"
    return estimates | {"gap": Estimate(value, note=note)}


def _differences(
    panel: Panel, by_metric: dict[str, Families], name: str, baseline: str
) -> dict[str, Estimate]:
    if name == baseline:
        return {}
    return {
        metric: difference(panel, metric, name, baseline, family.critical(name))
        for metric, family in by_metric.items()
    }


def _refused(source: ScoreSource, panel: Panel, name: str) -> StrategyRow:
    nan = float("nan")
    count = len(source.seeds(name))
    return StrategyRow(
        name=name,
        role=source.role(name),
        seeds=count,
        metrics={},
        differences={},
        valid=nan,
        p=nan,
        p_adjusted=nan,
        family="",
        verdict="no verdict",
        reason=panel.refused[name],
        needs=NOTHING,
        mde=nan,
        rank_low=1,
        rank_high=len(source.strategies),
        in_best_set=False,
    )
