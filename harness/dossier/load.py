"""Reads the predictions of a study one vector at a time, and makes joint models of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.harness.decision.replay import open_log, per_thousand, shown
from fusefront.harness.dossier.record_types import store_facts
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.hashes import read_predictions
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import auc_influence, tie_groups
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.leverage import auc_sums, effective_clusters, left_out
from fusefront.harness.statistics.measures.metrics import DF_BOUNDS
from fusefront.harness.statistics.rows import contiguous, row_axis

Scores = NDArray[np.float32]
SHUFFLED = "shuffled"  # the control that every study with modalities gets


def is_device(study: StudyFolder, strategy: str) -> bool:
    """Whether a strategy has shuffled or random vectors: a control that can never ship."""
    declared = study.spec.strategies.get(strategy)
    return strategy == SHUFFLED or bool(declared and declared.other_vectors)


def rows_of_test(study: StudyFolder, entry: RunEntry) -> pl.DataFrame:
    """row_id, request, group, label and `cluster` (independent units) of the test split."""
    frame = read_predictions(entry.path, "test")
    kind = store_facts(study.store_path).get("cluster", "user")
    column = "group" if kind == "user" else "request"
    return frame.select("row_id", "request", "group", "label", pl.col(column).alias("cluster"))


def read_scores(run: Path) -> Scores:
    """The test logits [N] of a run."""
    return (
        read_predictions(run, "test", ["logit"])["logit"].to_numpy().astype(np.float32, copy=False)
    )


def auc_joint(rows: pl.DataFrame, vectors: Mapping[str, list[Path]]) -> JointModel:
    """The joint model of the AUC; `vectors`: name -> run folders, one a seed, all on the same
    rows."""
    label = rows["label"].to_numpy()
    axis = row_axis(rows["cluster"].to_numpy(), label)
    effective = effective_clusters(axis, "classes")
    names = tuple(vectors)
    sums = Accumulator.empty(
        names, axis.size, axis.mc, effective=effective, df_bound=DF_BOUNDS["auc"]
    )
    for name, runs in vectors.items():
        for run in runs:
            scores = _checked(run, len(rows))
            auc = auc_influence(tie_groups(scores, label))
            sums.add(name, auc.value, auc_sums(axis, auc, scores, label))
    return sums.joint()


def replay_joint(
    rows: pl.DataFrame, vectors: Mapping[str, list[Path]], k: int
) -> tuple[JointModel, int, float] | None:
    """The joint model of clicks per 1,000 impressions in the top k, the number of replayed
    requests, and items a request.

    None if no logged request has two candidates, so that there is no order to replay.
    """
    label = rows["label"].to_numpy()
    cluster = rows["cluster"].to_numpy()
    log = open_log(label, rows["request"].to_numpy(), cluster)
    if log.requests == 0:
        return None
    axis = row_axis(contiguous(cluster[log.keep])[0], label[log.keep])
    effective = effective_clusters(axis, "rows")
    sums = Accumulator.empty(tuple(vectors), axis.size, axis.mc, effective=effective)
    for name, runs in vectors.items():
        for run in runs:
            score = _checked(run, len(rows))[log.keep].astype(np.float64)
            rate, summed = per_thousand(log, score, k)
            sums.add(name, rate, left_out(axis, summed, "rows"))
    return sums.joint(), log.requests, float(shown(log, k).mean())


def _checked(run: Path, rows: int) -> Scores:
    scores = read_scores(run)
    if len(scores) != rows:
        raise UsageError(
            f"{run}: got {len(scores):,} test predictions, expected {rows:,} as in the study's "
            "other runs; delete this run's folder and run the study again"
        )
    return scores
