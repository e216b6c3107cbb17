"""Declared slices: every metric on each value, one family of verdicts, a guard for small ones."""

import numpy as np

from fusefront.harness.statistics import verdicts
from fusefront.harness.statistics.comparison import Estimate, SliceRow
from fusefront.harness.statistics.estimates import alone, difference, lacking
from fusefront.harness.statistics.joint import FEW_CLUSTERS
from fusefront.harness.statistics.metrics import ALL_METRICS, Layout
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import Panel, Request, collect
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.source import ScoreSource
from fusefront.harness.statistics.table import p_value


def compare_slices(source: ScoreSource, options: Options, rows: RowTable) -> tuple[SliceRow, ...]:
    """A row for each value of each declared slice and each strategy; Holm over all of them."""
    found: list[SliceRow] = []
    for declared in source.slices(options.split):
        for code, value in enumerate(declared.values):
            chosen = declared.code == code
            if chosen.any():
                found += _slice(source, options, rows.take(chosen), chosen, declared.name, value)
    return _judge(found, options)


def _slice(
    source: ScoreSource,
    options: Options,
    rows: RowTable,
    chosen: np.ndarray,
    name: str,
    value: str,
) -> list[SliceRow]:
    positives = int(rows.label.sum())
    if positives in (0, len(rows.label)):
        note = "one class only: no metric"
        return [_row(name, value, strategy, rows, 0, note=note) for strategy in source.strategies]
    layout = Layout(rows, options.cluster)
    request = Request(
        layout, options.split, options.metrics, chosen=chosen, workers=options.workers
    )
    panel = collect(source, request)
    model = panel.models[options.metric]
    note = lacking(model) or _few(model.mc)
    return [
        _row(name, value, strategy, rows, model.mc, panel=panel, options=options, note=note)
        if strategy in panel.strategies
        else _row(name, value, strategy, rows, model.mc, note=panel.refused[strategy])
        for strategy in source.strategies
    ]


def _few(mc: int) -> str:
    if mc >= FEW_CLUSTERS:
        return ""
    return f"few clusters ({mc}): the interval is approximate below {FEW_CLUSTERS}"


def _row(
    name: str,
    value: str,
    strategy: str,
    rows: RowTable,
    mc: int,
    *,
    note: str,
    panel: Panel | None = None,
    options: Options | None = None,
) -> SliceRow:
    metrics: dict[str, Estimate] = {}
    gap, p = Estimate(float("nan")), float("nan")
    if panel is not None and options is not None:
        metrics = {metric: alone(panel, metric, strategy) for metric in panel.models}
        if strategy != options.baseline and options.baseline in panel.strategies:
            gap = difference(panel, options.metric, strategy, options.baseline)
            p = p_value(panel, options.metric, strategy, options.baseline)
    count, positives = len(rows.label), int(rows.label.sum())
    return SliceRow(name, value, strategy, count, positives, mc, metrics, gap, p, "", note)


def _judge(found: list[SliceRow], options: Options) -> tuple[SliceRow, ...]:
    """Verdicts by Holm over the whole family of slices, values and strategies."""
    adjusted = verdicts.holm(np.array([row.p_adjusted for row in found]))
    higher = ALL_METRICS[options.metric].higher_is_better
    judged = []
    for row, p in zip(found, adjusted, strict=True):
        word = "no verdict"
        if row.strategy == options.baseline:
            word = "baseline"
        elif p < options.alpha:
            word = "better" if (row.difference.value > 0) == higher else "worse"
        elif not np.isnan(p):
            word = "cannot tell"
        judged.append(row._replace(p_adjusted=float(p), verdict=word))
    return tuple(judged)
