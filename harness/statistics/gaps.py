"""Gaps between the groups of a sensitive slice: AUC, calibration and exposure in the top k places.

The gap of two groups is taken within each trained model, so that a seed's effect on both cancels.
Its interval holds for all pairs of groups of the slice; Bonferroni accounts for the slices,
strategies and measures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import Floats, Scores, auc_influence, tie_groups
from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.measures.calibration import predicted_over_clicked
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import ScoreSource, SliceCodes

MEASURES = ("auc", "pcoc", "exposure")
FEWEST_ROWS = 30  # rows of a group; smaller groups are left out


class GroupGap(NamedTuple):
    """A measure of one group minus that of another group, for one strategy."""

    strategy: str
    slice: str
    measure: str  # auc | pcoc | exposure
    group: str
    other: str
    value: float
    low: float  # nan where there is no interval
    high: float
    p: float  # adjusted over all gaps

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


class MeasuredGroup(NamedTuple):
    """A measure of one group's rows, and the influence of each of these rows on it."""

    value: float
    rows: Floats  # [rows of the group]


@dataclass(frozen=True)
class Groups:
    """The groups of a slice that are large enough and have both classes."""

    about: SliceCodes
    chosen: Mapping[str, NDArray[np.bool_]]  # value -> bool [N]
    clusters: tuple[int, ...]  # of each group: those with a positive, or with a negative, the fewer

    @classmethod
    def of(cls, about: SliceCodes, rows: RowTable, cluster: str) -> "Groups":
        chosen: dict[str, NDArray[np.bool_]] = {}
        clusters = []
        for code, value in enumerate(about.values):
            mask = np.asarray(about.code) == code
            positives = int(rows.label[mask].sum())
            if mask.sum() >= FEWEST_ROWS and 0 < positives < int(mask.sum()):
                chosen[value] = mask
                clusters.append(Layout(rows.take(mask), cluster).axis.mc)
        return cls(about, chosen, tuple(clusters))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All pairs of groups."""
        return list(combinations(self.chosen, 2))


def group_gaps(
    source: ScoreSource, layout: Layout, strategies: tuple[str, ...], k: int, level: float = 0.95
) -> list[GroupGap]:
    """The gaps of every slice that is marked as sensitive; exposure counts the first `k` places of
    a request."""
    sensitive = [each for each in source.slices("test") if each.sensitive]
    groups = [Groups.of(each, layout.rows, layout.cluster) for each in sensitive]
    groups = [each for each in groups if each.pairs]
    if not groups:
        return []
    families = len(groups) * len(strategies) * len(MEASURES)
    strict = 1 - (1 - level) / families
    gaps: list[GroupGap] = []
    for strategy in strategies:
        sums = [_empty(each, layout, measure) for each in groups for measure in MEASURES]
        for seed in source.seeds(strategy):
            logits = source.logits(strategy, seed, "test")
            shown = top_places(logits, layout.rows.request, k)
            at = 0
            for each in groups:
                for measure in MEASURES:
                    _add(sums[at], each, layout, _measured(measure, logits, shown, layout))
                    at += 1
        at = 0
        for each in groups:
            for measure in MEASURES:
                gaps += _gaps(strategy, each, measure, sums[at], strict, families)
                at += 1
    return gaps


def top_places(logits: Scores, request: NDArray[np.integer], k: int) -> NDArray[np.bool_]:
    """[N] bool: whether a row is among the first k of its request by logits [N]; on ties the
    earlier row is."""
    order = np.lexsort((np.arange(len(logits)), -logits, request))
    ordered = request[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    shown = np.zeros(len(order), bool)
    shown[order] = rank < k
    return shown


Measure = Callable[[NDArray[np.bool_]], MeasuredGroup]


def _measured(measure: str, logits: Scores, shown: NDArray[np.bool_], layout: Layout) -> Measure:
    label = layout.rows.label

    def auc(mask: NDArray[np.bool_]) -> MeasuredGroup:
        influence = auc_influence(tie_groups(logits[mask], label[mask]))
        return MeasuredGroup(influence.value, influence.rows)

    def pcoc(mask: NDArray[np.bool_]) -> MeasuredGroup:
        return MeasuredGroup(*predicted_over_clicked(logits[mask], label[mask]))

    def exposure(mask: NDArray[np.bool_]) -> MeasuredGroup:
        share = float(shown[mask].mean())
        return MeasuredGroup(share, (shown[mask] - share) / mask.sum())

    return {"auc": auc, "pcoc": pcoc, "exposure": exposure}[measure]


def _name(pair: tuple[str, str]) -> str:
    return " - ".join(pair)


def _empty(groups: Groups, layout: Layout, measure: str) -> Accumulator:
    names = tuple(_name(pair) for pair in groups.pairs)
    return Accumulator.empty(names, layout.axis.size, min(groups.clusters))


def _add(sums: Accumulator, groups: Groups, layout: Layout, measure: Measure) -> None:
    """Add one trained model: the gap of every pair of groups, and each cluster's influence on
    it."""
    values: dict[str, float] = {}
    columns: dict[str, Floats] = {}
    for value, mask in groups.chosen.items():
        measured = measure(mask)
        values[value] = measured.value
        columns[value] = np.bincount(
            layout.axis.code[mask], measured.rows, layout.axis.size
        ).astype(np.float64)
    for a, b in groups.pairs:
        sums.add(_name((a, b)), values[a] - values[b], columns[a] - columns[b])


def _gaps(
    strategy: str, groups: Groups, measure: str, sums: Accumulator, level: float, families: int
) -> list[GroupGap]:
    joint = sums.joint()
    joint = replace(joint, s2=np.nan_to_num(joint.s2), level=level)  # of one seed rows alone
    result = contrasts(joint, np.eye(len(joint.names)))
    return [
        GroupGap(
            strategy, groups.about.name, measure, a, b,
            float(result.value[at]), float(result.low[at]), float(result.high[at]),
            min(float(result.p[at]) * families, 1.0),
        )
        for at, (a, b) in enumerate(groups.pairs)
    ]  # fmt: skip
