"""KuaiRand, written exactly as published (columns, types, missing values), against the store."""

import csv
from pathlib import Path

import numpy as np
import pytest

from fusefront.datasets.adapters.kuairand import USER_FIELDS
from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare

LOG = [
    "user_id",
    "video_id",
    "date",
    "hourmin",
    "time_ms",
    "is_click",
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_hate",
    "long_view",
    "play_time_ms",
    "duration_ms",
    "profile_stay_time",
    "comment_stay_time",
    "is_profile_enter",
    "is_rand",
    "tab",
]
USERS = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,"
    "follow_user_num,follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,"
    "friend_user_num_range,register_days,register_days_range,"
    + ",".join(f"onehot_feat{n}" for n in range(18))
).split(",")
BASIC = [
    "video_id",
    "author_id",
    "video_type",
    "upload_dt",
    "upload_type",
    "visible_status",
    "video_duration",
    "server_width",
    "server_height",
    "music_id",
    "music_type",
    "tag",
]
NAMES = {
    "pure": ["log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv"],
    "1k": ["log_standard_4_08_to_4_21_1k.csv", "log_standard_4_22_to_5_08_1k.csv"],
    "27k": [
        f"log_standard_{span}_27k_part{part}.csv"
        for span in ("4_08_to_4_21", "4_22_to_5_08")
        for part in (1, 2)
    ],
}
VIDEOS, PEOPLE, EACH = 20, 15, 60


def write_csv(path: Path, columns: list[str], rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, columns, lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def write_kuairand(folder: Path, size: str) -> dict[str, list[dict[str, object]]]:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    users = [
        dict.fromkeys(USERS, 0)
        | {
            "user_id": user * 7,
            "user_active_degree": ["full_active", "high_active", "UNKNOWN"][user % 3],
            "is_lowactive_period": -124 if user == 3 else user % 2,
            "follow_user_num_range": ["(0,10]", "(10,50]", "0", "500+"][user % 4],
            "fans_user_num_range": ["[1,10)", "[100,1k)", "0"][user % 3],
            "friend_user_num_range": "0",
            "register_days_range": "730+",
            "onehot_feat4": "" if user == 2 else f"{user % 5}.0",
            "onehot_feat12": "" if user % 4 == 0 else "1.0",
        }
        for user in range(PEOPLE)
    ]
    videos = [
        {
            "video_id": video,
            "author_id": 8_839_734 - video // 2,
            "video_type": ["NORMAL", "AD", "UNKNOWN"][video % 3],
            "upload_dt": "" if video == 4 else f"2022-04-{video % 28 + 1:02d}",
            "upload_type": ["ShortImport", "LongCamera", ""][video % 3],
            "visible_status": 1,
            "video_duration": "" if video == 5 else f"{1_000 * (video + 5)}.0",
            "server_width": 720,
            "server_height": 1280,
            "music_id": 989_206_467 + video,
            "music_type": "" if video % 5 == 0 else "9.0",
            "tag": ["12,65", "", "7", "-124", "1,2,3"][video % 5],
        }
        for video in range(VIDEOS)
    ]
    write_csv(folder / f"user_features_{size}.csv", USERS, users)
    write_csv(folder / f"video_features_basic_{size}.csv", BASIC, videos)
    log, start = [], 1_649_347_200_000
    for part, name in enumerate(NAMES[size]):
        rows = []
        for user in rng.integers(0, PEOPLE, PEOPLE * EACH // len(NAMES[size])).tolist():
            click = int(rng.random() < 0.4)
            time = start + part * 20_000_000 + int(rng.integers(0, 20_000_000))
            rows.append(
                dict.fromkeys(LOG, 0)
                | {
                    "user_id": user * 7,
                    "video_id": int(rng.integers(0, VIDEOS)),
                    "date": 20220408 + part,
                    "hourmin": 100 * int(rng.integers(0, 24)),
                    "time_ms": time,
                    "is_click": click,
                    "play_time_ms": 9_000 * click,
                    "duration_ms": 17_200,
                    "tab": int(rng.integers(0, 15)),
                }
            )
        write_csv(folder / name, LOG, rows)
        log += rows
    random = f"log_random_4_22_to_5_08_{size}.csv"
    write_csv(folder / random, LOG, [dict.fromkeys(LOG, 1) | {"is_rand": 1}])
    return {"log": log, "users": users, "videos": videos}


@pytest.mark.parametrize(("size", "inside"), [("pure", "data"), ("1k", ""), ("27k", "")])
def test_the_store_equals_the_published_files(size, inside, tmp_path, readback) -> None:
    source = write_kuairand(tmp_path / "KuaiRand" / inside, size)
    spec = propose_layout("kuairand", tmp_path / "KuaiRand")
    assert spec.name == f"kuairand_{size}"
    back = readback(prepare(spec, tmp_path / "KuaiRand", tmp_path / "out"))
    log = source["log"]
    times = sorted(int(row["time_ms"]) for row in log)
    low, high = times[int(len(log) * 0.8)], times[int(len(log) * 0.9)]
    people = {user["user_id"]: user for user in source["users"]}

    def split(row):
        return "train" if row["time_ms"] < low else "valid" if row["time_ms"] < high else "test"

    train = [row for row in log if split(row) == "train"]
    train_values = {
        name: {str(people[row["user_id"]][name]) for row in train} - {""} for name in USER_FIELDS
    }
    tabs = {str(row["tab"]) for row in train}
    assert [row.row for row in back.rows] == list(range(len(log)))
    for stored, row in zip(back.rows, log, strict=True):
        assert stored.split == split(row)
        assert (stored.user, stored.item) == (row["user_id"], row["video_id"])
        assert (stored.label, stored.time) == (row["is_click"], row["time_ms"])
        clicks = [
            other
            for other in log
            if other["user_id"] == row["user_id"]
            and other["is_click"]
            and other["time_ms"] < row["time_ms"]
        ]
        clicks.sort(key=lambda other: other["time_ms"])
        assert stored.history == tuple(other["video_id"] for other in clicks[-50:])
        expected = {"tab": str(row["tab"]) if str(row["tab"]) in tabs else None}
        for name in USER_FIELDS:
            value = str(people[row["user_id"]][name])
            expected[name] = value if value in train_values[name] else None
        assert stored.of_request == expected
        assert stored.slices["scenario"] == str(row["tab"])


def test_the_videos_keep_their_features_and_what_is_missing_is_absent(tmp_path, readback) -> None:
    source = write_kuairand(tmp_path / "k", "pure")
    back = readback(prepare(propose_layout("kuairand", tmp_path / "k"), tmp_path / "k", tmp_path))
    known = [v["video_duration"] for v in source["videos"] if v["video_duration"]]
    assert set(back.items) == set(range(VIDEOS))
    for video in source["videos"]:
        stored = back.items[video["video_id"]]
        for name in ("author_id", "video_type", "upload_type", "music_id", "music_type"):
            assert stored[name] == (str(video[name]) or None), name
        assert stored["tag"] == tuple(value for value in str(video["tag"]).split(",") if value)
        mean = sum(float(value) for value in known) / len(known)
        assert stored["video_duration"] == pytest.approx(float(video["video_duration"] or mean))


def test_nothing_that_the_play_itself_tells_is_an_input(tmp_path) -> None:
    write_kuairand(tmp_path / "k", "pure")
    spec = propose_layout("kuairand", tmp_path / "k")
    read = {field.column for field in (*spec.request_fields, *spec.candidate_fields)}
    assert read == {"tab"}
    assert not {"visible_status", "upload_dt"} & {field.column for field in spec.items.fields}


def test_folders_of_no_size_or_of_two_are_refused(tmp_path) -> None:
    write_kuairand(tmp_path / "k" / "data", "pure")
    for size in NAMES["1k"]:
        (tmp_path / "k" / "data" / size).write_text("user_id\n1\n")
    with pytest.raises(DataContractError, match="are here in: pure, 1k; give the folder of one"):
        propose_layout("kuairand", tmp_path / "k")
    with pytest.raises(DataContractError, match="are here in: none"):
        propose_layout("kuairand", tmp_path)
