"""MovieLens with text, posters and trailers: a 30 % sample of MovieLens-1M, or latest-small.

`visual_avf107.npy` is left out: it holds infinite values, which prepare refuses.
"""

from pathlib import Path

from fusefront.datasets.adapters.layout import HISTORY, checked, need
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "MovieLens multimodal"
TEXT = "text_title_genre_plot_minilm_384.npy"
IMAGE = "image_efflite0_1280.npy"
AUDIO = "audio_ivec100.npy"


def propose_ml1m(folder: Path) -> DatasetSpec:
    """300,063 ratings 2000-2003, with the users' gender, age and occupation."""
    need(folder, LAYOUT, "users_ml1m.parquet")
    users: Json = {
        "path": "users_ml1m.parquet",
        "key": "userId",
        "fields": [{"column": name} for name in ("gender", "age", "occupation")],
    }
    sensitive: list[Json] = [
        {"name": name, "column": name, "sensitive": True} for name in ("gender", "age")
    ]
    return _spec(folder, "ml1m30", {"users": users}, sensitive)


def propose_small(folder: Path) -> DatasetSpec:
    """100,836 ratings 1996-2018 of 610 users."""
    return _spec(folder, "mlls", {}, [])


def _spec(folder: Path, name: str, more: dict[str, Json], slices: list[Json]) -> DatasetSpec:
    log = f"interactions_{name}.parquet"
    need(folder, LAYOUT, log, "items.parquet", TEXT, IMAGE, AUDIO)
    raw: dict[str, Json] = {
        "name": name,
        "interactions": {"path": log},
        "columns": {
            "user": "userId",
            "item": "movieId",
            "label": "rating",
            "timestamp": "timestamp",
        },
        "label": {"positive_when": ">= 4"},
        "history": {"from": "log", "max_length": HISTORY},
        "items": {
            "path": "items.parquet",
            "key": "movieId",
            "fields": [
                {"column": "genres", "type": "categories", "separator": "|", "max_values": 12}
            ],
        },
        "modalities": {
            "text": {"path": TEXT, "keyed_by": "row", "dtype": "float16"},
            "image": {
                "path": IMAGE,
                "keyed_by": "row",
                "present": "has_image",
                "dtype": "float16",
            },
            "audio": {"path": AUDIO, "keyed_by": "row", "present": "has_audio"},
        },
        "split": {"by": "time", "valid": 0.1, "test": 0.2},
        "cluster": "user",
        "slices": [
            {"name": "cold_item", "when": "cold_item"},
            {"name": "cold_user", "when": "cold_user"},
            {"name": "no_audio", "when": "no_audio"},
            *slices,
        ],
        **more,
    }
    return checked(raw, LAYOUT)
