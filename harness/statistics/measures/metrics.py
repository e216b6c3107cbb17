"""All metrics of one score vector, with the influence of each cluster on them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.auc import (
    Floats,
    RowInfluence,
    Scores,
    TieGroups,
    auc_influence,
    tie_groups,
)
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
    """Measure one score vector.

    `logits` [N] are finite float32 in the rows' order; of `metrics` those of METRICS are measured.
    """
    scored = _ScoredRows(layout, logits)
    values = {name: scored.value(name) for name in metrics if name in METRICS}
    curves, chance = {}, {}
    if "ece" in metrics:
        curves["ece"], chance["ece"] = scored.error.curve, scored.error.chance
    return ScoreMeasures(values, curves, chance)


@dataclass(frozen=True)
class _ScoredRows:
    """One score vector on its rows: one sort serves all ranking metrics, one sum the losses."""

    layout: Layout
    logits: Scores  # [N]

    @cached_property
    def groups(self) -> TieGroups:
        return tie_groups(self.logits, self.layout.rows.label)

    @cached_property
    def losses(self) -> Floats:
        return calibration.row_losses(self.logits, self.layout.rows.label)

    @cached_property
    def ranks(self) -> ranking.RequestRanks:
        return ranking.request_ranks(self.logits, self.layout.rows.label, self.layout.requests)

    @cached_property
    def places(self) -> TopPlaces:
        return TopPlaces(self.logits, self.layout.rows.label, self.layout.requests)

    @cached_property
    def error(self) -> calibration.CalibrationError:
        first = calibration.equal_mass_bins(self.groups)
        return calibration.calibration_error(self.logits, self.groups, first, self.layout.axis)

    def value(self, metric: str) -> Value:
        """One of METRICS with its influences."""
        layout, logits, label = self.layout, self.logits, self.layout.rows.label
        if metric == "auc":
            auc = auc_influence(self.groups)
            return Value(*auc, within=lambda axis: within_large(axis, logits, label, auc.value))
        measures: dict[str, Callable[[], RowInfluence | ranking.UnitInfluence]] = {
            "pr_auc": lambda: ranking.average_precision(self.groups),
            "group_auc": lambda: ranking.group_auc(logits, label, layout.groups),
            "session_auc": lambda: ranking.group_auc(logits, label, layout.requests),
            "mrr": lambda: ranking.reciprocal_rank(self.ranks),
            "hit_at_1": lambda: ranking.hit_at_1(self.ranks),
            f"ndcg_at_{PLACES}": lambda: self.places.ndcg(PLACES),
            f"recall_at_{PLACES}": lambda: self.places.recall(PLACES),
            "pcoc": lambda: calibration.predicted_over_clicked(logits, label),
            "logloss": lambda: calibration.logloss(self.losses),
            "normalised_entropy": lambda: calibration.normalised_entropy(self.losses, label),
            "ece": lambda: RowInfluence(self.error.value, self.error.rows),
        }
        return Value(*measures[metric]())


def measure_scaled(layout: Layout, logits: Scores, temperature: float) -> ScoreMeasures:
    """The metrics that a temperature changes, of logits [n] divided by it; ranking metrics do not
    change."""
    scaled = (logits / np.float32(temperature)).astype(np.float32)
    groups = tie_groups(logits, layout.rows.label)
    first = calibration.equal_mass_bins(groups)
    error = calibration.calibration_error(scaled, groups, first, layout.axis)
    losses, label = calibration.row_losses(scaled, layout.rows.label), layout.rows.label
    values = {
        "logloss_scaled": Value(*calibration.logloss(losses)),
        "normalised_entropy_scaled": Value(*calibration.normalised_entropy(losses, label)),
        "ece_scaled": Value(error.value, error.rows),
    }
    return ScoreMeasures(values, {"ece_scaled": error.curve}, {"ece_scaled": error.chance})
