"""Folders as people have them: what `init` proposes is prepared, audited and read back whole."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.report import audit
from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import load_spec

ROWS, USERS, ITEMS = 3000, 60, 40
START = 1_650_000_000

Vector = tuple[float, ...]


@dataclass
class Truth:
    """What the files say, row by row, in the words of the source."""

    users: list[object]
    items: list[object]
    labels: list[int]
    times: list[int] | None = None
    histories: list[tuple[object, ...]] | None = None
    splits: list[str] | None = None
    candidate: dict[str, list[str]] = field(default_factory=dict)
    vectors: dict[str, dict[object, Vector]] = field(default_factory=dict)
    requests: list[object] | None = None
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    drawn: bool = False


def base(*, text: bool = False) -> dict[str, list[object]]:
    """A log in the order of time: users, items, labels, seconds."""
    draw = np.random.default_rng(0)
    users, items = draw.integers(0, USERS, ROWS) + 100, draw.integers(1, ITEMS + 1, ROWS)
    return {
        "user_id": [f"u{k}" for k in users] if text else users.tolist(),
        "item_id": [f"sku{k}" for k in items] if text else items.tolist(),
        "label": draw.integers(0, 2, ROWS).tolist(),
        "ts": [START + 37 * k for k in range(ROWS)],
    }


def truth_of(log: dict[str, list[object]], **more: object) -> Truth:
    labels = [int(str(value)) for value in log["label"]]
    times = [int(str(value)) for value in log["ts"]]
    return Truth(log["user_id"], log["item_id"], labels, times, **more)  # type: ignore[arg-type]


def table(rows: int, width: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def as_vectors(keys: list[object], matrix: np.ndarray) -> dict[object, Vector]:
    return {key: tuple(row) for key, row in zip(keys, matrix.tolist(), strict=True)}


def write_items(folder: Path, keys: list[object]) -> np.ndarray:
    pl.DataFrame({"item_id": keys, "kind": ["abc"[k % 3] for k in range(len(keys))]}).write_parquet(
        folder / "items.parquet"
    )
    matrix = table(len(keys), 4)
    np.save(folder / "text.npy", matrix)
    return matrix


def kuairand(folder: Path) -> Truth:
    """date, hourmin and time_ms; outcomes of the impression; the log in two files."""
    draw, log = np.random.default_rng(1), base()
    moments = [datetime.fromtimestamp(int(str(t)), UTC) for t in log["ts"]]
    frame = pl.DataFrame(
        {
            "user_id": log["user_id"],
            "video_id": log["item_id"],
            "date": [int(f"{m:%Y%m%d}") for m in moments],
            "hourmin": [int(f"{m:%H%M}") for m in moments],
            "time_ms": [1000 * int(str(t)) + k % 7 for k, t in enumerate(log["ts"])],
            "is_click": log["label"],
            "is_like": draw.integers(0, 2, ROWS),
            "long_view": log["label"],
            "play_time_ms": [int(str(y)) * 9000 for y in log["label"]],
            "duration_ms": draw.integers(10, 14, ROWS) * 1000,
            "tab": draw.integers(0, 5, ROWS),
        }
    )
    frame[:1800].write_csv(folder / "log_standard_4_08_to_4_21_pure.csv")
    frame[1800:].write_csv(folder / "log_standard_4_22_to_5_08_pure.csv")
    keys: list[object] = list(range(1, ITEMS + 1))
    pl.DataFrame({"video_id": keys, "author_id": [k % 7 for k in range(ITEMS)]}).write_csv(
        folder / "video_features_basic_pure.csv"
    )
    pl.DataFrame({"video_id": keys, "show_cnt": [k * 1000 for k in range(ITEMS)]}).write_csv(
        folder / "video_features_statistic_pure.csv"
    )
    truth = truth_of(log)
    truth.times = frame["time_ms"].to_list()
    truth.candidate = {"tab": [str(v) for v in frame["tab"]]}
    truth.says = (
        'timestamp: "time_ms"',
        "video_features_statistic_pure.csv: items as well",
        "outcome",
    )
    truth.never = ('- {column: "is_like"', '- {column: "play_time_ms"', '- {column: "date"')
    return truth


def spark(folder: Path) -> Truth:
    """Twelve part files beside _SUCCESS: part-2 comes before part-10."""
    log = base(text=True)
    (folder / "events").mkdir()
    for part in range(12):
        chunk = pl.DataFrame(log)[part * 250 : (part + 1) * 250]
        name = f"part-{part}-8c1f0a4e-0000-4000-8000-00000000000{part % 10}-c000.snappy.parquet"
        chunk.write_parquet(folder / "events" / name)
    (folder / "events" / "_SUCCESS").write_bytes(b"")
    keys: list[object] = [f"sku{k}" for k in range(1, ITEMS + 1)]
    matrix = write_items(folder, keys)
    return truth_of(
        log, vectors={"text": as_vectors(keys, matrix)}, says=("3,000 rows in 12 parts",)
    )


def hive(folder: Path) -> Truth:
    """Folders day=..., each with a part file of the same name."""
    log = base()
    for day in range(3):
        home = folder / "log" / f"day=2022-04-0{day + 1}"
        home.mkdir(parents=True)
        pl.DataFrame(log)[day * 1000 : (day + 1) * 1000].write_parquet(home / "part-0.parquet")
    write_items(folder, list(range(1, ITEMS + 1)))
    return truth_of(log, says=("in 3 parts",))


def given_folders(folder: Path) -> Truth:
    """train/, val/ and test/ with part files each."""
    log = base()
    edges = {"train": (0, 2000, 4), "val": (2000, 2400, 2), "test": (2400, ROWS, 1)}
    for name, (start, end, parts) in edges.items():
        (folder / name).mkdir()
        step = (end - start) // parts
        for part in range(parts):
            at = start + part * step
            pl.DataFrame(log)[at : at + step].write_parquet(
                folder / name / f"part-{part:05d}.parquet"
            )
    write_items(folder, list(range(1, ITEMS + 1)))
    splits = ["train"] * 2000 + ["valid"] * 400 + ["test"] * 600
    return truth_of(log, splits=splits, says=("the log comes split",))


def split_column(folder: Path) -> Truth:
    log = base()
    words = ["train"] * 2000 + ["val"] * 400 + ["test"] * 600
    pl.DataFrame(log | {"part": words}).write_csv(folder / "log.csv")
    write_items(folder, list(range(1, ITEMS + 1)))
    splits = [{"val": "valid"}.get(word, word) for word in words]
    says = ('split: {by: given, column: "part"}',)
    return truth_of(log, splits=splits, says=says, never=('- {column: "part"',))


def zip_codes(folder: Path) -> Truth:
    """Keys and zip codes with leading zeros, in csv."""
    log = base()
    log["item_id"] = [f"{int(str(k)):010d}" for k in log["item_id"]]
    zips = [["02139", "2139", "00501", "501"][k % 4] for k in range(ROWS)]
    pl.DataFrame(log | {"zip": zips}).write_csv(folder / "log.csv")
    keys: list[object] = [f"{k:010d}" for k in range(1, ITEMS + 1)]
    pl.DataFrame({"item_id": keys, "kind": ["ab"[k % 2] for k in range(ITEMS)]}).write_csv(
        folder / "items.csv"
    )
    matrix = table(ITEMS, 3)
    np.save(folder / "text.npy", matrix)
    return truth_of(log, candidate={"zip": zips}, vectors={"text": as_vectors(keys, matrix)})


def positives_only(folder: Path) -> Truth:
    """Every row is a click; the column `label` says 1 throughout."""
    pairs = np.random.default_rng(4).permutation(USERS * ITEMS)[:1500].tolist()  # each once
    log: dict[str, list[object]] = {
        "user_id": [100 + pair // ITEMS for pair in pairs],
        "item_id": [1 + pair % ITEMS for pair in pairs],
        "label": [1] * len(pairs),
        "ts": [START + 37 * k for k in range(len(pairs))],
    }
    pl.DataFrame(log).write_parquet(folder / "clicks.parquet")
    write_items(folder, list(range(1, ITEMS + 1)))
    return truth_of(log, drawn=True, says=("negatives: {per_positive: 4", "'label' is always 1"))


def impressions(folder: Path) -> Truth:
    """Ten rows a request, with one time each; a session that goes on over several requests."""
    log = base()
    requests = [k // 10 for k in range(ROWS)]
    log["user_id"] = [100 + (k // 10 * 7) % USERS for k in range(ROWS)]
    log["ts"] = [START + 300 * r for r in requests]
    frame = pl.DataFrame(log | {"session_id": log["user_id"], "impression_id": requests})
    frame.write_parquet(folder / "log.parquet")
    write_items(folder, list(range(1, ITEMS + 1)))
    says = ('request: "impression_id"', 'column "session_id": goes on over several times')
    return truth_of(log, requests=list(requests), says=says)


def histories(zero: str) -> tuple[list[list[int]], list[tuple[object, ...]]]:
    """Blocks of eight that are filled on the left, and what they hold."""
    draw = np.random.default_rng(3)
    low = 0 if zero == "often" else 1
    real = [draw.integers(low, ITEMS + 1, n).tolist() for n in draw.integers(0, 9, ROWS)]
    real = [[k for k in row if k] for row in real]  # 0 fills, so it is in no history
    return [[0] * (8 - len(row)) + row for row in real], [tuple(row) for row in real]


def padded_never(folder: Path) -> Truth:
    """The table has an item 0 that nobody was shown; 0 fills the histories."""
    log = base()
    blocks, real = histories("never")
    pl.DataFrame(log | {"item_seq": blocks}).write_parquet(folder / "log.parquet")
    write_items(folder, list(range(ITEMS + 1)))
    return truth_of(log, histories=real, says=("padding: 0", "no row of the log is about item 0"))


def padded_often(folder: Path) -> Truth:
    """Item 0 is shown as often as any other, yet in histories 0 stands at the start only."""
    log = base()
    log["item_id"] = [int(str(k)) - 1 for k in log["item_id"]]
    blocks, real = histories("never")
    blocks = [[min(k, ITEMS - 1) for k in row] for row in blocks]
    real = [tuple(min(int(str(k)), ITEMS - 1) for k in row) for row in real]
    pl.DataFrame(log | {"item_seq": blocks}).write_parquet(folder / "log.parquet")
    write_items(folder, list(range(ITEMS)))
    return truth_of(log, histories=real, says=("padding: 0", "at the start only, though item 0"))


def zero_is_an_item(folder: Path) -> Truth:
    """Lists of one width in which 0 stands anywhere: an item like others."""
    log = base()
    log["item_id"] = [int(str(k)) - 1 for k in log["item_id"]]
    real = np.random.default_rng(3).integers(0, ITEMS, (ROWS, 5)).tolist()
    pl.DataFrame(log | {"item_seq": real}).write_parquet(folder / "log.parquet")
    write_items(folder, list(range(ITEMS)))
    return truth_of(log, histories=[tuple(row) for row in real], says=("from: list",))


def text_padded(folder: Path) -> Truth:
    """'0^0^5' in csv."""
    log = base()
    blocks, real = histories("never")
    text = ["^".join(map(str, row)) for row in blocks]
    pl.DataFrame(log | {"hist": text}).write_csv(folder / "log.csv")
    write_items(folder, list(range(1, ITEMS + 1)))
    return truth_of(log, histories=real, says=('separator: "^"', "padding: 0"))


def minus_one(folder: Path) -> Truth:
    log = base()
    blocks, real = histories("never")
    right = [[k for k in row if k] + [-1] * row.count(0) for row in blocks]
    pl.DataFrame(log | {"past_items": right}).write_parquet(folder / "log.parquet")
    write_items(folder, list(range(1, ITEMS + 1)))
    return truth_of(log, histories=real, says=("padding: -1",))


def text_keys_padded(folder: Path) -> Truth:
    """Text keys with "" or "<pad>" where no item is."""
    log = base(text=True)
    blocks, real = histories("never")
    lists = [[f"sku{k}" if k else "<pad>" for k in row] for row in blocks]
    pl.DataFrame(log | {"hist_items": lists}).write_parquet(folder / "log.parquet")
    write_items(folder, [f"sku{k}" for k in range(1, ITEMS + 1)])
    keys_of_rows = [tuple(f"sku{k}" for k in row) for row in real]
    return truth_of(log, histories=keys_of_rows, says=('padding: "<pad>"',))  # type: ignore[arg-type]


def empty_text_padded(folder: Path) -> Truth:
    log = base(text=True)
    blocks, real = histories("never")
    lists = [[f"sku{k}" if k else "" for k in row] for row in blocks]
    pl.DataFrame(log | {"hist_items": lists}).write_parquet(folder / "log.parquet")
    write_items(folder, [f"sku{k}" for k in range(1, ITEMS + 1)])
    keys_of_rows: list[tuple[object, ...]] = [tuple(f"sku{k}" for k in row) for row in real]
    return truth_of(log, histories=keys_of_rows)


def newest_first(folder: Path) -> Truth:
    """Each user's last eight items, the newest first: how they grow shows it."""
    log = base()
    past: dict[object, list[object]] = {}
    lists, keys_of_rows = [], []
    for user, item in zip(log["user_id"], log["item_id"], strict=True):
        past_items = past.setdefault(user, [])
        lists.append(past_items[:-9:-1])
        keys_of_rows.append(tuple(past_items[-8:]))
        past_items.append(item)
    pl.DataFrame(log | {"hist": lists}).write_parquet(folder / "log.parquet")
    write_items(folder, list(range(1, ITEMS + 1)))
    return truth_of(log, histories=keys_of_rows, says=("newest: first",))


def two_histories(folder: Path) -> Truth:
    """hist_cate comes first but holds no items; hist_item does."""
    log = base(text=True)
    _, real = histories("never")
    items = [[f"sku{k}" for k in row] for row in real]
    kinds = [[f"c{int(str(k)) % 5}" for k in row] for row in real]
    pl.DataFrame(log | {"hist_cate": kinds, "hist_item": items}).write_parquet(folder / "l.parquet")
    write_items(folder, [f"sku{k}" for k in range(1, ITEMS + 1)])
    keys_of_rows: list[tuple[object, ...]] = [tuple(row) for row in items]
    return truth_of(
        log, histories=keys_of_rows, says=('column "hist_cate": a history of other values',)
    )


def movielens_csv(folder: Path) -> Truth:
    """ratings.csv and movies.csv as published."""
    log = base()
    ratings = [0.5 * (k % 10 + 1) for k in np.random.default_rng(2).integers(0, 10, ROWS)]
    names = {"userId": log["user_id"], "movieId": log["item_id"]}
    pl.DataFrame(names | {"rating": ratings, "timestamp": log["ts"]}).write_csv(
        folder / "ratings.csv"
    )
    genres = [["Action|Drama", "Drama", "Comedy|Action|War"][k % 3] for k in range(ITEMS)]
    titles = [f'Film, the "{k}" (1999)' for k in range(ITEMS)]
    pl.DataFrame({"movieId": range(1, ITEMS + 1), "title": titles, "genres": genres}).write_csv(
        folder / "movies.csv"
    )
    log["label"] = [int(r >= 4) for r in ratings]
    return truth_of(log, says=('positive_when: ">= 4"', 'separator: "|"'))


def u_data(folder: Path) -> Truth:
    """MovieLens-100k's u.data: tabs and no header."""
    log = base()
    ratings = np.random.default_rng(2).integers(1, 6, ROWS).tolist()
    rows = zip(log["user_id"], log["item_id"], ratings, log["ts"], strict=True)
    lines = ["\t".join(map(str, row)) for row in rows]
    (folder / "u.data").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "u.item").write_bytes("1|Amélie|01-Jan-1995\n".encode("latin-1"))
    log["label"] = [int(r >= 4) for r in ratings]
    return truth_of(log, says=('names: ["user_id", "item_id", "rating", "timestamp"]', "u.item"))


def ids_beside(folder: Path) -> Truth:
    """Keys beside the vectors: x_vec.npy and x_ids.npy, clip.npy and clip_ids.csv."""
    log = base()
    pl.DataFrame(log).write_parquet(folder / "log.parquet")
    keys: list[object] = list(range(1, ITEMS + 1))
    pl.DataFrame({"item_id": keys, "kind": [str(k % 3) for k in range(ITEMS)]}).write_parquet(
        folder / "items.parquet"
    )
    draw, vectors = np.random.default_rng(5), {}
    for name, array, ids in (("x", "x_vec", "x_ids.npy"), ("clip", "clip_emb", "clip_ids.csv")):
        order = draw.permutation(ITEMS)[: ITEMS if name == "x" else 30] + 1
        matrix = table(len(order), 3, seed=len(name))
        np.save(folder / f"{array}.npy", matrix)
        if ids.endswith("npy"):
            np.save(folder / ids, order)
        else:
            lines = ["item_id", *map(str, order.tolist())]
            (folder / ids).write_text("\n".join(lines) + "\n", encoding="utf-8")
        vectors[name] = as_vectors(order.tolist(), matrix)
    return truth_of(log, vectors=vectors, says=('ids: "x_ids.npy"', 'ids: "clip_ids.csv"'))


def shared_ids(folder: Path) -> Truth:
    """One ids.parquet for two matrices."""
    log = base(text=True)
    pl.DataFrame(log).write_csv(folder / "log.csv")
    order = [f"sku{k + 1}" for k in np.random.default_rng(6).permutation(ITEMS)]
    pl.DataFrame({"item_id": order}).write_parquet(folder / "ids.parquet")
    vectors = {}
    for seed, name in enumerate(("image", "audio")):
        matrix = table(ITEMS, 2 + seed, seed)
        np.save(folder / f"{name}.npy", matrix)
        vectors[name] = as_vectors([*order], matrix)
    return truth_of(log, vectors=vectors, says=('ids: "ids.parquet"',))


def keyed_vectors(folder: Path) -> Truth:
    """A table of items in csv, vectors with their keys in a parquet of their own."""
    log = base()
    pl.DataFrame(log).write_csv(folder / "log.csv")
    keys: list[object] = list(range(1, ITEMS + 1))
    pl.DataFrame({"item_id": keys, "kind": [str(k % 3) for k in range(ITEMS)]}).write_csv(
        folder / "items.csv"
    )
    order = (np.random.default_rng(7).permutation(ITEMS) + 1).tolist()
    matrix = table(ITEMS, 5)
    pl.DataFrame({"item_id": order, "vector": matrix.tolist()}).with_columns(
        pl.col("vector").cast(pl.List(pl.Float32))
    ).write_parquet(folder / "clip.parquet")
    return truth_of(
        log, vectors={"clip": as_vectors(order, matrix)}, says=('key: "item_id", column',)
    )


def names_in_japanese(folder: Path) -> Truth:
    log = base()
    pl.DataFrame(log).write_parquet(folder / "log.parquet")
    keys: list[object] = list(range(1, ITEMS + 1))
    picture, sound = table(ITEMS, 3, 1), table(ITEMS, 2, 2)
    pl.DataFrame({"item_id": keys, "画像": picture.tolist(), "音声": sound.tolist()}).write_parquet(
        folder / "items.parquet"
    )
    vectors = {
        "modality_1": as_vectors(keys, picture),
        "modality_2": as_vectors(keys, sound),
    }
    return truth_of(log, vectors=vectors, says=("画像", "音声"))


def semicolons(folder: Path) -> Truth:
    """A csv of semicolons with times as day, month, year."""
    log = base()
    times = [datetime(2021, 3, 1) + timedelta(minutes=47 * k) for k in range(ROWS)]
    frame = pl.DataFrame(log).with_columns(
        ts=pl.Series([t.strftime("%d.%m.%Y %H:%M") for t in times])
    )
    frame.rename({"ts": "event_time"}).write_csv(folder / "log.csv", separator=";")
    write_items(folder, list(range(1, ITEMS + 1)))
    truth = truth_of(log, says=('separator: ";"', 'timestamp: "event_time"'))
    truth.times = [int(t.replace(tzinfo=UTC).timestamp() * 1000) for t in times]
    return truth


def score(folder: Path) -> Truth:
    """The probability that drew the labels, an old model's logit, and an honest price."""
    draw, log = np.random.default_rng(8), base()
    rate = 1 / (1 + np.exp(-draw.standard_normal(ROWS) * 1.5))
    log["label"] = (draw.random(ROWS) < rate).astype(int).tolist()
    logit = np.log(rate / (1 - rate)) + draw.standard_normal(ROWS) * 0.5
    price = draw.random(ROWS) * 90
    pl.DataFrame(log | {"p": rate, "old": logit, "price": price}).write_parquet(
        folder / "l.parquet"
    )
    write_items(folder, list(range(1, ITEMS + 1)))
    says = (
        'column "p": looks like a model',
        'column "old": looks like a model',
        '{column: "price"',
    )
    return truth_of(log, says=says, never=('- {column: "p"', '- {column: "old"'))


def categories(folder: Path) -> Truth:
    """Lists of words in a column of the log."""
    log = base()
    words = [["ab", "b", "abc"][k % 3] for k in range(ROWS)]
    pl.DataFrame(log | {"badges": [list(w) for w in words]}).write_parquet(folder / "log.parquet")
    write_items(folder, list(range(1, ITEMS + 1)))
    return truth_of(log, says=('{column: "badges", type: categories}',))


LAYOUTS = (
    kuairand,
    spark,
    hive,
    given_folders,
    split_column,
    zip_codes,
    positives_only,
    impressions,
    padded_never,
    padded_often,
    zero_is_an_item,
    text_padded,
    minus_one,
    text_keys_padded,
    empty_text_padded,
    newest_first,
    two_histories,
    movielens_csv,
    u_data,
    ids_beside,
    shared_ids,
    keyed_vectors,
    names_in_japanese,
    semicolons,
    score,
    categories,
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_proposal_stores_what_the_files_say(
    tmp_path: Path, layout: Callable[[Path], Truth], readback: Callable
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    truth = layout(folder)
    text = propose([folder])
    assert "UNKNOWN" not in text, text
    for words in truth.says:
        assert words in text, text
    for words in truth.never:
        assert words not in text, text
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    store = prepare(load_spec(tmp_path / "spec.yaml"), folder, tmp_path / "out")
    assert not audit(store).severe(), [f.title for f in audit(store).severe()]
    back = readback(store)
    rows = [row for row in back.rows if not truth.drawn or row.label]
    assert [row.row for row in rows] == list(range(len(truth.users)))
    people: dict[object, int] = {}
    for k, row in enumerate(rows):
        assert (row.item, row.label) == (truth.items[k], truth.labels[k])
        assert people.setdefault(truth.users[k], row.user) == row.user
        assert truth.times is None or row.time == truth.times[k]
        assert truth.histories is None or row.history == truth.histories[k]
        assert truth.splits is None or row.split == truth.splits[k]
        for name, values in truth.candidate.items():
            assert row.of_candidate[name] == values[k]
    assert len(set(people.values())) == len(people)
    if truth.requests is not None:
        pairs = {(row.split, row.request, truth.requests[k]) for k, row in enumerate(rows)}
        assert len(pairs) == len(set(truth.requests))
    for name, vectors in truth.vectors.items():
        assert back.vectors[name] == vectors


@pytest.mark.parametrize("csv", [False, True])
@pytest.mark.parametrize("groups", [1, 30])
def test_a_large_log_is_tried_on_rows_from_all_over_it(
    tmp_path: Path, csv: bool, groups: int
) -> None:
    """Sorted by users, which first rows alone would be few of; the last column turns bad late."""
    rows = 600_000 if csv else 90_000
    draw = np.random.default_rng(0)
    late = ["7"] * (rows - 20_000) + ["seven"] * 20_000
    frame = pl.DataFrame(
        {
            "user_id": np.sort(draw.integers(0, 300, rows)),
            "item_id": draw.integers(1, ITEMS + 1, rows),
            "label": draw.integers(0, 2, rows),
            "note": [f'a "quoted", {k}' for k in range(rows)],
            "late": late,
        }
    )
    folder = tmp_path / "data"
    folder.mkdir()
    write_items(folder, list(range(1, ITEMS + 1)))
    if csv:
        frame.write_csv(folder / "log.csv")
        assert (folder / "log.csv").stat().st_size > 1 << 24
    else:
        frame.write_parquet(folder / "log.parquet", row_group_size=rows // groups)
    text = propose([folder])
    assert "# Tried: prepare takes" in text
    assert "Tried: prepare takes the files" not in text
    assert '{column: "late", type: category}' in text
    assert "split: {by: user" in text
