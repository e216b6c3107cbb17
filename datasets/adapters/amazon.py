"""Amazon Reviews 2023: `NAME.train.csv`, `.valid.csv`, `.test.csv`, and vectors made beforehand.

The files (5-core, split by timestamp or leave-last-out) have user_id, parent_asin, rating,
timestamp in milliseconds. Vectors are `MODALITY.npy` with the asin of every row in
`MODALITY_ids.npy` (or .csv, .parquet); items without a vector count as lacking the modality.
"""

from pathlib import Path

from fusefront.datasets.adapters.layout import HISTORY, checked, need, own_vectors
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "Amazon Reviews 2023"


def propose(folder: Path) -> DatasetSpec:
    """Rating 4 and 5 are clicks; history from the log; the published split.

    Raises:
        DataContractError: the folder lacks the three files of a category, or vectors with their
            ids.
    """
    logs = sorted(folder.glob("*.train.csv"))
    if not logs:
        raise DataContractError(
            f"{folder}: no 'NAME.train.csv', which the layout {LAYOUT!r} has; give the folder with "
            "the three files of one category"
        )
    name = logs[0].name.removesuffix(".train.csv")
    need(folder, LAYOUT, f"{name}.valid.csv", f"{name}.test.csv")
    modalities = own_vectors(folder)
    if not modalities:
        raise DataContractError(
            f"{folder}: no vectors 'MODALITY.npy' with 'MODALITY_ids.npy' beside them; make them "
            "with an encoder of your choice, one row an item, and save the asins as the ids"
        )
    raw: dict[str, Json] = {
        "name": f"amazon_{name}".lower(),
        "interactions": {part: f"{name}.{part}.csv" for part in ("train", "valid", "test")},
        "columns": {
            "user": "user_id",
            "item": "parent_asin",
            "label": "rating",
            "timestamp": "timestamp",
        },
        "label": {"positive_when": ">= 4"},
        "history": {"from": "log", "max_length": HISTORY},
        "items": {"keys": "log"},
        "modalities": modalities,
        "split": {"by": "given"},
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)
