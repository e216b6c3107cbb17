"""Compares strategies on the same rows: table, verdicts, best set, ranks and what would settle open
cases."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.exchangeable import covariance_of_gains, expected_gains
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.families import Families, confirmatory, families
from fusefront.harness.statistics.judging.remarks import notes, warnings
from fusefront.harness.statistics.judging.searches import search_verdicts
from fusefront.harness.statistics.judging.slices import compare_slices
from fusefront.harness.statistics.judging.table import strategy_rows
from fusefront.harness.statistics.judging.variance import shares
from fusefront.harness.statistics.leverage import cluster_shares, effective_clusters
from fusefront.harness.statistics.measures.calibration import share_intervals
from fusefront.harness.statistics.measures.metrics import ALL_METRICS, Layout
from fusefront.harness.statistics.options import Options, check_rows, spent
from fusefront.harness.statistics.paired import pooled_correlation
from fusefront.harness.statistics.panel import ITEMS_MATTER, Panel, PanelRequest, collect
from fusefront.harness.statistics.result_rows import ClusterWeight, CurvePoint, Winner
from fusefront.harness.statistics.score_source import ScoreSource


def compare(source: ScoreSource, options: Options, study: str = "") -> Comparison:
    """Compare all strategies of the source with the baseline.

    Raises:
        UsageError: the options or the source do not allow the comparison.
    """
    options.check(source)
    options = replace(options, alpha=options.alpha * (spent(options.look) / spent(1)))
    layout = Layout(source.rows(options.split), options.cluster)
    check_rows(layout.rows, options.split)
    panel = collect(source, _request(source, options, layout))
    if sentence := panel.refused.get(options.baseline):
        raise UsageError(f"baseline {options.baseline!r} is {sentence}")
    crossing = panel.crossings.get(options.metric)
    ratio = float("nan") if crossing is None else crossing.ratio(options.baseline)
    if ratio > ITEMS_MATTER and not options.two_way:
        options = replace(options, two_way=True)
        panel = collect(source, _request(source, options, layout))
    panel.models = {
        metric: replace(model, level=1 - spent(options.look))
        for metric, model in panel.models.items()
    }
    if options.paired_seeds:
        _pair_seeds(source, panel)
    model = panel.models[options.metric]
    valid = _validation(source, options)
    members = confirmatory(source, options, model.names)
    rows = strategy_rows(source, options, panel, valid, len(layout.rows.label))
    own = families(model, options.baseline, members)
    sets = bool((model.n > 1).all()) and model.has_intervals and len(model.names) > 1
    sets = sets and options.ranked
    search = search_verdicts(source, options, panel)
    comparison = Comparison(
        study=study,
        split=options.split,
        metric=options.metric,
        baseline=options.baseline,
        cluster="user and item" if options.two_way else options.cluster,
        margin=options.margin,
        effect=options.declared,
        alpha=options.alpha,
        rows=len(layout.rows.label),
        positives=int(layout.rows.label.sum()),
        clusters=model.m,
        mc=model.mc,
        strategies=rows,
        model=model,
        c_all=model.c_all,
        c_base=own.strategies.critical(model.level),
        best_set=tuple(row.name for row in rows if row.in_best_set) if sets else (),
        winner=_picked_here(source, options, own) if options.ranked else None,
        selected=_picked_on_validation(options, own, valid),
        slices=compare_slices(source, options, layout.rows, frozenset(panel.refused)),
        variance=shares(model, options.baseline, options.tuned, search),
        curves=_curves(panel),
        temperature=panel.temperature,
        notes=(),
        warnings=(),
        own_metrics={n: options.about[n] for n in options.metrics if n not in ALL_METRICS},
        search=search,
        weight=_weight(options, layout, panel),
        two_way_ratio=ratio,
        look=options.look,
        c_controls=own.controls.critical(model.level),
        c_strategies=_of_strategies(model, members | (np.arange(len(members)) == own.baseline)),
    )
    return replace(comparison, notes=notes(comparison, panel), warnings=warnings(comparison, panel))


def _request(source: ScoreSource, options: Options, layout: Layout) -> PanelRequest:
    tuning = Layout(source.rows("valid"), options.cluster) if options.temperature else None
    return PanelRequest(
        layout,
        options.split,
        options.metrics,
        two_way=options.two_way,
        tuning=tuning,
        workers=options.workers,
        own=options.own,
        crossing=options.metric,
    )


def _weight(options: Options, layout: Layout, panel: Panel) -> ClusterWeight | None:
    """How unequal the clusters are, for the metric that verdicts are given on."""
    about = panel.about[options.metric]
    axis = layout.axis_of(about.unit)
    share = cluster_shares(axis, about.lever)
    if not len(share):
        return None
    largest = int(np.argmax(share))
    value = layout.cluster_value(about.unit, largest)
    rows = layout.clusters == value
    return ClusterWeight(
        effective_clusters(axis, about.lever),
        float(share[largest]),
        value,
        int(rows.sum()),
        int(layout.rows.label[rows].sum()),
    )


def _pair_seeds(source: ScoreSource, panel: Panel) -> None:
    if len({source.seeds(name) for name in panel.strategies}) > 1:
        raise UsageError(
            "paired seeds need the same seeds for every strategy, got different ones; "
            "run the missing seeds or compare without --paired-seeds"
        )
    for metric, model in panel.models.items():
        values = np.array([panel.values[metric][name] for name in panel.strategies])
        panel.models[metric] = replace(model, rho=pooled_correlation(values))


def _validation(source: ScoreSource, options: Options) -> dict[str, float]:
    """The primary metric on validation, mean over seeds; empty if validation has no scores."""
    layout = Layout(source.rows("valid"), options.cluster)
    if not 0 < int(layout.rows.label.sum()) < len(layout.rows.label):
        return {}
    request = PanelRequest(
        layout, "valid", (options.metric,), workers=options.workers, own=options.own
    )
    return collect(source, request).models[options.metric].means


def _of_strategies(model: JointModel, members: NDArray[np.bool_]) -> float:
    """The critical value of all pairs of strategies; without such a pair, that of all pairs."""
    return model.c_all if members.all() else model.c_among(members)


def _picked_here(source: ScoreSource, options: Options, own: Families) -> Winner | None:
    """The best strategy on this split; its interval holds for its whole family, so also after
    choosing the best."""
    model, base = own.model, own.baseline
    rivals = tuple(name for name in model.names if source.role(name) == "strategy")
    scores = np.where(
        np.isnan(model.theta), -np.inf, model.theta if options.higher else -model.theta
    )
    best = int(np.argmax(scores))
    pair = model.simultaneous(best, base, own.critical(model.names[best]))
    if np.isnan(pair.low):
        return Winner(model.names[best], pair.difference, np.nan, np.nan, "no interval")
    return Winner(
        model.names[best],
        pair.difference,
        pair.low,
        pair.high,
        f"picked on {options.split}: the interval is that of the largest of all differences",
        _expected(model, rivals, best, base, pair.high - pair.difference),
    )


def _expected(
    model: JointModel, rivals: tuple[str, ...], best: int, base: int, half: float
) -> float:
    """The winner's expected lead, shrunk towards the leads of the other strategies, within its
    interval.

    It is the measured lead if the winner is no strategy (a control), or the only one.
    """
    value = float(model.diff[best, base])
    places = [
        i for i in range(len(model.names)) if i != base and np.isfinite(model.variance[i, base])
    ]
    alike = np.array([model.names[i] in rivals for i in places], bool)
    spread = covariance_of_gains(model.steady_variance, base, places)
    expected = expected_gains(model.diff[places, base], spread, alike)
    return float(np.clip(expected[places.index(best)], value - half, value + half))


def _picked_on_validation(
    options: Options, own: Families, valid: dict[str, float]
) -> Winner | None:
    """The best strategy on validation, with the interval of its lead on this split."""
    model = own.model
    known = [name for name in model.names if not np.isnan(valid.get(name, np.nan))]
    if not known or options.split == "valid":
        return None
    name = (max if options.higher else min)(known, key=valid.__getitem__)
    pair = model.simultaneous(model.index(name), own.baseline, own.critical(name))
    return Winner(name, pair.difference, pair.low, pair.high, "picked on validation")


def _curves(panel: Panel) -> dict[str, dict[str, tuple[CurvePoint, ...]]]:
    return {
        kind: {
            name: tuple(
                CurvePoint(*point)
                for point in np.stack([*curve[:3], *share_intervals(curve)], axis=1).tolist()
            )
            for name, curve in by.items()
            if name in panel.strategies
        }
        for kind, by in panel.curves.items()
    }
