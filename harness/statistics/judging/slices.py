"""Declared slices: every metric on each value, one family of verdicts, a guard for small ones."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import FEW_CLUSTERS
from fusefront.harness.statistics.judging import verdicts
from fusefront.harness.statistics.judging.estimates import alone, difference, lacking
from fusefront.harness.statistics.judging.table import p_value
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.options import Options, spent
from fusefront.harness.statistics.panel import Panel, PanelRequest, collect
from fusefront.harness.statistics.power import detectable
from fusefront.harness.statistics.result_rows import Estimate, SliceRow
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import ScoreSource


def compare_slices(
    source: ScoreSource, options: Options, rows: RowTable, refused: frozenset[str] = frozenset()
) -> tuple[SliceRow, ...]:
    """A row for each value of each declared slice and each strategy; Holm over all of them."""
    slice_rows: list[_Row] = []
    for declared in source.slices(options.split):
        for code, value in enumerate(declared.values):
            chosen = declared.code == code
            if chosen.any():
                part = _Part(declared.name, value, chosen, rows.take(chosen))
                slice_rows += _slice(source, options, part, refused)
    return _judge(slice_rows, options)


class _Part(NamedTuple):
    slice: str
    value: str
    chosen: NDArray[np.bool_]  # [N]
    rows: RowTable


class _Row(NamedTuple):
    row: SliceRow
    variance: float  # of the difference to the baseline
    df: float


def _slice(
    source: ScoreSource, options: Options, part: _Part, refused: frozenset[str]
) -> list[_Row]:
    names = [name for name in source.strategies if name not in refused]
    if int(part.rows.label.sum()) in (0, len(part.rows.label)):
        return [_row(part, name, 0, note="one class only: no metric") for name in names]
    request = PanelRequest(
        Layout(part.rows, options.cluster),
        options.split,
        _measured(options),
        two_way=options.two_way,
        chosen=part.chosen,
        skip=refused,
        workers=options.workers,
        own=options.own,
    )
    panel = collect(source, request)
    panel.models = {
        metric: replace(each, level=1 - spent(options.look))
        for metric, each in panel.models.items()
    }
    model = panel.models[options.metric]
    note = lacking(model) or _few(model.mc)
    return [_row(part, name, model.mc, panel=panel, options=options, note=note) for name in names]


def _measured(options: Options) -> tuple[str, ...]:
    """Without metrics that need redraws, unless verdicts are given on one: slices are many."""
    return tuple(
        name for name in options.metrics if name == options.metric or not options.about[name].draws
    )


def _few(mc: int) -> str:
    if mc >= FEW_CLUSTERS:
        return ""
    return f"few clusters ({mc}): the interval is approximate below {FEW_CLUSTERS}"


def _row(
    part: _Part,
    strategy: str,
    mc: int,
    *,
    note: str,
    panel: Panel | None = None,
    options: Options | None = None,
) -> _Row:
    metrics: dict[str, Estimate] = {}
    gap, p, variance, df = Estimate(float("nan")), float("nan"), float("nan"), float("nan")
    if panel is not None and options is not None:
        metrics = {metric: alone(panel, metric, strategy) for metric in panel.models}
        if strategy != options.baseline:
            gap = difference(panel, options.metric, strategy, options.baseline)
            p = p_value(panel, options.metric, strategy, options.baseline)
            model = panel.models[options.metric]
            a, b = model.index(strategy), model.index(options.baseline)
            variance, df = float(model.variance[a, b]), model.df(a, b)
    label = part.rows.label
    row = SliceRow(
        slice=part.slice,
        value=part.value,
        strategy=strategy,
        rows=len(label),
        positives=int(label.sum()),
        mc=mc,
        metrics=metrics,
        difference=gap,
        p_adjusted=p,
        verdict="",
        note=note,
    )
    return _Row(row, variance, df)


def _judge(rows: list[_Row], options: Options) -> tuple[SliceRow, ...]:
    """Verdicts by Holm over the whole family of slices, values and strategies."""
    adjusted = verdicts.holm(np.array([entry.row.p_adjusted for entry in rows]))
    level = options.alpha / max(int((~np.isnan(adjusted)).sum()), 1)
    judged = []
    for (row, variance, df), p in zip(rows, adjusted, strict=True):
        word = "no verdict"
        if row.strategy == options.baseline:
            word = "baseline"
        elif p < options.alpha:
            word = "better" if (row.difference.value > 0) == options.higher else "worse"
        elif not np.isnan(p):
            word = "cannot tell"
        mde = float("nan") if np.isnan(p) else detectable(variance, df, level)
        judged.append(row._replace(p_adjusted=float(p), verdict=word, mde=mde))
    return tuple(judged)
