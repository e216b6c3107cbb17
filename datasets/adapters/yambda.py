"""Yambda (Yandex Music): listens or likes of the flat files, and the audio vectors of the tracks.

Published at https://huggingface.co/datasets/yandex/yambda (arXiv:2505.22238). Read from the
smallest size that is there: flat/50m, flat/500m, flat/5b. Left out: dislikes, unlikes and
undislikes, the length of a listened track (a drawn row has none), albums and artists, `embed`
beside its unit form.
"""

from pathlib import Path

import polars as pl

from fusefront.datasets.adapters.layout import HISTORY, checked, need, write_side
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "Yambda"
SIZES = ("50m", "500m", "5b")
VECTORS = "embeddings.parquet"
ALL_EVENTS = "multi_event.parquet"


def propose_listens(folder: Path) -> DatasetSpec:
    """Tracks played to at least half are positives; the other listens are left out."""
    more: dict[str, Json] = {"label": {"positive_when": ">= 50"}}
    return _spec(folder, "listen", {"label": "played_ratio_pct"}, more)


def propose_likes(folder: Path) -> DatasetSpec:
    """Every like is a positive, taken back later or not."""
    return _spec(folder, "like", {}, {})


def _spec(folder: Path, event: str, columns: dict[str, Json], more: dict[str, Json]) -> DatasetSpec:
    size = next((size for size in SIZES if (folder / "flat" / size).is_dir()), SIZES[0])
    log = _log(folder, f"flat/{size}", event)
    need(folder, LAYOUT, VECTORS)
    raw: dict[str, Json] = {
        "name": f"yambda_{size}_{event}s",
        "interactions": {"path": log},
        "columns": {"user": "uid", "item": "item_id", "timestamp": "timestamp", **columns},
        "history": {"from": "log", "max_length": HISTORY},
        "request_fields": [{"column": "is_organic"}],
        "items": {"keys": "log"},
        "modalities": {
            "audio": {"path": VECTORS, "key": "item_id", "column": "normalized_embed"},
        },
        "split": {"by": "time", "valid": 0.1, "test": 0.1},
        "negatives": {"per_positive": 4, "draw": "popularity"},
        "cluster": "user",
        "slices": [
            {"name": "cold_item", "when": "cold_item"},
            {"name": "no_audio", "when": "no_audio"},
            {"name": "organic", "column": "is_organic"},
        ],
        **more,
    }
    return checked(raw, LAYOUT)


def _log(folder: Path, inside: str, event: str) -> str:
    """The file of one kind of event, cut out of the file of all events where it alone is there."""
    own = f"{inside}/{event}s.parquet"
    if (folder / own).is_file() or not (folder / inside / ALL_EVENTS).is_file():
        need(folder, LAYOUT, own)
        return own
    path = folder / inside / ALL_EVENTS
    events = pl.scan_parquet(path, glob=False)
    if "event_type" not in events.collect_schema().names():
        raise DataContractError(
            f"{path}: no column 'event_type', which the layout {LAYOUT!r} has; download it again"
        )
    rows = events.filter(pl.col("event_type").cast(pl.String) == event).drop("event_type")
    return write_side(folder, f"{event}s.parquet", rows)
