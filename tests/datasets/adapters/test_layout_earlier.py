"""The first seven layouts, exactly as published, row by row against the store."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.adapters import mmctr
from fusefront.datasets.adapters.movielens import AUDIO, IMAGE, TEXT
from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.prepare import prepare

DRAWN = 4  # negatives a positive


def by_time(times: list[int], valid: float, test: float) -> tuple[int, int]:
    """The first times of valid and of test."""
    times = sorted(times)
    return times[int(len(times) * (1 - valid - test))], times[int(len(times) * (1 - test))]


def part_of(time: int, cuts: tuple[int, int]) -> str:
    return "train" if time < cuts[0] else "valid" if time < cuts[1] else "test"


def check_drawn(back, positives: list[tuple[object, object, object]]) -> None:
    """Drawn rows: of a positive's user, time and split, at most four, never one of the user's own.

    `positives` are (user, item, time) in order of the source.
    """
    own, earlier, first = defaultdict(set), defaultdict(list), {}
    for user, item, time in positives:
        own[user].add(item)
        earlier[user, time].append(item)
        first[item] = min(time, first.get(item, time)) if time is not None else None
    split = {row.row: (row.split, row.user) for row in back.rows if row.label}
    drawn = [row for row in back.rows if not row.label]
    per = defaultdict(set)
    for row in drawn:
        source = (row.row - len(positives)) // DRAWN
        user, _, time = positives[source]
        assert (row.split, row.user) == split[source]
        assert row.time == time
        assert row.item not in own[user]
        assert time is None or first[row.item] < time
        assert row.item not in per[source]
        per[source].add(row.item)
    assert max(map(len, per.values())) == DRAWN


# --- MicroLens_1M_MMCTR


def write_mmctr(folder: Path) -> dict[str, list[dict[str, object]]]:
    """Parquet written by pandas: int64, lists of int64 and of double; test has an ID and no
    label."""
    rng = np.random.default_rng(1)
    log = folder / "MicroLens_1M_x1"
    log.mkdir(parents=True)
    items = [
        {
            "item_id": item,
            "item_tags": [0] * (5 - item % 6) + [1 + (item + k) % 9 for k in range(item % 6)],
            "item_emb_d128": [0.0] * 128 if item == 0 else rng.normal(size=128).tolist(),
        }
        for item in range(21)
    ]
    pl.DataFrame(items).write_parquet(log / "item_info.parquet")
    source: dict[str, list[dict[str, object]]] = {"items": items}
    for name, first, people in (("train", 1, 300), ("valid", 301, 40), ("test", 341, 20)):
        rows = []
        for user in range(first, first + people):
            length = int(rng.integers(0, 65))
            sequence = [0] * (64 - length) + rng.integers(1, 21, length).tolist()
            rows += [
                {
                    "user_id": user,
                    "item_seq": sequence,
                    "item_id": int(rng.integers(1, 21)),
                    "likes_level": int(rng.integers(1, 11)),
                    "views_level": int(rng.integers(1, 11)),
                    "label": int(place == 0),
                }
                for place in range(4)
            ]
        source[name] = rows
        frame = pl.DataFrame(rows)
        if name == "test":
            frame = frame.drop("label").with_row_index("ID").cast({"ID": pl.Int64})
        frame.write_parquet(log / f"{name}.parquet")
    return source


def test_mmctr(tmp_path, readback) -> None:
    source = write_mmctr(tmp_path / "m")
    back = readback(prepare(mmctr.propose(tmp_path / "m"), tmp_path / "m", tmp_path / "out"))
    valid_users = {u for u in range(1, 301) if (u * 2_654_435_761 % 2**32) % 1_000 < 25}
    parts = {
        "train": [row for row in source["train"] if row["user_id"] not in valid_users],
        "valid": [row for row in source["train"] if row["user_id"] in valid_users],
        "test": source["valid"],
    }
    assert 0 < len(parts["valid"]) < 100
    for split, rows in parts.items():
        stored = back.of(split)
        assert len(stored) == len(rows)
        for actual, row in zip(stored, rows, strict=True):
            assert (actual.user, actual.item, actual.label) == (
                row["user_id"],
                row["item_id"],
                row["label"],
            )
            assert actual.history == tuple(item for item in row["item_seq"] if item)
            levels = {name: str(row[name]) for name in ("likes_level", "views_level")}
            assert actual.of_candidate == levels
    assert set(back.items) == set(range(1, 21))
    for item in source["items"][1:]:
        tags = tuple(str(tag) for tag in item["item_tags"] if tag)
        assert back.items[item["item_id"]]["item_tags"] == tags
        assert back.vectors["mixed"][item["item_id"]] == pytest.approx(item["item_emb_d128"])


# --- MicroLens pairs


@pytest.mark.parametrize("inside", ["", "extracted_modality_features"])
def test_microlens_pairs(inside: str, tmp_path, readback) -> None:
    """user,item,timestamp in milliseconds, in no order; dumps under the portal's own names."""
    rng = np.random.default_rng(2)
    data = tmp_path / "m"
    (data / inside).mkdir(parents=True)
    pairs, rows = set(), []
    for _ in range(700):
        user, item = int(rng.integers(1, 31)), int(rng.integers(1, 41))
        if (user, item) not in pairs:
            pairs.add((user, item))
            rows.append((user, item, 1_662_984_066_000 + int(rng.integers(0, 10**9))))
    lines = ["user,item,timestamp", *(",".join(map(str, row)) for row in rows)]
    (data / "MicroLens-100k_pairs.csv").write_text("\n".join(lines) + "\n")
    image = rng.normal(size=(40, 6)).astype(np.float32)
    np.save(data / inside / "MicroLens-100k_image_features_CLIPRN50.npy", image)
    np.save(data / inside / "MicroLens-100k_title_en_text_features_BgeM3.npy", -image[:, :3])
    back = readback(prepare(propose_layout("microlens_pairs", data), data, tmp_path / "out"))
    cuts = by_time([time for _, _, time in rows], 0.1, 0.1)
    positives = [row for row in back.rows if row.label]
    assert [row.row for row in positives] == list(range(len(rows)))
    for actual, (user, item, time) in zip(positives, rows, strict=True):
        earlier = sorted((t, i) for u, i, t in rows if u == user and t < time)
        assert actual[:7] == (part_of(time, cuts), actual.request, user, actual.row, item, 1, time)
        assert actual.history == tuple(i for _, i in earlier[-50:])
    for item in range(1, 41):
        assert back.vectors["image"][item] == tuple(image[item - 1].tolist())
        assert back.vectors["text"][item] == tuple((-image[item - 1, :3]).tolist())
    check_drawn(back, rows)


# --- MMRec


@pytest.mark.parametrize("timed", [True, False])
def test_mmrec(timed: bool, tmp_path, readback) -> None:
    """NAME.inter with tabs: userID itemID rating timestamp x_label; float64 vectors."""
    rng = np.random.default_rng(3)
    data = tmp_path / "baby"
    data.mkdir()
    rows = [
        (user, int(item), 5.0, 1_370_000_000 + 86_400 * int(rng.integers(0, 900)), label)
        for user in range(25)
        for item, label in zip(
            rng.choice(30, 9, replace=False), [0, 0, 0, 0, 0, 0, 1, 2, 0], strict=True
        )
    ]
    names = ["userID", "itemID", "rating", "timestamp", "x_label"]
    columns = [name for name in names if timed or name != "timestamp"]
    with (data / "baby.inter").open("w", newline="") as file:
        out = csv.DictWriter(
            file, columns, delimiter="\t", lineterminator="\n", extrasaction="ignore"
        )
        out.writeheader()
        out.writerows(dict(zip(names, row, strict=True)) for row in rows)
    for name, width in (("image", 16), ("text", 8)):
        np.save(data / f"{name}_feat.npy", rng.normal(size=(30, width)))
    back = readback(prepare(propose_layout("mmrec", data), data, tmp_path / "out"))
    splits = ("train", "valid", "test")
    positives = [row for row in back.rows if row.label]
    assert len(positives) == len(rows)
    order = rows if timed else sorted(rows, key=lambda row: row[4])
    # without times the rows stand user by user, in the order train, valid, test
    expected = order if timed else sorted(order, key=lambda row: row[0])
    for actual, (user, item, _, time, label) in zip(positives, expected, strict=True):
        assert (actual.split, actual.user, actual.item) == (splits[label], user, item)
        assert actual.time == (time if timed else None)
        mine = [row for row in order if row[0] == user]
        if timed:
            earlier = [row[1] for row in sorted(mine, key=lambda row: row[3]) if row[3] < time]
        else:
            earlier = [
                row[1] for row in mine[: mine.index((user, item, 5.0, _time(mine, item), label))]
            ]
        assert actual.history == tuple(earlier[-50:])
    for name in ("image", "text"):
        vectors = np.load(data / f"{name}_feat.npy")
        for item in range(30):
            assert back.vectors[name][item] == pytest.approx(vectors[item].tolist())
    check_drawn(back, [(row[0], row[1], row[3] if timed else None) for row in expected])


def _time(rows: list[tuple[int, int, float, int, int]], item: int) -> int:
    return next(row[3] for row in rows if row[1] == item)


# --- TikTok


def test_tiktok(tmp_path, readback) -> None:
    """train.json, val.json, test.json: user -> items, users without items in val and test left
    out."""
    rng = np.random.default_rng(4)
    data = tmp_path / "t"
    data.mkdir()
    parts: dict[str, dict[str, list[int]]] = {"train": {}, "val": {}, "test": {}}
    for user in rng.permutation(20).tolist():
        drawn = rng.choice(35, 8, replace=False).tolist()
        parts["train"][str(user)] = drawn[:5]
        if user % 3:
            parts["val"][str(user)] = drawn[5:6]
        parts["test"][str(user)] = drawn[6:] if user % 4 else []
    for name, users in parts.items():
        (data / f"{name}.json").write_text(json.dumps(users))
    for name in ("image", "audio", "text"):
        np.save(data / f"{name}_feat.npy", rng.normal(size=(35, 12)))
    back = readback(prepare(propose_layout("tiktok", data), data, tmp_path / "out"))
    expected = []
    for user in sorted(parts["train"], key=int):
        history: list[int] = []
        for split, name in (("train", "train"), ("valid", "val"), ("test", "test")):
            for item in parts[name].get(user, []):
                expected.append((split, int(user), item, tuple(history)))
                history.append(item)
    positives = [row for row in back.rows if row.label]
    assert [(row.split, row.user, row.item, row.history) for row in positives] == expected
    check_drawn(back, [(user, item, None) for _, user, item, _ in expected])


# --- Amazon Reviews 2023


@pytest.mark.parametrize("with_history", [False, True])
def test_amazon(with_history: bool, tmp_path, readback) -> None:
    """user_id,parent_asin,rating,timestamp[,history]: ratings 1.0 to 5.0, milliseconds."""
    rng = np.random.default_rng(5)
    data = tmp_path / "a"
    data.mkdir()
    asins = [f"B0{n:08d}" for n in range(15)] + ["0439023483", "1612184898"]  # books have numbers
    header = "user_id,parent_asin,rating,timestamp" + (",history" if with_history else "")
    rows, start = [], 1_452_647_102_000
    for split, span in (("train", 0), ("valid", 1), ("test", 2)):
        part = []
        for _ in range(150):
            user = f"AG{int(rng.integers(0, 12)):026d}"
            time = start + span * 10**9 + int(rng.integers(0, 10**9))
            part.append((split, user, str(rng.choice(asins)), float(rng.integers(1, 6)), time))
        lines = [
            ",".join([u, i, f"{r:.1f}", str(t)] + ["B1 B2"] * with_history)
            for _, u, i, r, t in part
        ]
        (data / f"Books.{split}.csv").write_text("\n".join([header, *lines]) + "\n")
        rows += part
    vectors = rng.normal(size=(len(asins), 5)).astype(np.float32)
    np.save(data / "text.npy", vectors)
    np.save(data / "text_ids.npy", np.array(asins))
    back = readback(prepare(propose_layout("amazon_2023", data), data, tmp_path / "out"))
    assert len(back.rows) == len(rows)
    people = defaultdict(set)
    for actual, (split, user, item, rating, time) in zip(back.rows, rows, strict=True):
        assert (actual.split, actual.item, actual.time) == (split, item, time)
        assert actual.label == int(rating >= 4)
        people[actual.user].add(user)
        liked = sorted((t, i) for _, u, i, r, t in rows if u == user and r >= 4 and t < time)
        assert actual.history == tuple(i for _, i in liked[-50:])
    assert all(len(names) == 1 for names in people.values())
    assert back.vectors["text"] == {
        asin: tuple(vectors[row].tolist())
        for row, asin in enumerate(asins)
        if asin in {row[2] for row in rows}
    }


# --- MovieLens


@pytest.mark.parametrize(
    ("layout", "name"), [("movielens_ml1m", "ml1m30"), ("movielens_small", "mlls")]
)
def test_movielens(layout: str, name: str, tmp_path, readback) -> None:
    """Int32 keys, float32 ratings; items without text, image or audio; users with zip codes."""
    rng = np.random.default_rng(6)
    data = tmp_path / "m"
    data.mkdir()
    films = 18
    items = [
        {
            "row": n,
            "movieId": 3 * n + 1,
            "title": f"Film {n} (1999)",
            "genres": ["(no genres listed)", "Action", "Action|Sci-Fi", "Children's|Drama"][n % 4],
            "imdbId": n,
            "tmdbId": None if n == 5 else n,
            "text": None if n % 3 else f"plot {n}",
            "text_source": None if n % 3 else "omdb",
            "director": None,
            "actors": "A, B",
            "has_text": n % 3 == 0,
            "has_image": n % 4 != 1,
            "has_audio": n % 5 == 2,
        }
        for n in range(films)
    ]
    schema = {"row": pl.UInt32, "director": pl.String}
    pl.DataFrame(items, schema_overrides=schema).write_parquet(data / "items.parquet")
    vectors = {}
    for path, width, flag in (
        (TEXT, 384, None),
        (IMAGE, 1280, "has_image"),
        (AUDIO, 100, "has_audio"),
    ):
        array = rng.normal(size=(films, width)).astype(np.float32 if path == AUDIO else np.float16)
        if flag:
            array[[not item[flag] for item in items]] = 0
        vectors[path] = array
        np.save(data / path, array)
    users = [
        {
            "userId": n,
            "gender": "FM"[n % 2],
            "age": [1, 18, 56][n % 3],
            "occupation": n % 21,
            "zipCode": f"0{n}",
        }
        for n in range(1, 21)
    ]
    pl.DataFrame(users).write_parquet(data / "users_ml1m.parquet")
    log = [
        {
            "userId": int(rng.integers(1, 21)),
            "movieId": 3 * int(rng.integers(0, films)) + 1,
            "rating": float(rng.integers(1, 11)) / 2,
            "timestamp": 956_703_932 + int(rng.integers(0, 10**6)),
        }
        for _ in range(500)
    ]
    kinds = {"userId": pl.Int32, "movieId": pl.Int32, "rating": pl.Float32, "timestamp": pl.Int64}
    pl.DataFrame(log, kinds).write_parquet(data / f"interactions_{name}.parquet")
    back = readback(prepare(propose_layout(layout, data), data, tmp_path / "out"))
    cuts = by_time([row["timestamp"] for row in log], 0.1, 0.2)
    for actual, row in zip(back.rows, log, strict=True):
        time = row["timestamp"]
        assert (actual.split, actual.user) == (part_of(time, cuts), row["userId"])
        assert (actual.item, actual.label, actual.time) == (
            row["movieId"],
            int(row["rating"] >= 4),
            time,
        )
        liked = [
            (other["timestamp"], other["movieId"])
            for other in log
            if other["userId"] == row["userId"]
            and other["rating"] >= 4
            and other["timestamp"] < time
        ]
        assert actual.history == tuple(item for _, item in sorted(liked)[-50:])
        if layout == "movielens_ml1m":
            person = users[row["userId"] - 1]
            names = ("gender", "age", "occupation")
            assert actual.of_request == {field: str(person[field]) for field in names}
            assert (actual.slices["gender"], actual.slices["age"]) == (
                person["gender"],
                str(person["age"]),
            )
    for item in items:
        genres = back.items[item["movieId"]]["genres"]
        assert genres == tuple(item["genres"].split("|"))
        for modality, path, flag in (("image", IMAGE, "has_image"), ("audio", AUDIO, "has_audio")):
            assert (item["movieId"] in back.vectors[modality]) == item[flag]
            if item[flag]:
                assert back.vectors[modality][item["movieId"]] == tuple(
                    vectors[path][item["row"]].tolist()
                )
        assert back.vectors["text"][item["movieId"]] == tuple(vectors[TEXT][item["row"]].tolist())
