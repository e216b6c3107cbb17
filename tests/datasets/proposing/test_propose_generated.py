"""Generated folders of every mixture: a proposal stores what they say, or marks it UNKNOWN."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.report import audit
from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import draft
from fusefront.datasets.spec import load_spec

ROWS, USERS, ITEMS, WIDTH = 1500, 40, 30, 6
START = 1_640_000_000
FORMS = ("parquet", "csv", "tsv", ";", "parts", "csv parts", "files", "folders")
USER_KEYS = ("from 0", "from 1000", "text", "19 digits")
ITEM_KEYS = ("from 0", "from 1", "sparse", "text")
LABELS = ("0 1", "bool", "rating", "half stars", "none", "all 1", "-1 1")
TIMES = ("none", "s", "ms", "fractions", "iso", "datetime", "kuai", "d/m", "days")
HISTORIES = ("none", "lists", "left 0", "right -1", "text", "text padded", "columns")
TABLES = ("none", "parquet", "csv", "other name")
VECTORS = ("none", "rows", "ids npy", "ids csv", "list column", "keyed")
SPLITS = ("none", "column", "val column")
Row = dict[str, Any]


@dataclass
class World:
    """The choices, and what the files say row by row."""

    choice: dict[str, str]
    users: list[Any] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    times: list[int] | None = None
    histories: list[tuple[Any, ...]] | None = None
    splits: list[str] | None = None
    colours: list[str] = field(default_factory=list)
    vectors: dict[Any, tuple[float, ...]] = field(default_factory=dict)


def choices(draw: np.random.Generator) -> dict[str, str]:
    kinds = {
        "form": FORMS,
        "users": USER_KEYS,
        "items": ITEM_KEYS,
        "label": LABELS,
        "time": TIMES,
        "history": HISTORIES,
        "table": TABLES,
        "vectors": VECTORS,
        "split": SPLITS,
    }
    chosen = {name: str(draw.choice(values)) for name, values in kinds.items()}
    if chosen["form"] in ("files", "folders"):
        chosen["split"] = "files"
    if chosen["table"] == "none" and chosen["vectors"] in ("list column", "rows"):
        chosen["vectors"] = "ids npy"
    return chosen


def keys_of(kind: str, count: int) -> list[Any]:
    if kind == "text":
        return [f"k{n}" for n in range(count)]
    low, step = {"from 0": (0, 1), "from 1": (1, 1), "from 1000": (1000, 1)}.get(kind, (5, 13))
    if kind == "19 digits":
        low = 9_007_199_254_740_993_000
    return [low + step * n for n in range(count)]


def write_world(folder: Path, draw: np.random.Generator, chosen: dict[str, str]) -> World:
    world = World(chosen)
    people, things = keys_of(chosen["users"], USERS), keys_of(chosen["items"], ITEMS)
    item_of = draw.integers(0, ITEMS, ROWS)
    if chosen["label"] in ("none", "all 1"):  # negatives are no known positives: each pair once
        pairs = draw.permutation(USERS * ITEMS)[:900]
        user_of, item_of = pairs // ITEMS, pairs % ITEMS
    else:
        user_of = draw.integers(0, USERS, ROWS)
    rows = len(item_of)
    world.users, world.items = [people[k] for k in user_of], [things[k] for k in item_of]
    columns: dict[str, Any] = {"user_id": world.users, "item_id": world.items}
    columns |= label_columns(world, draw, rows) | time_columns(world, rows)
    columns |= history_columns(world, draw, rows, things)
    world.colours = [["red", "green", "blue"][k] for k in draw.integers(0, 3, rows)]
    columns |= {"colour": world.colours, "price": np.round(draw.random(rows) * 50 + 3, 3).tolist()}
    columns |= split_columns(world, rows)
    write_log(folder, pl.DataFrame(columns), chosen["form"], world)
    write_items(folder, world, draw, things)
    return world


def label_columns(world: World, draw: np.random.Generator, rows: int) -> dict[str, Any]:
    kind = world.choice["label"]
    if kind in ("none", "all 1"):
        world.labels = [1] * rows
        return {} if kind == "none" else {"label": world.labels}
    if kind in ("rating", "half stars"):
        stars = draw.integers(1, 6, rows) / (1 if kind == "rating" else 2) + 0.0
        if kind == "half stars":
            stars = draw.integers(1, 11, rows) / 2
        world.labels = [int(value >= 4) for value in stars]
        return {"rating": stars.astype(int).tolist() if kind == "rating" else stars.tolist()}
    world.labels = draw.integers(0, 2, rows).tolist()
    if kind == "bool":
        return {"clicked": [value == 1 for value in world.labels]}
    if kind == "-1 1":
        return {"label": [2 * value - 1 for value in world.labels]}
    return {"click": world.labels}


def time_columns(world: World, rows: int) -> dict[str, Any]:
    kind = world.choice["time"]
    seconds = [START + 1711 * k for k in range(rows)]  # about a month
    moments = [datetime.fromtimestamp(s, UTC).replace(tzinfo=None) for s in seconds]
    if kind == "none":
        return {}
    world.times = [1000 * s for s in seconds]
    if kind == "s":
        world.times = seconds
        return {"timestamp": seconds}
    if kind == "ms":
        return {"ts": world.times}
    if kind == "fractions":
        world.times = [1000 * s + 250 for s in seconds]
        return {"time": [s + 0.25 for s in seconds]}
    if kind == "iso":
        return {"event_time": [f"{m:%Y-%m-%dT%H:%M:%S}" for m in moments]}
    if kind == "datetime":
        return {"event_time": moments}
    if kind == "d/m":
        return {"datetime": [f"{m:%d/%m/%Y %H:%M:%S}" for m in moments]}
    days = [int(f"{m:%Y%m%d}") for m in moments]
    if kind == "days":
        world.times = days
        return {"date": days}
    return {"date": days, "hourmin": [int(f"{m:%H%M}") for m in moments], "time_ms": world.times}


def history_columns(
    world: World, draw: np.random.Generator, rows: int, things: list[Any]
) -> dict[str, Any]:
    kind = world.choice["history"]
    if kind == "none":
        return {}
    fill: Any = -1 if kind == "right -1" else 0
    if world.choice["items"] == "text":
        fill = "<pad>" if kind == "right -1" else "0"
    usable = [thing for thing in things if thing != fill]
    lengths = draw.integers(0, WIDTH + 1, rows)
    histories = [[usable[k] for k in draw.integers(0, len(usable), n)] for n in lengths]
    world.histories = [tuple(row) for row in histories]
    blocks = [[fill] * (WIDTH - len(row)) + row for row in histories]
    nested = world.choice["form"] in ("parquet", "parts", "folders")
    if kind == "columns":
        return {f"hist_{n}": [row[n] for row in blocks] for n in range(WIDTH)}
    if kind in ("text", "text padded") or not nested:
        mark = str(draw.choice(["^", " ", "|"]))
        lists = histories if kind in ("text", "lists") else blocks
        if kind == "right -1":
            lists = [row + [fill] * (WIDTH - len(row)) for row in histories]
        return {"history": [mark.join(map(str, row)) for row in lists]}
    if kind == "right -1":
        blocks = [row + [fill] * (WIDTH - len(row)) for row in histories]
    return {"item_seq": histories if kind == "lists" else blocks}


def split_columns(world: World, rows: int) -> dict[str, Any]:
    names = ["train"] * (rows - 500) + ["valid"] * 200 + ["test"] * 300
    if world.choice["split"] == "none":
        return {}
    world.splits = names
    if world.choice["split"] == "files":
        return {}
    called = "val" if world.choice["split"] == "val column" else "valid"
    return {"phase": [called if name == "valid" else name for name in names]}


def write_log(folder: Path, log: pl.DataFrame, form: str, world: World) -> None:
    rows = log.height
    if form == "parquet":
        log.write_parquet(folder / "interactions.parquet")
    elif form in ("csv", "tsv", ";"):
        mark = {"csv": ",", "tsv": "\t", ";": ";"}[form]
        log.write_csv(folder / f"log.{'tsv' if form == 'tsv' else 'csv'}", separator=mark)
    elif form in ("parts", "csv parts"):
        (folder / "events").mkdir()
        for part in range(11):
            chunk = log[part * rows // 11 : (part + 1) * rows // 11]
            if form == "parts":
                chunk.write_parquet(folder / "events" / f"part-{part}.snappy.parquet")
            else:
                chunk.write_csv(folder / f"clicks_{part}.csv")
    else:
        edges = {
            "train": (0, rows - 500),
            "valid": (rows - 500, rows - 300),
            "test": (rows - 300, rows),
        }
        for name, (start, end) in edges.items():
            if form == "files":
                log[start:end].write_csv(folder / f"{name}.csv")
            else:
                (folder / name).mkdir()
                middle = (start + end) // 2
                log[start:middle].write_parquet(folder / name / "part-00000.parquet")
                log[middle:end].write_parquet(folder / name / "part-00001.parquet")


def write_items(folder: Path, world: World, draw: np.random.Generator, things: list[Any]) -> None:
    table, vectors = world.choice["table"], world.choice["vectors"]
    matrix = draw.standard_normal((ITEMS, 3)).astype(np.float32)
    kinds = {"kind": ["abc"[k % 3] for k in range(ITEMS)]}
    key = "product_id" if table == "other name" else "item_id"
    columns: dict[str, Any] = {key: things} | kinds
    if vectors == "list column":
        columns["emb"] = pl.Series(matrix.tolist(), dtype=pl.List(pl.Float32))
    if table == "csv" and vectors != "list column":
        pl.DataFrame(columns).write_csv(folder / "items.csv")
    elif table != "none":
        pl.DataFrame(columns).write_parquet(folder / "items.parquet")
    order = draw.permutation(ITEMS)
    if vectors == "rows":
        np.save(folder / "text.npy", matrix)
    elif vectors in ("ids npy", "ids csv"):
        np.save(folder / "text_emb.npy", matrix[order])
        ids = [things[k] for k in order]
        if vectors == "ids npy":
            np.save(folder / "text_ids.npy", np.array(ids))
        else:
            lines = ["item_id", *map(str, ids)]
            (folder / "text_ids.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif vectors == "keyed":
        shuffled = pl.Series(matrix[order].tolist(), dtype=pl.List(pl.Float32))
        pl.DataFrame({"item_id": [things[k] for k in order], "text": shuffled}).write_parquet(
            folder / "text.parquet"
        )
    if vectors != "none":
        world.vectors = {k: tuple(v) for k, v in zip(things, matrix.tolist(), strict=True)}


def check(folder: Path, out: Path, seed: int, readback: Callable) -> str:
    """ "unknown", or "right"; AssertionError where something wrong was stored."""
    draw = np.random.default_rng(seed)
    world = write_world(folder, draw, choices(draw))
    proposal = draft([folder])
    text = proposal.text()
    shown = f"{json.dumps(world.choice)}\n{text}"
    (out / "spec.yaml").write_text(text, encoding="utf-8")
    if proposal.unknown():
        return f"unknown: {proposal.unknown()} {shown}"
    assert "prepare takes" in proposal.trial, shown
    store = prepare(load_spec(out / "spec.yaml"), folder, out)
    severe = {finding.name for finding in audit(store).severe()}
    assert severe <= {"sibling_rows"}, shown  # equal short histories, or days for times
    back = readback(store)
    drawn = world.choice["label"] in ("none", "all 1")
    rows = [row for row in back.rows if not drawn or row.label]
    assert [row.row for row in rows] == list(range(len(world.users))), shown
    people: dict[object, int] = {}
    for k, row in enumerate(rows):
        assert (row.item, row.label) == (world.items[k], world.labels[k]), shown
        assert people.setdefault(world.users[k], row.user) == row.user, shown
        assert world.times is None or row.time == world.times[k], shown
        assert world.splits is None or row.split == world.splits[k], shown
        assert row.of_candidate["colour"] == world.colours[k], shown
        if world.histories is not None:
            assert row.history == world.histories[k], shown
    assert len(set(people.values())) == len(people), shown
    counters = store.manifest.counters
    assert (counters is not None) == (world.times is not None and not drawn), shown
    past = {name.partition(".")[2] for name in counters.numbers} if counters else set()
    assert set(rows[0].of_candidate) - {"hourmin"} - past == {"colour", "price"}, shown
    if world.vectors:
        (vectors,) = back.vectors.values()
        expected = {key: world.vectors[key] for key in vectors}
        assert vectors == expected, shown
        assert set(vectors) >= set(world.items), shown
    return "right"


@pytest.mark.parametrize("seed", range(40))
def test_generated_folders_are_stored_as_they_say(
    tmp_path: Path, seed: int, readback: Callable
) -> None:
    (tmp_path / "data").mkdir()
    assert check(tmp_path / "data", tmp_path, seed, readback) == "right"
