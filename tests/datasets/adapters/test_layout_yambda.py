"""Yambda's flat files and audio vectors, exactly as published, against the store."""

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare

EVENTS = {"uid": pl.UInt32, "timestamp": pl.UInt32, "item_id": pl.UInt32, "is_organic": pl.UInt8}
LISTENS = EVENTS | {"played_ratio_pct": pl.UInt16, "track_length_seconds": pl.UInt32}
KINDS = pl.Enum(["listen", "like", "dislike", "unlike", "undislike"])
ALL = (
    EVENTS
    | {"event_type": KINDS}
    | {
        "played_ratio_pct": pl.UInt16,
        "track_length_seconds": pl.UInt32,
    }
)
VECTORS = {
    "item_id": pl.UInt32,
    "embed": pl.List(pl.Float64),
    "normalized_embed": pl.List(pl.Float64),
}
USERS, TRACKS, ROWS = 12, 40, 900


def write_yambda(folder: Path, *, only_all: bool = False) -> list[dict[str, object]]:
    """Every event in the published order: by user, then time, in steps of five seconds."""
    rng = np.random.default_rng(3)
    inside = folder / "flat" / "50m"
    inside.mkdir(parents=True)
    events = []
    for _ in range(ROWS):
        kind = str(rng.choice(["listen", "like", "dislike", "unlike"], p=[0.7, 0.2, 0.05, 0.05]))
        listened = kind == "listen"
        events.append(
            {
                "uid": 100 * int(rng.integers(1, USERS + 1)),
                "timestamp": 5 * int(rng.integers(0, 400)),
                "item_id": 9_390_600 + int(rng.integers(0, TRACKS)),
                "is_organic": int(rng.integers(0, 2)),
                "event_type": kind,
                "played_ratio_pct": int(rng.integers(0, 160)) if listened else None,
                "track_length_seconds": 5 * int(rng.integers(10, 60)) if listened else None,
            }
        )
    events.sort(key=lambda event: (event["uid"], event["timestamp"]))
    frame = pl.DataFrame(events, ALL)
    frame.write_parquet(inside / "multi_event.parquet")
    if not only_all:
        for kind in ("listen", "like", "dislike", "unlike"):
            part = frame.filter(pl.col("event_type") == kind)
            part.select(list(LISTENS if kind == "listen" else EVENTS)).write_parquet(
                inside / f"{kind}s.parquet"
            )
    vectors = []
    for track in range(TRACKS + 10):
        if track % 7 != 3:  # a fifth of the tracks has no vector
            embed = rng.normal(size=8)
            unit = embed / np.linalg.norm(embed)
            vectors.append((9_390_600 + track, embed.tolist(), unit.tolist()))
    pl.DataFrame(vectors, VECTORS, orient="row").write_parquet(folder / "embeddings.parquet")
    mapping = {"artist_id": [1], "item_id": [9_390_600]}
    pl.DataFrame(mapping).write_parquet(folder / "artist_item_mapping.parquet")
    return events


def cuts(times: list[int]) -> tuple[int, int]:
    times = sorted(times)
    return times[int(len(times) * 0.8)], times[int(len(times) * 0.9)]


@pytest.mark.parametrize("only_all", [False, True])
@pytest.mark.parametrize("kind", ["listen", "like"])
def test_positives_histories_and_vectors_are_the_source_s(kind, only_all, tmp_path, readback):
    events = write_yambda(tmp_path / "y[1]", only_all=only_all)
    spec = propose_layout(f"yambda_{kind}s", tmp_path / "y[1]")
    assert spec.name == f"yambda_50m_{kind}s"
    back = readback(prepare(spec, tmp_path / "y[1]", tmp_path / "out"))
    log = [event for event in events if event["event_type"] == kind]
    good = {
        place: event
        for place, event in enumerate(log)
        if kind == "like" or event["played_ratio_pct"] >= 50
    }
    low, high = cuts([event["timestamp"] for event in good.values()])
    positives = [row for row in back.rows if row.label]
    assert [row.row for row in positives] == sorted(good)
    for row in positives:
        event = good[row.row]
        time = event["timestamp"]
        assert row.split == ("train" if time < low else "valid" if time < high else "test")
        assert (row.user, row.item, row.time) == (event["uid"], event["item_id"], time)
        assert row.of_request == {"is_organic": str(event["is_organic"])}
        assert row.slices["organic"] == str(event["is_organic"])
        earlier = [
            other
            for _, other in sorted(good.items())
            if other["uid"] == event["uid"] and other["timestamp"] < time
        ]
        assert row.history == tuple(other["item_id"] for other in earlier[-50:])
    known = pl.read_parquet(tmp_path / "y[1]" / "embeddings.parquet", glob=False)
    expected = {
        track: unit
        for track, _, unit in known.iter_rows()
        if track in {event["item_id"] for event in log}
    }
    assert set(back.vectors["audio"]) == set(expected)
    for track, vector in expected.items():
        assert back.vectors["audio"][track] == pytest.approx(vector, abs=1e-6)


def test_drawn_rows_are_earlier_tracks_that_the_user_never_liked(tmp_path, readback) -> None:
    events = write_yambda(tmp_path / "y")
    back = readback(
        prepare(propose_layout("yambda_likes", tmp_path / "y"), tmp_path / "y", tmp_path)
    )
    log = [event for event in events if event["event_type"] == "like"]
    liked = {(event["uid"], event["item_id"]) for event in log}
    first = {}
    for event in sorted(log, key=lambda event: event["timestamp"]):
        first.setdefault(event["item_id"], event["timestamp"])
    drawn = [row for row in back.rows if not row.label]
    of_positive = Counter()
    for row in drawn:
        assert (row.user, row.item) not in liked
        assert first[row.item] < row.time
        source = log[(row.row - len(log)) // 4]
        assert (row.user, row.time) == (source["uid"], source["timestamp"])
        of_positive[(row.row - len(log)) // 4, row.item] += 1
    assert max(of_positive.values()) == 1
    assert 3 * len(log) < len(drawn) <= 4 * len(log)


def test_a_folder_without_vectors_or_with_another_file_is_refused(tmp_path) -> None:
    write_yambda(tmp_path / "y", only_all=True)
    path = tmp_path / "y" / "flat" / "50m" / "multi_event.parquet"
    pl.read_parquet(path).drop("event_type").write_parquet(path)
    with pytest.raises(DataContractError, match="no column 'event_type'"):
        propose_layout("yambda_likes", tmp_path / "y")
    write_yambda(tmp_path / "z")
    (tmp_path / "z" / "embeddings.parquet").unlink()
    with pytest.raises(DataContractError, match=r"no 'embeddings\.parquet', which the layout"):
        propose_layout("yambda_listens", tmp_path / "z")
