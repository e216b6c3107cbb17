"""Every metric of one score vector, with the influence of each cluster on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.auc import Floats, Scores, auc_influence, tie_groups
from fusefront.harness.statistics.measures import calibration, ranking
from fusefront.harness.statistics.rows import (
    Axis,
    RowTable,
    Units,
    crossed,
    row_axis,
    unit_axis,
    units,
)


class Metric(NamedTuple):
    """What a metric is called, which way is up and how its interval is made."""

    title: str
    higher_is_better: bool
    scale: Literal["logit", "plain", "biased"]  # of one strategy's interval
    unit: Literal["row", "group", "request"]  # what carries the influence
    undefined: str = ""  # the sentence when there is no value
    draws: int = 0  # of whole clusters, where the metric gives no influences


_NO_REQUEST = "no request holds both a positive and a negative"
METRICS: dict[str, Metric] = {
    "auc": Metric("AUC", True, "logit", "row"),
    "group_auc": Metric(
        "group AUC", True, "logit", "group", "no group holds both a positive and a negative"
    ),
    "logloss": Metric("logloss", False, "plain", "row"),
    "normalised_entropy": Metric("NE (1 − RIG)", False, "plain", "row"),
    "pr_auc": Metric("PR-AUC", True, "logit", "row"),
    "ece": Metric("ECE", False, "biased", "row"),
    "mrr": Metric("MRR", True, "logit", "request", _NO_REQUEST),
    "hit_at_1": Metric("hit@1", True, "logit", "request", _NO_REQUEST),
}
SCALED: dict[str, Metric] = {
    "logloss_scaled": Metric("logloss, scaled", False, "plain", "row"),
    "normalised_entropy_scaled": Metric("NE, scaled", False, "plain", "row"),
    "ece_scaled": Metric("ECE, scaled", False, "biased", "row"),
}
ALL_METRICS = METRICS | SCALED


class Value(NamedTuple):
    """A metric of one score vector and the influence of each unit of its axis."""

    value: float
    influence: Floats  # [units]
    redraw: Callable[[Axis], Floats] | None = None  # instead, where there are no influences

    def summed(self, axis: Axis) -> Floats:
        """Influences summed within the clusters [size], or the deviations of redraws [draws]."""
        if self.redraw is not None:
            return self.redraw(axis)
        return np.bincount(axis.code, self.influence, axis.size).astype(np.float64)


class ScoreMeasures(NamedTuple):
    """All that one pass over a score vector gives."""

    values: dict[str, Value]
    curves: dict[str, calibration.Curve]  # "ece" and, when scaled, "ece_scaled"
    chance: dict[str, float]  # upward bias of an ECE, at most
    constant: bool  # every score is the same


@dataclass(frozen=True)
class Layout:
    """The rows with everything that does not depend on scores, made once."""

    rows: RowTable
    cluster: str = "user"  # what is independent: user | request

    def __post_init__(self) -> None:
        if self.cluster not in ("user", "request"):
            raise UsageError(f"got cluster {self.cluster!r}, expected user or request")

    @property
    def _cluster(self) -> NDArray[np.integer]:
        return self.rows.group if self.cluster == "user" else self.rows.request

    @cached_property
    def axis(self) -> Axis:
        """Rows in clusters."""
        return row_axis(self._cluster, self.rows.label)

    @cached_property
    def crossed_axes(self) -> tuple[Axis, Axis, Axis]:
        """Rows by user, by item and by both together, for two-way clustering."""
        label, group, item = self.rows.label, self.rows.group, self.rows.item
        cells = crossed(group, item)
        return row_axis(group, label), row_axis(item, label), row_axis(cells, label)

    @cached_property
    def groups(self) -> Units:
        """Rows in groups (users)."""
        return units(self.rows.group, self.rows.label)

    @cached_property
    def requests(self) -> Units:
        """Rows in requests."""
        return units(self.rows.request, self.rows.label)

    @cached_property
    def group_axis(self) -> Axis:
        """Groups with both classes in clusters."""
        return unit_axis(self.groups, self._cluster)

    @cached_property
    def request_axis(self) -> Axis:
        """Requests with both classes in clusters."""
        return unit_axis(self.requests, self._cluster)

    def axis_of(self, unit: str) -> Axis:
        """The clusters of a metric's units: rows, groups or requests."""
        axes = {"row": "axis", "group": "group_axis", "request": "request_axis"}
        axis: Axis = getattr(self, axes[unit])
        return axis


def measure(layout: Layout, logits: Scores, metrics: tuple[str, ...]) -> ScoreMeasures:
    """One pass: a sort for all ranking metrics, a sum for the losses.

    `logits` [N] are finite float32 in the rows' order; `metrics` are keys of METRICS.
    """
    label = layout.rows.label
    groups = tie_groups(logits, label)
    values: dict[str, Value] = {}
    curves: dict[str, calibration.Curve] = {}
    chance: dict[str, float] = {}
    if "auc" in metrics:
        values["auc"] = Value(*auc_influence(groups))
    if "pr_auc" in metrics:
        values["pr_auc"] = Value(*ranking.average_precision(groups))
    if "group_auc" in metrics:
        values["group_auc"] = Value(*ranking.group_auc(logits, label, layout.groups))
    if "mrr" in metrics or "hit_at_1" in metrics:
        ranks = ranking.request_ranks(logits, label, layout.requests)
        values["mrr"] = Value(*ranking.reciprocal_rank(ranks))
        values["hit_at_1"] = Value(*ranking.hit_at_1(ranks))
    if "logloss" in metrics or "normalised_entropy" in metrics:
        values.update(_losses(layout, logits, ""))
    if "ece" in metrics:
        first = calibration.equal_mass_bins(groups)
        error = calibration.calibration_error(logits, groups, first, layout.axis)
        values["ece"] = Value(error.value, error.rows)
        curves["ece"], chance["ece"] = error.curve, error.chance
    chosen = {name: value for name, value in values.items() if name in metrics}
    return ScoreMeasures(chosen, curves, chance, len(groups.size) == 1)


def measure_scaled(layout: Layout, logits: Scores, temperature: float) -> ScoreMeasures:
    """The metrics of logits [n] that a temperature changes; ranks are not among them."""
    scaled = (logits / np.float32(temperature)).astype(np.float32)
    groups = tie_groups(logits, layout.rows.label)
    first = calibration.equal_mass_bins(groups)
    error = calibration.calibration_error(scaled, groups, first, layout.axis)
    values = _losses(layout, scaled, "_scaled")
    values["ece_scaled"] = Value(error.value, error.rows)
    return ScoreMeasures(values, {"ece_scaled": error.curve}, {"ece_scaled": error.chance}, False)


def _losses(layout: Layout, logits: Scores, suffix: str) -> dict[str, Value]:
    label = layout.rows.label
    losses = calibration.row_losses(logits, label)
    return {
        f"logloss{suffix}": Value(*calibration.logloss(losses)),
        f"normalised_entropy{suffix}": Value(*calibration.normalised_entropy(losses, label)),
    }
