"""Scores of a run with its item codes cut to each smaller width, as nested (Matryoshka) codes
allow."""

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
    """Write nested.json and predictions/valid-k<width>.parquet if the run's codes nest; else
    nothing.

    The scores are of validation, because they are used to choose a width. A smaller k shrinks what
    is stored and multiplied offline; online the token keeps its width.
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
