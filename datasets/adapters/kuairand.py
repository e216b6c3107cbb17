"""KuaiRand (Pure, 1K, 27K): `log_standard_*.csv` with clicks, users, and the videos' basic
features.

Published at https://kuairand.com (Gao et al., CIKM 2022, arXiv:2208.08696). Left out: the random
log, what only the play itself tells (play time, likes, ...), the state of a video at publication,
and `video_features_statistic_*.csv`, whose averages cover the log's own month, its end included.
"""

from pathlib import Path

from fusefront.datasets.adapters.layout import HISTORY, checked, need, own_vectors
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "KuaiRand"
SIZES = ("pure", "1k", "27k")
USER_FIELDS = (
    "user_active_degree",
    "is_lowactive_period",
    "is_live_streamer",
    "is_video_author",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
    *(f"onehot_feat{number}" for number in range(18)),
)
VIDEO_FIELDS = ("author_id", "video_type", "upload_type", "music_id", "music_type")


def propose(folder: Path) -> DatasetSpec:
    """Clicks of both standard logs, histories from them, a split by time."""
    inside = "data/" if (folder / "data").is_dir() else ""
    size = _size(folder, inside)
    users, videos = f"user_features_{size}.csv", f"video_features_basic_{size}.csv"
    need(folder, LAYOUT, f"{inside}{users}", f"{inside}{videos}")
    fields: list[Json] = [{"column": name} for name in VIDEO_FIELDS]
    fields.append({"column": "tag", "type": "categories", "separator": ","})
    fields.append({"column": "video_duration", "type": "number"})
    raw: dict[str, Json] = {
        "name": f"kuairand_{size}",
        "interactions": {"path": _logs(folder, inside, size)},
        "columns": {
            "user": "user_id",
            "item": "video_id",
            "label": "is_click",
            "timestamp": "time_ms",
        },
        "history": {"from": "log", "max_length": HISTORY},
        "request_fields": [{"column": "tab"}],
        "users": {
            "path": f"{inside}{users}",
            "key": "user_id",
            "fields": [{"column": name} for name in USER_FIELDS],
        },
        "items": {"path": f"{inside}{videos}", "key": "video_id", "fields": fields},
        "modalities": own_vectors(folder),
        "split": {"by": "time", "valid": 0.1, "test": 0.1},
        "cluster": "user",
        "slices": [
            {"name": "cold_item", "when": "cold_item"},
            {"name": "scenario", "column": "tab"},
        ],
    }
    return checked(raw, LAYOUT)


def _size(folder: Path, inside: str) -> str:
    sizes = [size for size in SIZES if _logs(folder, inside, size)]
    if len(sizes) != 1:
        there = ", ".join(sizes) or "none"
        raise DataContractError(
            f"{folder}: the logs 'log_standard_*_SIZE.csv', which the layout {LAYOUT!r} has in one "
            f"size of {', '.join(SIZES)}, are here in: {there}; give the folder of one size"
        )
    return sizes[0]


def _logs(folder: Path, inside: str, size: str) -> list[Json]:
    """The standard logs in order of time, those in parts (27K) included."""
    paths = (folder / inside).glob(f"log_standard_*_{size}*.csv")
    return [f"{inside}{name}" for name in sorted(path.name for path in paths)]
