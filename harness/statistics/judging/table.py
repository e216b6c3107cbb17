"""The rows of the table: metrics, differences, verdicts in words."""

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import Floats, JointModel
from fusefront.harness.statistics.judging import verdicts
from fusefront.harness.statistics.judging.estimates import TRAINED_ONLY, alone, difference, lacking
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import Panel
from fusefront.harness.statistics.power import Settle, detectable, settle
from fusefront.harness.statistics.result_rows import Estimate, StrategyRow
from fusefront.harness.statistics.score_source import ScoreSource

NOTHING = Settle(None, None)


def strategy_rows(
    source: ScoreSource, options: Options, panel: Panel, valid: dict[str, float], rows: int
) -> tuple[StrategyRow, ...]:
    """One row a strategy in the source's order; refused ones say why."""
    model = panel.models[options.metric]
    base = model.index(options.baseline)
    family = confirmatory(source, options, model.names)
    p = np.array([p_value(panel, options.metric, name, options.baseline) for name in model.names])
    adjusted = adjust(p, family)
    alphas = np.where(family, options.alpha / max(int(family.sum()), 1), options.alpha)
    ranked = verdicts.ranks(model, higher=options.higher)
    judged = {}
    for i, name in enumerate(model.names):
        word, reason, needs = "baseline", "", NOTHING
        if i != base:
            word = _word(options, panel, name, float(adjusted[i]))
            reason, needs = _reason(options, panel, name, word, float(adjusted[i]), rows, alphas[i])
        judged[name] = StrategyRow(
            name=name,
            role=source.role(name),
            seeds=int(model.n[i]),
            metrics=_metrics(source, panel, name),
            differences=_differences(panel, name, options.baseline),
            valid=valid.get(name, float("nan")),
            p=float(p[i]),
            p_adjusted=float(adjusted[i]),
            adjustment="" if i == base else "holm" if family[i] else "bh",
            verdict=word,
            reason=reason,
            needs=needs,
            mde=minimum_effect(model, i, base, float(alphas[i])),
            rank_low=int(ranked.low[i]),
            rank_high=int(ranked.high[i]),
            in_best_set=bool(ranked.in_best_set[i]),
        )
    return tuple(judged.get(name) or _refused(source, panel, name) for name in source.strategies)


def confirmatory(
    source: ScoreSource, options: Options, names: tuple[str, ...]
) -> NDArray[np.bool_]:
    """[S] which comparisons with the baseline are in the Holm family."""
    chosen = options.family
    if chosen is None:
        chosen = tuple(name for name in names if source.role(name) == "strategy")
    return np.array([name in chosen and name != options.baseline for name in names])


def adjust(p: Floats, family: NDArray[np.bool_]) -> Floats:
    """p values [n]: Holm within the family [n], Benjamini-Hochberg over the others."""
    confirmed = verdicts.holm(np.where(family, p, np.nan))
    explored = verdicts.benjamini_hochberg(np.where(family, np.nan, p))
    return np.where(family, confirmed, explored)


def p_value(panel: Panel, metric: str, a: str, b: str) -> float:
    """Two-sided p of no difference; nan where no verdict may be given."""
    model = panel.models[metric]
    i, j = model.index(a), model.index(b)
    if i == j or panel.identical(a, b) or min(model.n[i], model.n[j]) < 2:
        return float("nan")
    return model.pair(i, j).p


def minimum_effect(model: JointModel, a: int, b: int, alpha: float) -> float:
    """The smallest difference between a and b that these data see with 80 % power."""
    if a == b or not model.has_intervals:
        return float("nan")
    return detectable(float(model.variance[a, b]), model.df(a, b), alpha)


def _word(options: Options, panel: Panel, name: str, p: float) -> str:
    model = panel.models[options.metric]
    i, j = model.index(name), model.index(options.baseline)
    equivalent = verdicts.is_equivalent(model.pair90(i, j), options.margin)
    pair = model.pair(i, j)
    return verdicts.decide(pair, p, equivalent, higher=options.higher, alpha=options.alpha)


def _reason(
    options: Options, panel: Panel, name: str, word: str, p: float, rows: int, alpha: float
) -> tuple[str, Settle]:
    model = panel.models[options.metric]
    i, j = model.index(name), model.index(options.baseline)
    if word == "no verdict":
        return _why_none(panel, model, name, options.baseline), NOTHING
    pair = model.pair(i, j)
    if word == "equivalent":
        small = " (small difference)" if p < options.alpha else ""
        return f"equivalent{small} within ±{options.margin:g}", NOTHING
    if word in ("better", "worse"):
        return f"{word} by {abs(pair.difference):.4f}, adjusted p = {p:.2g}", NOTHING
    needs = settle(model, rows, i, j, options.declared, alpha)
    return f"cannot tell ({in_words(needs, options.declared)})", needs


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
    """What would see the effect with 80 % power.

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


def _differences(panel: Panel, name: str, baseline: str) -> dict[str, Estimate]:
    if name == baseline:
        return {}
    return {metric: difference(panel, metric, name, baseline) for metric in panel.models}


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
        adjustment="",
        verdict="no verdict",
        reason=panel.refused[name],
        needs=NOTHING,
        mde=nan,
        rank_low=1,
        rank_high=len(source.strategies),
        in_best_set=False,
    )
