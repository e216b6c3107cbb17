"""Scores of a run's codes cut at every width: what nested codes (Matryoshka) are trained for."""

from pathlib import Path

from fusefront.baselines.contract import Baseline
from fusefront.baselines.models.composed import Composed
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.data.tables import schema_of
from fusefront.harness.runs.files import write_json
from fusefront.harness.testing.macs import encode_macs_per_item
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict, write_predictions

FILE = "nested.json"


def write_widths(run: Path, model: Baseline, store: PreparedDataset) -> None:
    """nested.json and predictions/valid-k<width>.parquet of a run whose codes nest; else nothing.

    A width is chosen by them, so test stays closed. What is stored and multiplied offline shrinks
    with k; online the width is the token's, whatever k is.
    """
    if not isinstance(model, Composed) or not model.prefixes:
        return
    items, schema = store.manifest.schema_.items, schema_of(store)
    rows = []
    for prefix in model.prefixes:
        small = model.narrowed(prefix).eval()
        logits = predict(small, encode_table(small, items), store, "valid")
        name = f"predictions/valid-k{prefix}.parquet"
        write_predictions(run / name, logits, store, "valid")
        rows.append(
            {
                "k": prefix,
                "split": "valid",
                "predictions": name,
                "macs_per_item": encode_macs_per_item(small),
                "macs_per_candidate": macs_per_candidate(small, items, schema),
            }
        )
    write_json(run / FILE, {"format": 2, "compressor": model.settings.compressor, "rows": rows})
