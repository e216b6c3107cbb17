"""Reads every score vector once and keeps, for each metric, its joint model over strategies."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import Floats, Scores
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.leverage import Lever, effective_clusters
from fusefront.harness.statistics.measures.calibration import Curve, fit_temperature
from fusefront.harness.statistics.measures.metrics import (
    ALL_METRICS,
    DF_BOUNDS,
    SCALED,
    Layout,
    Metric,
    ScoreMeasures,
    measure,
    measure_scaled,
)
from fusefront.harness.statistics.measures.own_metrics import OwnMetrics, described, measure_own
from fusefront.harness.statistics.rows import Axis
from fusefront.harness.statistics.score_source import ScoreSource

ITEMS_MATTER = 1.15  # ratio of errors above which rows are also clustered by item


@dataclass
class Panel:
    """The metrics of all strategies and seeds on one set of rows."""

    strategies: tuple[str, ...]  # those that were measured, in the source's order
    models: dict[str, JointModel]  # by metric; every model has all `strategies`
    values: dict[str, dict[str, list[float]]]  # metric -> strategy -> one a seed
    curves: dict[str, dict[str, Curve]]  # "ece" -> strategy -> mean over its seeds
    chance: dict[str, dict[str, float]]  # "ece" -> strategy -> ECE expected of a calibrated model
    temperature: dict[str, float] = field(default_factory=dict)  # mean over seeds
    refused: dict[str, str] = field(default_factory=dict)  # strategy -> sentence
    constant: set[str] = field(default_factory=set)  # strategies whose scores do not vary
    digest: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of each vector, by seed
    about: Mapping[str, Metric] = field(default_factory=lambda: ALL_METRICS)  # by metric
    crossings: dict[str, "Crossing"] = field(default_factory=dict)  # of metrics measured both ways

    def identical(self, a: str, b: str) -> bool:
        """Whether two strategies predicted identical numbers with every seed."""
        return self.digest[a] == self.digest[b]


class Crossing(NamedTuple):
    """One metric clustered once and twice: by cluster, and by cluster and item."""

    by_cluster: JointModel
    by_both: JointModel

    def ratio(self, baseline: str) -> float:
        """The error of a difference to the baseline with both clusterings over that with one;
        median, nan if unknown."""
        base = self.by_cluster.index(baseline)
        if not self.by_cluster.has_intervals or not self.by_both.has_intervals:
            return float("nan")
        plain, crossed = self.by_cluster.se[:, base], self.by_both.se[:, base]
        known = plain > 0
        return float(np.median(crossed[known] / plain[known])) if known.any() else float("nan")


@dataclass(frozen=True)
class PanelRequest:
    """What to measure, and on which rows."""

    layout: Layout
    split: str
    metrics: tuple[str, ...]
    two_way: bool = False
    chosen: np.ndarray | None = None  # bool [N] of the split's rows; None = all
    tuning: Layout | None = None  # validation rows, on which a temperature is fitted
    skip: frozenset[str] = frozenset()  # strategies to leave out
    workers: int = 2
    own: OwnMetrics = field(default_factory=dict)  # a person's metrics by name
    crossing: str = ""  # a metric that is also clustered by item

    @cached_property
    def about(self) -> Mapping[str, Metric]:
        """The metrics that the request may name."""
        return described(self.own)


class _Vector:
    """One measured score vector; only sums within clusters are kept."""

    def __init__(
        self, source: ScoreSource, request: PanelRequest, strategy: str, seed: int
    ) -> None:
        self.strategy, self.seed = strategy, seed
        self.sentence, self.temperature = "", float("nan")  # unless one is fitted
        self.sums: dict[str, list[Floats]] = {}
        logits = np.ascontiguousarray(source.logits(strategy, seed, request.split), np.float32)
        if request.chosen is not None:
            logits = logits[request.chosen]
        if not np.isfinite(logits).all():
            bad = int((~np.isfinite(logits)).sum())
            self.sentence = (
                f"refused: seed {seed} has {_some_scores(bad)} NaN or infinite; "
                "train it again or leave the strategy out"
            )
            return
        self.digest = hashlib.blake2b((logits + np.float32(0)).tobytes()).hexdigest()  # -0 is 0
        self.constant = bool(np.ptp(logits) == 0)
        self.measured = measure(request.layout, logits, request.metrics)
        for name in request.metrics:
            if name in request.own:
                metric = request.own[name]
                value = measure_own(request.layout, logits, metric, name)
                self.measured.values[name] = value
        self._sum(request, self.measured)
        if request.tuning is not None:
            self._scale(source, request, request.tuning, logits)

    def _scale(
        self, source: ScoreSource, request: PanelRequest, tuning: Layout, logits: Scores
    ) -> None:
        valid = source.logits(self.strategy, self.seed, "valid")
        self.temperature = fit_temperature(valid, tuning.rows.label)
        scaled = measure_scaled(request.layout, logits, self.temperature)
        self.measured.values.update(scaled.values)
        self.measured.curves.update(scaled.curves)
        self.measured.chance.update(scaled.chance)
        self._sum(request, scaled)

    def _sum(self, request: PanelRequest, measured: ScoreMeasures) -> None:
        for name, value in measured.values.items():
            self.sums[name] = [
                value.summed(axis, lever) for axis, lever in _clusterings(request, name)
            ]
            measured.values[name] = value._replace(influence=np.array([]), redraw=None, within=None)


def _some_scores(count: int) -> str:
    return "1 score that is" if count == 1 else f"{count} scores that are"


def _clusterings(request: PanelRequest, metric: str) -> list[tuple[Axis, Lever | None]]:
    """The clusterings of a metric, and how the clusters of each are weighted: one, or for rows in
    two-way mode by user, by item and by both, whose pairs are too small to need weights."""
    about = request.about[metric]
    if about.unit != "row" or not (request.two_way or metric == request.crossing):
        return [(request.layout.axis_of(about.unit), about.lever)]
    layout = request.layout
    user, item, both = layout.crossed_axes if request.two_way else layout.crossed_by_cluster
    return [(user, about.lever), (item, about.lever), (both, None)]


def collect(source: ScoreSource, request: PanelRequest) -> Panel:
    """Measure every vector of the source on the request's rows; only a few are in memory at a
    time."""
    metrics = request.metrics + (tuple(SCALED) if request.tuning is not None else ())
    names = tuple(name for name in source.strategies if name not in request.skip)
    sums = {  # asks for every axis of the layout before the threads start
        metric: [
            _empty(request, metric, names, axis, lever)
            for axis, lever in _clusterings(request, metric)
        ]
        for metric in metrics
    }
    values: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in metrics}
    panel = Panel(names, {}, values, {}, {}, about=request.about)
    curves: dict[str, dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    chance: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    temperatures: dict[str, list[float]] = defaultdict(list)
    constant: dict[str, bool] = dict.fromkeys(names, True)
    for vector in _vectors(source, request):
        name = vector.strategy
        if vector.sentence:
            panel.refused.setdefault(name, vector.sentence)
            continue
        for metric, value in vector.measured.values.items():
            panel.values[metric][name].append(value.value)
            for at, column in enumerate(vector.sums[metric]):
                sums[metric][at].add(name, value.value, column)
        for kind, curve in vector.measured.curves.items():
            curves[kind][name].append(curve)
            chance[kind][name].append(vector.measured.chance[kind])
        temperatures[name].append(vector.temperature)
        constant[name] &= vector.constant
        panel.digest[name] = (*panel.digest.get(name, ()), vector.digest)
    panel.strategies = tuple(name for name in names if name not in panel.refused)
    panel.constant = {name for name in panel.strategies if constant[name]}
    for metric, parts in sums.items():
        first, *others = (part.select(panel.strategies).joint() for part in parts)
        panel.models[metric] = first
        if not others:
            continue
        crossing = Crossing(first, first.crossed(*others))
        if request.two_way:
            panel.models[metric] = crossing.by_both
        if not request.two_way or request.layout.cluster == "user":
            panel.crossings[metric] = crossing
    panel.curves = {k: {s: _mean_curve(c) for s, c in by.items()} for k, by in curves.items()}
    panel.chance = {k: {s: float(np.mean(c)) for s, c in by.items()} for k, by in chance.items()}
    if request.tuning is not None:
        panel.temperature = {n: float(np.mean(temperatures[n])) for n in panel.strategies}
    return panel


def _vectors(source: ScoreSource, request: PanelRequest) -> Iterator[_Vector]:
    """The measured vectors in the order of the source; at most two a worker exist at a time."""
    names = [name for name in source.strategies if name not in request.skip]
    jobs = [(name, seed) for name in names for seed in source.seeds(name)]
    with ThreadPoolExecutor(request.workers) as pool:
        waiting: deque[Future[_Vector]] = deque()
        for name, seed in jobs:
            waiting.append(pool.submit(_Vector, source, request, name, seed))
            if len(waiting) > request.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _empty(
    request: PanelRequest,
    metric: str,
    names: tuple[str, ...],
    axis: Axis,
    lever: Lever | None,
) -> Accumulator:
    """An accumulator with a column for each cluster, or for each redraw of all clusters."""
    draws = request.about[metric].draws
    known = min(axis.mc, draws) if draws else axis.mc  # a variance of B draws has B - 1 degrees
    effective = None if lever is None else effective_clusters(axis, lever)
    columns = draws or axis.size
    return Accumulator.empty(
        names, axis.size, known, columns, effective, DF_BOUNDS.get(metric, 0.0)
    )


def _mean_curve(curves: list[Curve]) -> Curve:
    """The mean of the seeds' curves; its error combines the spread over seeds and the error from
    rows.

    Seeds with fewer bins than the first seed, because of ties, are left out of the mean.
    """
    alike = [curve for curve in curves if len(curve.rows) == len(curves[0].rows)]
    stack = Curve(*np.stack(alike, axis=1))  # [seeds, bins] each
    rows, predicted, observed, se = (column.mean(0) for column in stack)
    if len(alike) > 1:
        gaps = stack.observed - stack.predicted
        se = np.sqrt((stack.se**2).mean(0) + gaps.var(0, ddof=1) / len(alike))
    return Curve(rows, predicted, observed, se)
