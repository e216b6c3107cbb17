"""TencentGR's folders of parquet parts and its indexer, exactly as published, against the store."""

import logging
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.adapters.plain_pickle import read_plain
from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare

ITEM_FIELDS = [
    "100",
    "117",
    "118",
    "101",
    "102",
    "119",
    "120",
    "114",
    "112",
    "121",
    "115",
    "122",
    "116",
]
USER_FIELDS, USER_LISTS = ["103", "104", "105", "109"], ["106", "107", "108", "110"]
EVENT = {"item_id": pl.Int64, "action_type": pl.Int64, "timestamp": pl.Int64}
SEQ = {"user_id": pl.Int64, "seq": pl.List(pl.Struct(EVENT))}
ADS, USERS, OWN = 30, 14, 20_000_000_000


def write_parts(folder: Path, frame: pl.DataFrame, parts: int) -> None:
    folder.mkdir(parents=True)
    step = -(-frame.height // parts)
    for number in range(parts):
        frame.slice(number * step, step).write_parquet(folder / f"part-{number:05d}.parquet")


def write_tencent(folder: Path, *, untold: bool = True) -> dict[str, object]:
    rng = np.random.default_rng(11)
    own = {OWN + int(n): k + 1 for k, n in enumerate(rng.permutation(ADS))}  # ad -> number
    people = {f"user_{n:08d}": n for n in range(1, USERS + 1)}
    users, sequences = [], []
    for number in range(1, USERS + 1):
        start = 1_745_900_000 + int(rng.integers(0, 1_000))
        sequence = [
            {
                "item_id": int(rng.integers(1, ADS + 1)),
                "action_type": int(rng.choice([0, 0, 0, 1, 2])),
                "timestamp": start + 240 * step,
            }
            for step in range(int(rng.integers(30, 60)))
        ]
        if untold:
            sequence[5]["action_type"] = None
        sequences.append((number, sequence if number != 4 else []))
        lists = [[int(rng.integers(1, 9)), 3] if rng.random() < 0.7 else None for _ in USER_LISTS]
        lists[0] = []
        scalars = [int(rng.integers(1, 5)) if rng.random() < 0.8 else None for _ in USER_FIELDS]
        users.append((number, *scalars, *lists))
    features = [
        (n, *[int(rng.integers(1, 400)) if rng.random() < 0.8 else None for _ in ITEM_FIELDS])
        for n in range(1, ADS + 1)
        if n != 9  # an ad whose features are not there
    ]
    write_parts(folder / "seq", pl.DataFrame(sequences, SEQ, orient="row"), 3)
    columns = {"user_id": pl.Int64, **dict.fromkeys(USER_FIELDS, pl.Int64)}
    columns |= dict.fromkeys(USER_LISTS, pl.List(pl.Int64))
    write_parts(folder / "user_feat", pl.DataFrame(users, columns, orient="row"), 2)
    columns = {"item_id": pl.Int64, **dict.fromkeys(ITEM_FIELDS, pl.Int64)}
    write_parts(folder / "item_feat", pl.DataFrame(features, columns, orient="row"), 2)
    vectors = {}
    for name, width in (("81", 32), ("82", 1024)):
        rows = [
            (str(ad), None if ad % 11 == 0 else rng.normal(size=width).astype(np.float32).tolist())
            for ad in range(OWN - 3, OWN + ADS - 4)
        ]
        vectors[f"emb_{name}"] = dict(rows)
        frame = pl.DataFrame(
            rows, {"anonymous_cid": pl.String, "emb": pl.List(pl.Float32)}, orient="row"
        )
        write_parts(folder / "mm_emb" / f"emb_{name}_{width}_parquet", frame, 3)
    pl.DataFrame({"item_id": [OWN], "retrieval_id": [0]}).write_parquet(
        folder / "candidate.parquet"
    )
    indexer = {"i": own, "u": people, "a": {0: 1, 1: 2}, "f": {"100": {"7": 1}}}
    (folder / "indexer.pkl").write_bytes(pickle.dumps(indexer))
    return {"sequences": sequences, "users": users, "features": features, "own": own, "v": vectors}


def test_the_store_equals_the_published_parts(tmp_path, readback, caplog) -> None:
    source = write_tencent(tmp_path / "t")
    with caplog.at_level(logging.WARNING):
        spec = propose_layout("tencent_gr", tmp_path / "t")
    events = [(user, event) for user, sequence in source["sequences"] for event in sequence]
    assert f"{USERS - 1} of {len(events)} events have no action and are left out" in caplog.text
    back = readback(prepare(spec, tmp_path / "t", tmp_path / "out"))
    ad = {number: str(key) for key, number in source["own"].items()}
    with_action = [(user, event) for user, event in events if event["action_type"] is not None]
    times = sorted(event["timestamp"] for _, event in with_action)
    low, high = times[int(len(times) * 0.8)], times[int(len(times) * 0.9)]
    train = {user for user, event in with_action if event["timestamp"] < low}
    people = {row[0]: row[1:] for row in source["users"]}
    assert len(back.rows) == len(with_action)
    for row, (user, event) in zip(back.rows, with_action, strict=True):
        time = event["timestamp"]
        assert row.split == ("train" if time < low else "valid" if time < high else "test")
        assert (row.user, row.item, row.time) == (user, ad[event["item_id"]], time)
        assert row.label == int(event["action_type"] >= 1)
        clicked = [
            ad[other["item_id"]]
            for same, other in with_action
            if same == user and other["timestamp"] < time and other["action_type"] >= 1
        ]
        assert row.history == tuple(clicked[-50:])
        if user in train:
            scalars, lists = people[user][:4], people[user][4:]
            for name, value in zip(USER_FIELDS, scalars, strict=True):
                assert row.of_request[name] == (None if value is None else str(value))
            for name, values in zip(USER_LISTS, lists, strict=True):
                assert row.of_request[name] == tuple(str(value) for value in values or [])


def test_ads_are_joined_with_their_features_and_vectors_by_the_indexer(tmp_path, readback) -> None:
    source = write_tencent(tmp_path / "t")
    back = readback(prepare(propose_layout("tencent_gr", tmp_path / "t"), tmp_path / "t", tmp_path))
    features = {row[0]: row[1:] for row in source["features"]}
    train = {row.item for row in back.of("train")} | {
        i for r in back.of("train") for i in r.history
    }
    assert set(back.items) == {str(key) for key in source["own"]}
    for key, number in source["own"].items():
        if str(key) in train:
            values = features.get(number, (None,) * len(ITEM_FIELDS))
            expected = [None if value is None else str(value) for value in values]
            assert [back.items[str(key)][name] for name in ITEM_FIELDS] == expected
    for name, known in source["v"].items():
        there = {ad: v for ad, v in known.items() if v is not None and int(ad) in source["own"]}
        assert set(back.vectors[name]) == set(there)
        for ad_key, vector in there.items():
            assert back.vectors[name][ad_key] == pytest.approx(vector, abs=2e-3)


def without_numbers(folder: Path) -> None:
    (folder / "indexer.pkl").write_bytes(pickle.dumps({"u": {}}))


def with_a_call(folder: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (folder / "ran",))

    (folder / "indexer.pkl").write_bytes(pickle.dumps({"i": Trap()}))


def cut_off(folder: Path) -> None:
    data = (folder / "indexer.pkl").read_bytes()
    (folder / "indexer.pkl").write_bytes(data[: len(data) // 2])


def of_another_size(folder: Path) -> None:
    (folder / "indexer.pkl").write_bytes(pickle.dumps({"i": {OWN: 1}}))


def no_vectors(folder: Path) -> None:
    for path in (folder / "mm_emb").glob("*"):
        path.rename(path.with_name(f"old_{path.name}"))


def no_sequences(folder: Path) -> None:
    for path in (folder / "seq").glob("*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_numbers, "not the map from ads to their numbers .no dict of ads under 'i'"),
        (
            with_a_call,
            "not a pickle of plain numbers and text .it asks for .*nothing of it was run",
        ),
        (cut_off, "not a pickle of plain numbers and text"),
        (of_another_size, r"events show the ad \d+, which 'indexer.pkl' does not number"),
        (no_vectors, "download at least emb_81_32_parquet"),
        (no_sequences, r"no 'seq/\*.parquet'"),
    ],
)
def test_a_wrong_file_is_one_sentence_and_runs_nothing(spoil, sentence, tmp_path) -> None:
    write_tencent(tmp_path / "t")
    spoil(tmp_path / "t")
    with pytest.raises(DataContractError, match=sentence) as refusal:
        propose_layout("tencent_gr", tmp_path / "t")
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "t" / "ran").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_read_from_every_protocol(protocol: int, tmp_path: Path) -> None:
    value = {"i": {OWN: 1}, "f": {"100": {"é": [1, 2.5, None, True, b"x", (1,)]}}}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol))
    if protocol < 3:  # bytes of the old protocols are made by a call
        value["f"]["100"]["é"].pop(4)
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol))
    assert read_plain(tmp_path / "x.pkl") == value


def test_an_ad_with_two_vectors_in_two_parts_is_refused(tmp_path) -> None:
    write_tencent(tmp_path / "t")
    parts = sorted((tmp_path / "t" / "mm_emb" / "emb_81_32_parquet").glob("*.parquet"))
    twice = pl.read_parquet(parts[0]).filter(pl.col("emb").is_not_null()).tail(1)
    pl.concat([pl.read_parquet(parts[2]), twice]).write_parquet(parts[2])
    with pytest.raises(DataContractError, match="two vectors"):
        prepare(propose_layout("tencent_gr", tmp_path / "t"), tmp_path / "t", tmp_path)
