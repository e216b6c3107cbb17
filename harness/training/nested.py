"""AUC against the width of the code, from one run: what nested codes (Matryoshka) are trained for."""

from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

import numpy as np

from fusefront.baselines.contract import Baseline
from fusefront.baselines.models.composed import Composed
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.data.tables import schema_of
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.statistics.auc import Labels, RowInfluence, auc_influence, tie_groups
from fusefront.harness.testing.macs import encode_macs_per_item
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict

NORMAL = NormalDist().inv_cdf(0.975)


def write_curve(path: Path, model: Baseline, store: PreparedDataset) -> None:
    """nested.json of a run whose codes nest; nothing otherwise."""
    if isinstance(model, Composed) and model.prefixes:
        rows = list(curve(model, store))
        write_json(path, {"format": 1, "compressor": model.settings.compressor, "rows": rows})


def curve(model: Composed, store: PreparedDataset) -> Iterator[dict[str, Json]]:
    """A row a width, widest first: AUC on validation, its 95 % interval against the whole code, MACs.

    A width is chosen by it, so test stays closed. The interval treats the groups of the split
    (users) as independent. What is stored and multiplied
    offline shrinks with k; online the width is the token's, whatever k is.
    """
    items, schema = store.manifest.schema_.items, schema_of(store)
    label: Labels = np.asarray(store.split("valid").label)
    whole: RowInfluence | None = None
    for prefix in model.prefixes:
        small = model.narrowed(prefix).eval()
        codes = encode_table(small, items)
        cost = {
            "macs_per_item": encode_macs_per_item(small),
            "macs_per_candidate": macs_per_candidate(small, items, schema),
        }
        found = auc_influence(tie_groups(predict(small, codes, store, "valid"), label))
        whole = whole or found
        delta = found.value - whole.value
        half = NORMAL * _deviation(found.rows - whole.rows, store)
        interval = {"delta": delta, "low": delta - half, "high": delta + half}
        yield {"k": prefix, "split": "valid", "auc": found.value, **interval, **cost}


def _deviation(influence: np.ndarray, store: PreparedDataset) -> float:
    """Standard error of a sum of influences over rows, those of one group added first."""
    rows = store.split("valid")
    start = np.asarray(rows.row_start, np.int64)
    group = np.repeat(np.asarray(rows.group), start[1:] - start[:-1])
    _, code = np.unique(group, return_inverse=True)
    return float(np.sqrt(np.square(np.bincount(code, influence)).sum()))
