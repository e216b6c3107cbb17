"""What prepare leaves out or reads as absent: the manifest's counts against a plain loop."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.losses import Loss, Tally
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, ITEMS, KNOWN_USERS = 300, 15, 12
SPEC: dict[str, Any] = {
    "name": "shop",
    "interactions": {"path": "log.parquet"},
    "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
    "history": {"from": "list", "column": "h", "max_length": 6},
    "candidate_fields": [
        {"column": "c"},
        {"column": "tags", "type": "categories", "separator": "|"},
        {"column": "n", "type": "number"},
    ],
    "users": {"path": "users.parquet", "key": "u", "fields": [{"column": "g"}]},
    "items": {
        "path": "items.parquet",
        "key": "i",
        "unknown": "drop",
        "fields": [{"column": "kind"}, {"column": "price", "type": "number"}],
    },
    "modalities": {"text": {"path": "text.npy", "ids": "ids.npy"}},
    "split": {"by": "time", "valid": 0.2, "test": 0.2},
}


def write(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """A log in which everything that can be lost is lost now and then."""
    rng = np.random.default_rng(3)
    late = [f"late{k}" for k in range(3)]
    log = pl.DataFrame(
        {
            "u": rng.integers(0, KNOWN_USERS + 4, ROWS),
            "i": rng.integers(0, ITEMS + 3, ROWS),  # three are of no table
            "y": rng.integers(0, 2, ROWS),
            "t": np.arange(ROWS),
            "h": [rng.integers(0, ITEMS + 3, k % 5).tolist() for k in range(ROWS)],
            "c": [
                None if k % 11 == 0 else "" if k % 13 == 0 else late[k % 3] if k > 200 else "a"
                for k in range(ROWS)
            ],
            "tags": [None if k % 7 == 0 else f"x|{'new' if k > 250 else 'y'}" for k in range(ROWS)],
            "n": [None if k % 9 == 0 else float(k) for k in range(ROWS)],
        }
    )
    users = pl.DataFrame({"u": range(KNOWN_USERS), "g": ["f", "m", None] * (KNOWN_USERS // 3)})
    items = pl.DataFrame(
        {
            "i": range(ITEMS),
            "kind": ["p", "q", None] * (ITEMS // 3),
            "price": [None if k % 4 == 0 else 1.0 + k for k in range(ITEMS)],
        }
    )
    for name, table in {"log": log, "users": users, "items": items}.items():
        table.write_parquet(folder / f"{name}.parquet")
    np.save(folder / "ids.npy", np.arange(3, ITEMS + 6))  # 3 items lack one, 6 vectors lack an item
    np.save(folder / "text.npy", np.ones((ITEMS + 3, 2), np.float32))
    return {"log": log.to_dicts(), "users": users.to_dicts(), "items": items.to_dicts()}


def expected(tables: dict[str, list[dict[str, Any]]], store: PreparedDataset) -> dict[str, Any]:
    """(count, of) by key, by a loop over the source and the rows of each split."""
    log = tables["log"]
    known = [row for row in log if row["i"] < ITEMS]
    out: dict[str, tuple[int, int]] = {
        "rows.unknown_item": (ROWS - len(known), ROWS),
        "rows.user_not_in_table": (sum(row["u"] >= KNOWN_USERS for row in log), ROWS),
        "candidate.c.absent": (sum(not row["c"] for row in known), len(known)),
        "candidate.tags.absent": (sum(not row["tags"] for row in known), len(known)),
        "candidate.n.absent": (sum(row["n"] is None for row in known), len(known)),
        "item.kind.absent": (sum(row["kind"] is None for row in tables["items"]), ITEMS),
        "item.price.absent": (sum(row["price"] is None for row in tables["items"]), ITEMS),
        "modality.text.absent": (3, ITEMS),
        "modality.text.unknown_key": (6, ITEMS + 3),
    }
    entries = [item for row in log for item in row["h"]]
    out["history.unknown_item"] = (sum(item >= ITEMS for item in entries), len(entries))
    parts = {name: [log[int(k)] for k in store.split(name).row_id] for name in ("valid", "test")}
    train = [log[int(k)] for k in store.split("train").row_id]
    train_values = {row["c"] for row in train if row["c"]}
    tags = {tag for row in train if row["tags"] for tag in row["tags"].split("|")}
    for name, rows in parts.items():
        values = [row["c"] for row in rows if row["c"]]
        out[f"candidate.c.unseen.{name}"] = (
            sum(c not in train_values for c in values),
            len(values),
        )
        values = [tag for row in rows if row["tags"] for tag in row["tags"].split("|")]
        out[f"candidate.tags.unseen.{name}"] = (sum(tag not in tags for tag in values), len(values))
    return {key: pair for key, pair in out.items() if pair[0]}


def test_every_loss_is_counted_and_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = write(tmp_path)
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 64, 2, 1, 1))  # chunks add up
    lines: list[str] = []
    store = prepare(parse_spec(SPEC, "t"), tmp_path, tmp_path / "out", progress=lines.append)
    losses = store.manifest.losses
    counted = {key: (loss.count, loss.of) for key, loss in losses.items()}
    groups = np.concatenate([store.split(name).group for name in store.manifest.counts])
    sex = {row["u"]: row["g"] for row in tables["users"]}  # a request's group is its user
    without = sum(sex.get(user) is None for user in groups.tolist())
    assert counted == {"request.g.absent": (without, len(groups))} | expected(tables, store)
    for loss in losses.values():
        assert loss.sentence() in lines


def test_a_loss_says_its_share_and_nothing_lost_is_no_loss() -> None:
    tally = Tally()
    tally.add("rows.unknown_item", 0, 100, "rows have no item")
    assert tally.losses() == {}
    tally.add("rows.unknown_item", 3, 100, "rows have no item")
    (loss,) = tally.losses().values()
    assert loss == Loss(count=3, of=200, what="rows have no item")
    assert loss.sentence() == "3 of 200 (1.5 %) rows have no item"
    assert loss.share == pytest.approx(0.015)


def test_values_beyond_max_values_are_counted_on_every_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tags = ["|".join("abcde"[: int(k)]) for k in rng.integers(0, 6, 200)]
    log = {"u": rng.integers(0, 9, 200), "i": rng.integers(0, 7, 200), "t": range(200)}
    log |= {"y": rng.integers(0, 2, 200), "tags": tags, "mine": tags[::-1]}
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    kinds = [["x", "y", "z"][: k % 4] for k in range(7)]
    pl.DataFrame({"i": range(7), "kinds": kinds}).write_parquet(tmp_path / "items.parquet")
    likes = [["p", "q", "r", "s"][: k % 5] for k in range(9)]
    pl.DataFrame({"u": range(9), "likes": likes}).write_parquet(tmp_path / "users.parquet")

    def field(column: str, most: int, separator: str | None = None) -> dict[str, Any]:
        spec = {"column": column, "type": "categories", "max_values": most}
        return spec | ({"separator": separator} if separator else {})

    spec = {
        "name": "cut",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "none"},
        "request_fields": [field("mine", 4, "|")],
        "candidate_fields": [field("tags", 2, "|")],
        "users": {"path": "users.parquet", "key": "u", "fields": [field("likes", 3)]},
        "items": {"path": "items.parquet", "key": "i", "fields": [field("kinds", 2)]},
        "split": {"by": "random", "valid": 0.2, "test": 0.2},
    }
    losses = prepare(parse_spec(spec, "t"), tmp_path, tmp_path / "out").manifest.losses

    def counted(lists: list[list[str]], most: int) -> tuple[int, int]:
        return sum(max(len(row) - most, 0) for row in lists), sum(map(len, lists))

    split = [row.split("|") if row else [] for row in tags]
    beyond = {key: (loss.count, loss.of) for key, loss in losses.items() if "beyond" in key}
    assert beyond == {
        "request.mine.beyond": counted(split, 4),
        "request.likes.beyond": counted(likes, 3),
        "candidate.tags.beyond": counted(split, 2),
        "item.kinds.beyond": counted(kinds, 2),
    }
    assert (
        losses["candidate.tags.beyond"]
        .sentence()
        .endswith("values of candidate.tags are beyond its max_values (2) and are left out")
    )


def test_numbers_beyond_their_scaling_are_counted_in_every_split(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).normal(size=200)
    far = [40, 120, 121, 190]  # rows of train, of train, of valid, of test
    numbers[far] = [1e9, -1e9, 1e9, 1e9]
    log = {"u": [k % 9 for k in range(200)], "i": [k % 7 for k in range(200)], "n": numbers}
    log |= {"y": [k % 3 == 0 for k in range(200)], "t": list(range(200))}
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    raw = {
        "name": "shop",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "candidate_fields": [{"column": "n", "type": "number"}],
        "history": {"from": "none"},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }
    store = prepare(parse_spec(raw, "t"), tmp_path, tmp_path / "out")
    (loss,) = store.manifest.losses.values()
    assert (loss.count, loss.of) == (len(far), 200)
    assert "beyond" in loss.sentence()
