"""The AUC of trained models on other test rows: intervals for a single seed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import Floats, Labels, Scores, auc_influence, tie_groups
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.estimates import ends
from fusefront.harness.statistics.leverage import auc_sums, effective_clusters
from fusefront.harness.statistics.measures.metrics import DF_BOUNDS
from fusefront.harness.statistics.rows import Axis, row_axis


class TrainedAuc(NamedTuple):
    """The AUC of one score vector, and the influence of each cluster of rows on it."""

    value: float
    summed: Floats  # [clusters] influences, as leaving each cluster out would show them
    axis: Axis


class AucEnds(NamedTuple):
    """An AUC or a difference with its 95 % interval; the ends are nan with too few clusters."""

    value: float
    low: float
    high: float
    clusters: int


def trained_auc(scores: Scores, label: Labels, cluster: NDArray[np.integer]) -> TrainedAuc:
    """The AUC of scores and labels [N]; rows with one code in `cluster` [N], a user or a request,
    are dependent."""
    axis, auc = row_axis(cluster, label), auc_influence(tie_groups(scores, label))
    return TrainedAuc(auc.value, auc_sums(axis, auc, scores, label), axis)


def auc_ends(auc: TrainedAuc) -> AucEnds:
    """The AUC with its interval over clusters, which are weighted by their share of the rows."""
    model = _model(auc)
    known = model.has_intervals and model.alone(0).se > 0  # 0 at an AUC of 0 or 1
    low, high = ends(model, 0, "logit") if known else (float("nan"), float("nan"))
    return AucEnds(auc.value, low, high, auc.axis.size)


def change_ends(auc: TrainedAuc, whole: TrainedAuc) -> AucEnds:
    """`auc` minus `whole`, both on the same rows, with its interval over clusters."""
    pair = _model(auc, whole).trained_pair(0, 1)
    return AucEnds(pair.difference, pair.low, pair.high, auc.axis.size)


def _model(*aucs: TrainedAuc) -> JointModel:
    axis = aucs[0].axis
    names = tuple(map(str, range(len(aucs))))
    effective = effective_clusters(axis, "classes")
    models = Accumulator.empty(
        names, axis.size, axis.mc, effective=effective, df_bound=DF_BOUNDS["auc"]
    )
    for at, auc in enumerate(aucs):
        models.add(names[at], auc.value, auc.summed)
    return models.joint()
