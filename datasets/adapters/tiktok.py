"""The TikTok layout of multimodal recommendation: json splits and one npy a modality.

`train.json`, `val.json`, `test.json` map a user to a list of items; item k is row k of the vectors.
There are no times: a user's items count as clicked in the order of the lists, train first.
"""

import json
from pathlib import Path

import polars as pl

from fusefront.datasets.adapters.layout import (
    HISTORY,
    checked,
    earlier_items,
    need,
    vector_files,
    write_side,
)
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "TikTok"
FILES = {"train": "train.json", "valid": "val.json", "test": "test.json"}
FEATURES = {
    "text": ("text_feat.npy",),
    "image": ("image_feat.npy", "visual_feat.npy"),
    "audio": ("audio_feat.npy", "acoustic_feat.npy"),
}


def propose(folder: Path) -> DatasetSpec:
    """The given split, histories in the order of the lists, four uniform negatives a positive."""
    need(folder, LAYOUT, *FILES.values())
    features = vector_files(folder, FEATURES)
    if not features:
        need(folder, LAYOUT, "image_feat.npy")
    parts = [_clicks(folder / name, split) for split, name in FILES.items()]
    log = earlier_items(pl.concat(parts).lazy().with_row_index("place")).drop("place")
    raw: dict[str, Json] = {
        "name": "tiktok",
        "interactions": {"path": write_side(folder, "interactions.parquet", log)},
        "columns": {"user": "user", "item": "item"},
        "history": {"from": "list", "column": "history", "max_length": HISTORY},
        "items": {"keys": "rows"},
        "modalities": {name: {"path": path} for name, path in features.items()},
        "split": {"by": "given", "column": "split"},
        "negatives": {"per_positive": 4, "draw": "uniform"},
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)


def _clicks(path: Path, split: str) -> pl.DataFrame:
    """user, item, split in the order of the file."""
    try:
        users = json.loads(path.read_text(encoding="utf-8"))
        flat = [(int(user), int(item)) for user, items in users.items() for item in items]
    except (ValueError, TypeError, AttributeError) as error:
        raise DataContractError(
            f"{path}: not a json object of user -> list of item numbers ({error}); download it "
            "again"
        ) from None
    schema = {"user": pl.Int64, "item": pl.Int64}
    return pl.DataFrame(flat, schema, orient="row").with_columns(split=pl.lit(split))
