"""AUC against the width of nested codes, from the scores that a run recorded at every width."""

from pathlib import Path
from typing import TypedDict

import numpy as np
import polars as pl

from fusefront.harness.dossier.record_types import NestedRecord, NestedRow
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.hashes import checked, read_scores
from fusefront.harness.runs.records import read_record
from fusefront.harness.statistics.trained_auc import TrainedAuc, change_ends, trained_auc

FILE = "nested.json"


class WidthRow(TypedDict):
    """One width: AUC on validation, its change from the whole code with a 95 % interval, MACs."""

    k: int
    split: str
    auc: float
    delta: float
    low: float | None  # None: too few users tell
    high: float | None
    macs_per_item: int
    macs_per_candidate: int


def width_rows(run: Path) -> list[WidthRow]:
    """One row a width, widest first; () if the codes do not nest.

    The interval treats the groups of the split (users) as independent, weighted by their rows; it
    has no ends if too few groups are left.
    """
    path = run / FILE
    if not path.exists():
        return []
    record = read_record(path, NestedRecord)
    if record.get("format", 1) == 1:  # older runs recorded the metrics themselves
        return [
            _row(row, row["auc"], (row["delta"], row["low"], row["high"])) for row in record["rows"]
        ]
    whole: TrainedAuc | None = None
    rows = []
    for row in record["rows"]:
        frame = _predictions(run, row["predictions"])
        label = frame["label"].to_numpy()
        logit = frame["logit"].to_numpy().astype(np.float32, copy=False)
        here = trained_auc(logit, label, frame["group"].to_numpy())
        whole = whole or here
        if here is whole:
            rows.append(_row(row, here.value, (0.0, 0.0, 0.0)))
            continue
        delta, low, high, _ = change_ends(here, whole)
        shown = (None, None) if np.isnan(low) else (low, high)
        rows.append(_row(row, here.value, (delta, *shown)))
    return rows


def _row(row: NestedRow, auc: float, change: tuple[float, float | None, float | None]) -> WidthRow:
    delta, low, high = change
    return WidthRow(
        k=row["k"],
        split=row["split"],
        auc=float(auc),
        delta=float(delta),
        low=low,
        high=high,
        macs_per_item=row["macs_per_item"],
        macs_per_candidate=int(row["macs_per_candidate"]),
    )


def _predictions(run: Path, name: str) -> pl.DataFrame:
    if not (run / name).exists():
        raise UsageError(
            f"{run / name}: got no predictions, expected them there; run the study again"
        )
    return read_scores(checked(run, name), ["group", "label", "logit"])
