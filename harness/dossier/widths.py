"""AUC against the width of nested codes, from the scores that a run left at every width."""

from pathlib import Path
from statistics import NormalDist
from typing import TypedDict

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.harness.dossier.record_types import NestedRecord, NestedRow
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.hashes import checked, read_scores
from fusefront.harness.runs.records import read_record
from fusefront.harness.statistics.auc import RowInfluence, auc_influence, tie_groups

FILE = "nested.json"
NORMAL = NormalDist().inv_cdf(0.975)


class WidthRow(TypedDict):
    """One width: AUC on validation, its change from the whole code with a 95 % interval, MACs."""

    k: int
    split: str
    auc: float
    delta: float
    low: float
    high: float
    macs_per_item: int
    macs_per_candidate: int


def width_rows(run: Path) -> list[WidthRow]:
    """A row a width, widest first; none where the codes do not nest.

    The interval treats the groups of the split (users) as independent.
    """
    path = run / FILE
    if not path.exists():
        return []
    record = read_record(path, NestedRecord)
    if record.get("format", 1) == 1:  # the figures themselves, as runs wrote them before
        return [
            _row(row, row["auc"], (row["delta"], row["low"], row["high"])) for row in record["rows"]
        ]
    whole: RowInfluence | None = None
    rows = []
    for row in record["rows"]:
        frame = _predictions(run, row["predictions"])
        label = frame["label"].to_numpy()
        logit = frame["logit"].to_numpy().astype(np.float32, copy=False)
        here = auc_influence(tie_groups(logit, label))
        whole = whole or here
        delta = here.value - whole.value
        half = NORMAL * _standard_error(here.rows - whole.rows, frame["group"].to_numpy())
        rows.append(_row(row, here.value, (delta, delta - half, delta + half)))
    return rows


def _row(row: NestedRow, auc: float, change: tuple[float, float, float]) -> WidthRow:
    delta, low, high = change
    return WidthRow(
        k=row["k"],
        split=row["split"],
        auc=float(auc),
        delta=float(delta),
        low=float(low),
        high=float(high),
        macs_per_item=row["macs_per_item"],
        macs_per_candidate=int(row["macs_per_candidate"]),
    )


def _predictions(run: Path, name: str) -> pl.DataFrame:
    if not (run / name).exists():
        raise UsageError(
            f"{run / name}: got no predictions, expected them there; run the study again"
        )
    return read_scores(checked(run, name), ["group", "label", "logit"])


def _standard_error(influence: NDArray[np.float64], group: NDArray[np.int64]) -> float:
    """Of a sum of influences over rows, those of one group added first."""
    _, code = np.unique(group, return_inverse=True)
    return float(np.sqrt(np.square(np.bincount(code, influence)).sum()))
