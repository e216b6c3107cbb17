"""Declared slices: every metric on each value of a slice, judged as one family; small values get no
verdict."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import FEW_CLUSTERS
from fusefront.harness.statistics.judging import verdicts
from fusefront.harness.statistics.judging.estimates import alone, difference, lacking
from fusefront.harness.statistics.judging.families import Families, confirmatory, families
from fusefront.harness.statistics.judging.table import may_be_judged, minimum_effect
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.options import Options, spent
from fusefront.harness.statistics.panel import Panel, PanelRequest, collect
from fusefront.harness.statistics.result_rows import Estimate, SliceRow
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import ScoreSource


class _Part(NamedTuple):
    """The measurements on one value of a declared slice."""

    slice: str
    value: str
    rows: int
    positives: int
    panel: Panel | None  # None with one class only
    note: str


def compare_slices(
    source: ScoreSource, options: Options, rows: RowTable, refused: frozenset[str] = frozenset()
) -> tuple[SliceRow, ...]:
    """One row for each value of each declared slice and each strategy.

    Over all slices and values, strategies are one family and controls another. Each value gets an
    equal share of the error level, and within it the largest |t| is simulated.
    """
    parts = [
        _measured(source, options, rows.take(chosen), (declared.name, value), chosen, refused)
        for declared in source.slices(options.split)
        for code, value in enumerate(declared.values)
        if (chosen := declared.code == code).any()
    ]
    judged = max(sum(_has_intervals(part, options) for part in parts), 1)
    names = [name for name in source.strategies if name not in refused]
    slice_rows: list[SliceRow] = []
    for part in parts:
        if part.panel is None:
            slice_rows += [_unknown(part, name, options) for name in names]
        else:
            own = _families(source, options, part.panel, judged)
            slice_rows += [_row(part, part.panel, own, name, options, judged) for name in names]
    return tuple(slice_rows)


def _measured(
    source: ScoreSource,
    options: Options,
    rows: RowTable,
    value: tuple[str, str],
    chosen: NDArray[np.bool_],
    refused: frozenset[str],
) -> _Part:
    """Measures `rows`, which are the split's rows where `chosen` [N] is True."""
    count, positives = len(rows.label), int(rows.label.sum())
    if positives in (0, count):
        return _Part(*value, count, positives, None, "one class only: no metric")
    request = PanelRequest(
        Layout(rows, options.cluster),
        options.split,
        _without_redraws(options),
        two_way=options.two_way,
        chosen=chosen,
        skip=refused,
        workers=options.workers,
        own=options.own,
    )
    panel, level = collect(source, request), 1 - spent(options.look)
    panel.models = {metric: replace(each, level=level) for metric, each in panel.models.items()}
    model = panel.models[options.metric]
    return _Part(*value, count, positives, panel, lacking(model) or _few(model.mc))


def _without_redraws(options: Options) -> tuple[str, ...]:
    """The metrics that need no redraws, and the one that verdicts are given on: there are many
    slices."""
    return tuple(
        name for name in options.metrics if name == options.metric or not options.about[name].draws
    )


def _few(mc: int) -> str:
    if mc >= FEW_CLUSTERS:
        return ""
    return f"few clusters ({mc}): the interval is approximate below {FEW_CLUSTERS}"


def _has_intervals(part: _Part, options: Options) -> bool:
    return part.panel is not None and part.panel.models[options.metric].has_intervals


def _families(source: ScoreSource, options: Options, panel: Panel, judged: int) -> Families:
    """The families on one of `judged` slice values, each with its share of the error level."""
    model = replace(panel.models[options.metric], level=1 - spent(options.look) / judged)
    members = confirmatory(source, options, model.names)
    return families(model, options.baseline, members)


def _row(
    part: _Part, panel: Panel, own: Families, name: str, options: Options, judged: int
) -> SliceRow:
    metric, model, i = options.metric, own.model, own.model.index(name)
    strict = replace(panel, models={metric: model})  # at the level of its share
    gap, p, word = Estimate(float("nan")), float("nan"), "baseline"
    if name != options.baseline:
        gap = difference(strict, metric, name, options.baseline, own.critical(name))
        word = "no verdict"
        if may_be_judged(panel, options, name):
            p = own.p_adjusted(i)
            word = verdicts.read(gap.low, gap.high, options.margin, higher=options.higher)
    return _unknown(part, name, options)._replace(
        mc=model.mc,
        metrics={metric: alone(panel, metric, name) for metric in panel.models},
        difference=gap,
        p_adjusted=p if np.isnan(p) else min(p * judged, 1.0),
        verdict=word,
        mde=float("nan") if np.isnan(p) else minimum_effect(model, i, own.baseline, own.alpha(i)),
    )


def _unknown(part: _Part, name: str, options: Options) -> SliceRow:
    """The row of a slice value on which the metric is not defined."""
    return SliceRow(
        slice=part.slice,
        value=part.value,
        strategy=name,
        rows=part.rows,
        positives=part.positives,
        mc=0,
        metrics={},
        difference=Estimate(float("nan")),
        p_adjusted=float("nan"),
        verdict="baseline" if name == options.baseline else "no verdict",
        note=part.note,
    )
