"""All metrics of one score vector, with the influence of each cluster on them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.auc import Floats, Scores, auc_influence, tie_groups
from fusefront.harness.statistics.leverage import Lever, cluster_sums, within_large
from fusefront.harness.statistics.measures import calibration, ranking
from fusefront.harness.statistics.measures.listwise import PLACES, TopPlaces
from fusefront.harness.statistics.rows import (
    Axis,
    RowTable,
    Units,
    cell_axis,
    row_axis,
    unit_axis,
    units,
)


class Metric(NamedTuple):
    """The title of a metric, whether more is better, and how its interval is made."""

    title: str
    higher_is_better: bool
    scale: Literal["logit", "log", "plain", "biased"]  # of one strategy's interval
    unit: Literal["row", "group", "request"]  # what carries the influence
    undefined: str = ""  # the sentence if the metric has no value
    draws: int = 0  # redraws of whole clusters, if the metric gives no influences
    lever: Lever = "rows"  # what the weights of clusters in the metric are counted in
    directed: bool = True  # False if the best value is in the middle (PCOC): no verdicts


_NO_REQUEST = "no request holds both a positive and a negative"
METRICS: dict[str, Metric] = {
    "auc": Metric("AUC", True, "logit", "row", lever="classes"),
    "group_auc": Metric(
        "group AUC", True, "logit", "group", "no group holds both a positive and a negative"
    ),
    "logloss": Metric("logloss", False, "plain", "row"),
    "normalised_entropy": Metric("NE (1 − RIG)", False, "plain", "row"),
    "pr_auc": Metric("PR-AUC", True, "logit", "row", lever="classes"),
    "ece": Metric("ECE", False, "biased", "row", directed=False),
    "pcoc": Metric("PCOC", False, "log", "row", "no row is a positive", directed=False),
    "mrr": Metric("MRR", True, "logit", "request", _NO_REQUEST, lever="units"),
    "hit_at_1": Metric("hit@1", True, "logit", "request", _NO_REQUEST, lever="units"),
    "session_auc": Metric("session AUC", True, "logit", "request", _NO_REQUEST),
    f"ndcg_at_{PLACES}": Metric(
        f"NDCG@{PLACES}", True, "logit", "request", _NO_REQUEST, lever="units"
    ),
    f"recall_at_{PLACES}": Metric(
        f"recall@{PLACES}", True, "logit", "request", _NO_REQUEST, lever="units"
    ),
}
SCALED: dict[str, Metric] = {
    "logloss_scaled": Metric("logloss, scaled", False, "plain", "row"),
    "normalised_entropy_scaled": Metric("NE, scaled", False, "plain", "row"),
    "ece_scaled": Metric("ECE, scaled", False, "biased", "row"),
}
ALL_METRICS = METRICS | SCALED
# differences of these were covered in simulations with twice the effective clusters as degrees of
# freedom, at most so many times all clusters: a mean has no more of them than all clusters; the
# jackknife's variance of an AUC is large with few. PR-AUC was not, other metrics were not simulated
DF_BOUNDS = dict.fromkeys(["group_auc", "logloss", "normalised_entropy", *SCALED], 1.0)
DF_BOUNDS |= {"auc": 1.5}
del DF_BOUNDS["ece_scaled"]


class Value(NamedTuple):
    """A metric of one score vector and the influence of each unit (row, group, request) on it."""

    value: float
    influence: Floats  # [units]
    redraw: Callable[[Axis], Floats] | None = None  # used instead of influences
    within: Callable[[Axis], Floats | None] | None = None  # an AUC's: that within large clusters

    def summed(self, axis: Axis, lever: Lever | None = None) -> Floats:
        """Influences summed within the clusters [size], or the deviations of redraws [draws].

        With `lever`, corrected to what leaving each cluster out would show.
        """
        if self.redraw is not None:
            return self.redraw(axis)
        within = self.within(axis) if self.within is not None and lever is not None else None
        return cluster_sums(axis, self.influence, lever, within)


class ScoreMeasures(NamedTuple):
    """The results of one pass over a score vector."""

    values: dict[str, Value]
    curves: dict[str, calibration.Curve]  # "ece" and, when scaled, "ece_scaled"
    chance: dict[str, float]  # the largest upward bias of an ECE
    constant: bool  # every score is the same


@dataclass(frozen=True)
class Layout:
    """The rows with everything that does not depend on scores, computed once."""

    rows: RowTable
    cluster: str = "user"  # what counts as independent: user | request

    def __post_init__(self) -> None:
        if self.cluster not in ("user", "request"):
            raise UsageError(f"got cluster {self.cluster!r}, expected user or request")

    @property
    def clusters(self) -> NDArray[np.integer]:
        """[n] the user or request code of every row, as in the rows."""
        return self.rows.group if self.cluster == "user" else self.rows.request

    @cached_property
    def axis(self) -> Axis:
        """The clusters of the rows."""
        return row_axis(self.clusters, self.rows.label)

    @cached_property
    def crossed_axes(self) -> tuple[Axis, Axis, Axis]:
        """The clusterings of the rows by user, by item and by pairs of both, for two-way
        clustering."""
        if self.cluster == "user":
            return self.crossed_by_cluster
        label, group, item = self.rows.label, self.rows.group, self.rows.item
        return row_axis(group, label), row_axis(item, label), cell_axis(group, item, label)

    @cached_property
    def crossed_by_cluster(self) -> tuple[Axis, Axis, Axis]:
        """The clusterings of the rows by cluster, by item and by pairs of both."""
        label, item = self.rows.label, self.rows.item
        return self.axis, row_axis(item, label), cell_axis(self.clusters, item, label)

    @cached_property
    def groups(self) -> Units:
        """The rows by group (user)."""
        return units(self.rows.group, self.rows.label)

    @cached_property
    def requests(self) -> Units:
        """The rows by request."""
        return units(self.rows.request, self.rows.label)

    @cached_property
    def group_axis(self) -> Axis:
        """The clusters of the groups with both classes."""
        return unit_axis(self.groups, self.clusters)

    @cached_property
    def request_axis(self) -> Axis:
        """The clusters of the requests with both classes."""
        return unit_axis(self.requests, self.clusters)

    def cluster_value(self, unit: str, code: int) -> int:
        """The user or request that a code of `axis_of(unit)` stands for."""
        place = int(np.argmax(self.axis_of(unit).code == code))
        if unit != "row":
            of = self.groups if unit == "group" else self.requests
            place = int(of.first[of.both][place])
        return int(self.clusters[place])

    def axis_of(self, unit: str) -> Axis:
        """The clusters of a metric's units: rows, groups or requests."""
        axes = {"row": "axis", "group": "group_axis", "request": "request_axis"}
        axis: Axis = getattr(self, axes[unit])
        return axis


def measure(layout: Layout, logits: Scores, metrics: tuple[str, ...]) -> ScoreMeasures:
    """Measure one score vector: one sort serves all ranking metrics, one sum the losses.

    `logits` [N] are finite float32 in the rows' order; `metrics` are keys of METRICS.
    """
    label = layout.rows.label
    groups = tie_groups(logits, label)
    values: dict[str, Value] = {}
    curves: dict[str, calibration.Curve] = {}
    chance: dict[str, float] = {}
    if "auc" in metrics:
        auc = auc_influence(groups)
        values["auc"] = Value(
            *auc, within=lambda axis: within_large(axis, logits, label, auc.value)
        )
    if "pr_auc" in metrics:
        values["pr_auc"] = Value(*ranking.average_precision(groups))
    if "group_auc" in metrics:
        values["group_auc"] = Value(*ranking.group_auc(logits, label, layout.groups))
    if "mrr" in metrics or "hit_at_1" in metrics:
        ranks = ranking.request_ranks(logits, label, layout.requests)
        values["mrr"] = Value(*ranking.reciprocal_rank(ranks))
        values["hit_at_1"] = Value(*ranking.hit_at_1(ranks))
    if "session_auc" in metrics:
        values["session_auc"] = Value(*ranking.group_auc(logits, label, layout.requests))
    values.update(_first_places(layout, logits, metrics))
    if "pcoc" in metrics:
        values["pcoc"] = Value(*calibration.predicted_over_clicked(logits, label))
    if "logloss" in metrics or "normalised_entropy" in metrics:
        values.update(_losses(layout, logits, ""))
    if "ece" in metrics:
        first = calibration.equal_mass_bins(groups)
        error = calibration.calibration_error(logits, groups, first, layout.axis)
        values["ece"] = Value(error.value, error.rows)
        curves["ece"], chance["ece"] = error.curve, error.chance
    chosen = {name: value for name, value in values.items() if name in metrics}
    return ScoreMeasures(chosen, curves, chance, len(groups.size) == 1)


def _first_places(layout: Layout, logits: Scores, metrics: tuple[str, ...]) -> dict[str, Value]:
    """NDCG and recall of the first places, as far as `metrics` names them."""
    ndcg, recall = f"ndcg_at_{PLACES}", f"recall_at_{PLACES}"
    if not {ndcg, recall} & set(metrics):
        return {}
    placed = TopPlaces(logits, layout.rows.label, layout.requests)
    return {ndcg: Value(*placed.ndcg(PLACES)), recall: Value(*placed.recall(PLACES))}


def measure_scaled(layout: Layout, logits: Scores, temperature: float) -> ScoreMeasures:
    """The metrics that a temperature changes, of logits [n] divided by it; ranking metrics do not
    change."""
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
