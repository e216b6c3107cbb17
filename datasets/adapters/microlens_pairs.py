"""MicroLens-100k and its sisters: `*_pairs.csv` (user, item, timestamp) and dumps of item features.

Items are numbered from 1. A dump with one row more than the largest number starts with a padding
row.
"""

from pathlib import Path

import numpy as np
import polars as pl

from fusefront.datasets.adapters.layout import HISTORY, checked, write_side
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.vectors import npy_rows
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "MicroLens pairs"
INSIDE = "extracted_modality_features"
WORDS = {
    "text": ("text", "title"),
    "image": ("image", "cover"),
    "audio": ("audio",),
    "video": ("video",),
}


def propose(folder: Path) -> DatasetSpec:
    """Positives in order of time, a global time split, four popular negatives a positive.

    Raises:
        DataContractError: the folder lacks the pairs or the dumps of item features.
    """
    pairs = sorted(folder.glob("*_pairs.csv"))
    if not pairs:
        raise DataContractError(
            f"{folder}: no '*_pairs.csv' (user,item,timestamp), which the layout {LAYOUT!r} has; "
            "give the folder that holds it"
        )
    dumps = _dumps(folder)
    if not dumps:
        raise DataContractError(
            f"{folder}: no feature dump such as 'image_features.npy' beside {pairs[0].name!r}; "
            "put the npy files of the item features there"
        )
    largest = _largest(pairs[0])
    raw: dict[str, Json] = {
        "name": pairs[0].name.removesuffix("_pairs.csv").lower().replace("-", "_"),
        "interactions": {"path": pairs[0].name},
        "columns": {"user": "user", "item": "item", "timestamp": "timestamp"},
        "history": {"from": "log", "max_length": HISTORY},
        "items": {"path": _items(folder, largest, dumps), "key": "item"},
        "modalities": {name: {"path": path} for name, path in dumps.items()},
        "split": {"by": "time", "valid": 0.1, "test": 0.1},
        "negatives": {"per_positive": 4, "draw": "popularity"},
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)


def _dumps(folder: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    for path in sorted([*folder.glob("*.npy"), *(folder / INSIDE).glob("*.npy")]):
        for modality, words in WORDS.items():
            if any(word in path.stem.lower() for word in words):
                files.setdefault(modality, str(path.relative_to(folder)))
                break
    return files


def _largest(pairs: Path) -> int:
    largest = pl.scan_csv(pairs, glob=False).select(pl.col("item").max()).collect().item()
    if not isinstance(largest, int):
        raise DataContractError(f"{pairs}: column 'item' holds {largest!r}, expected item numbers")
    return largest


def _items(folder: Path, largest: int, dumps: dict[str, str]) -> str:
    """The item file that numbers the dumps' rows."""
    counts = {name: npy_rows(folder / name).shape[0] for name in dumps.values()}
    rows = next(iter(counts.values()))
    if len(set(counts.values())) > 1 or rows < largest:
        raise DataContractError(
            f"{folder}: the dumps have {counts} rows, the log's largest item number is {largest}; "
            "every dump needs one row an item, in order of the number"
        )
    first = 0 if rows > largest else 1
    numbers = pl.LazyFrame({"item": np.arange(first, first + rows)})
    return write_side(folder, "items.parquet", numbers)
