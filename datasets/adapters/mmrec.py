"""The MMRec layout (Baby, Sports, Clothing, ...): `NAME.inter` and `image_feat.npy`,
`text_feat.npy`.

`x_label` 0, 1, 2 is train, valid, test; every row is a positive; item k is row k of the vectors.
The published split draws rows per user at random: a history can hold later events than train has.
"""

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

LAYOUT = "MMRec"
FEATURES = {
    "text": ("text_feat.npy",),
    "image": ("image_feat.npy",),
    "audio": ("audio_feat.npy",),
    "video": ("video_feat.npy",),
}
SPLITS = {0: "train", 1: "valid", 2: "test"}


def propose(folder: Path) -> DatasetSpec:
    """The given split, causal histories, four uniform negatives a positive."""
    logs = sorted(folder.glob("*.inter"))
    if not logs:
        need(folder, LAYOUT, f"{folder.name}.inter")
    features = vector_files(folder, FEATURES)
    if not features:
        need(folder, LAYOUT, "image_feat.npy")
    log, timed = _log(logs[0])
    columns: dict[str, Json] = {"user": "user", "item": "item"}
    history: dict[str, Json] = {"from": "list", "column": "history", "max_length": HISTORY}
    if timed:
        columns["timestamp"] = "timestamp"
        history = {"from": "log", "max_length": HISTORY}
    raw: dict[str, Json] = {
        "name": logs[0].stem,
        "interactions": {"path": write_side(folder, "interactions.parquet", log)},
        "columns": columns,
        "history": history,
        "items": {"keys": "rows"},
        "modalities": {name: {"path": path} for name, path in features.items()},
        "split": {"by": "given", "column": "split"},
        "negatives": {"per_positive": 4, "draw": "uniform"},
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)


def _log(path: Path) -> tuple[pl.LazyFrame, bool]:
    """user, item, split, and timestamp or history (the user's rows above, train before valid,
    test)."""
    log = pl.scan_csv(path, separator="\t", glob=False)
    have = log.collect_schema().names()
    for name in ("userID", "itemID", "x_label"):
        if name not in have:
            raise DataContractError(
                f"{path}: no column {name!r} (it has {', '.join(have)}); a {LAYOUT} log is text "
                "with tabs between userID, itemID, rating, timestamp and x_label"
            )
    strays = log.filter(~pl.col("x_label").is_in(list(SPLITS))).head(1).collect()
    if strays.height:
        raise DataContractError(
            f"{path}, column 'x_label': got {strays['x_label'][0]!r}, expected 0, 1 or 2"
        )
    log_columns = log.select(
        pl.col("userID").alias("user"),
        pl.col("itemID").alias("item"),
        pl.col("x_label").replace_strict(SPLITS, return_dtype=pl.String).alias("split"),
        *(["timestamp"] if "timestamp" in have else []),
    )
    if "timestamp" in have:
        return log_columns, True
    rank = {"train": 0, "valid": 1, "test": 2}
    order = log_columns.with_row_index("row").sort(pl.col("split").replace_strict(rank), "row")
    return earlier_items(order.drop("row").with_row_index("place")).drop("place"), False
