"""Fields of every type on the side of the item, the user and the context; buckets change
nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.manifest import StoredFile
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS = 900, 30, 20
PARTS = ("train", "valid", "test")
PLACES = re.compile(r"history_start|history/values|blocks\.json")


def fields(side: str) -> list[dict[str, Any]]:
    """One field of each type; its columns carry the side's name."""
    return [
        {"column": f"{side}_one"},
        {"column": f"{side}_many", "type": "categories", "separator": "|"},
        {"column": f"{side}_list", "type": "categories", "max_values": 2},
        {"column": f"{side}_number", "type": "number"},
    ]


def columns(side: str, rows: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    words = ["a", "b", "c", "", "d"]
    return {
        f"{side}_one": [*rng.choice(words, rows - 1), None],
        f"{side}_many": ["|".join(rng.choice(words[:3], 2, replace=False)) for _ in range(rows)],
        f"{side}_list": [rng.choice([7, 8, 9], k % 4).tolist() for k in range(rows)],
        f"{side}_number": [*rng.normal(3, 2, rows - 1), None],
    }


def write(folder: Path) -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(0)
    user = rng.integers(0, USERS + 2, ROWS)  # two users are in no table
    request = columns("request", USERS + 2, 1)  # the same in every row of a user
    log = pl.DataFrame(
        {
            "u": [f"u{k}" for k in user],
            "i": rng.integers(0, ITEMS, ROWS),
            "y": rng.integers(0, 2, ROWS),
            "t": np.sort(rng.integers(0, 500, ROWS)),
            **{name: [values[k] for k in user] for name, values in request.items()},
            **columns("candidate", ROWS, 2),
        }
    )
    users = pl.DataFrame({"u": [f"u{k}" for k in range(USERS)], **columns("user", USERS, 3)})
    items = pl.DataFrame({"i": range(ITEMS), **columns("item", ITEMS, 4)})
    tables = {"log": log, "users": users, "items": items}
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    np.save(folder / "v.npy", rng.standard_normal((ITEMS, 3)))
    return tables


def spec(**changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "sides",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": 5},
        "request_fields": fields("request"),
        "candidate_fields": fields("candidate"),
        "users": {"path": "users.parquet", "key": "u", "fields": fields("user")},
        "items": {"path": "items.parquet", "key": "i", "fields": fields("item")},
        "modalities": {"v": {"path": "v.npy"}},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
        "slices": [{"name": "who", "column": "user_one"}, {"name": "cold", "when": "cold_item"}],
    }
    return parse_spec(raw | changes, "test")


def decoded(
    store: PreparedDataset, side: str, stored: Any, names: tuple[str, ...], ids: Any, numbers: Any
) -> Iterator[dict[str, Any]]:
    """Rows of codes and numbers as the values they stand for."""
    words = {field.name: dict(store.vocabulary(side, field.name).iter_rows()) for field in stored}
    for codes, raw in zip(ids, numbers, strict=True):
        row: dict[str, Any] = {}
        start = 0
        for field in stored:
            part = codes[start : start + field.columns]
            row[field.name] = [words[field.name][int(code)] for code in part if code]
            start += field.columns
        for name, value in zip(names, raw, strict=True):
            scaling = store.manifest.numbers[f"{side}.{name}"]
            row[name] = value * scaling.deviation + scaling.mean
        yield row


def check(row: dict[str, Any], raw: dict[str, Any] | None, side: str, mean: float) -> None:
    """A decoded row against the table's, absent values as nothing and the mean."""
    raw = raw or dict.fromkeys((f"{side}_one", f"{side}_many", f"{side}_list", f"{side}_number"))
    assert row[f"{side}_one"] == ([raw[f"{side}_one"]] if raw[f"{side}_one"] else [])
    many = raw[f"{side}_many"]
    assert row[f"{side}_many"] == (many.split("|") if many else [])
    assert row[f"{side}_list"] == [str(k) for k in (raw[f"{side}_list"] or [])[:2]]
    number = raw[f"{side}_number"]
    expected = mean if number is None else number
    assert row[f"{side}_number"] == pytest.approx(expected, abs=1e-5)


def test_each_side_takes_categories_lists_and_numbers(tmp_path: Path) -> None:
    tables = write(tmp_path)
    store = prepare(spec(), tmp_path, tmp_path / "out")
    log = tables["log"].to_dicts()
    users = {row["u"]: row for row in tables["users"].to_dicts()}
    schema, numbers = store.manifest.schema_, store.manifest.numbers
    for name in PARTS:
        split = store.split(name)
        request = np.repeat(np.arange(len(split.group)), np.diff(split.row_start))
        sides = {
            "request": (split.request_ids[request], split.request_numbers[request]),
            "candidate": (split.candidate_ids, split.candidate_numbers),
        }
        stored = {
            "request": (schema.request_fields, schema.request_numbers),
            "candidate": (schema.candidate_fields, schema.candidate_numbers),
        }
        for side in sides:
            rows = decoded(store, side, *stored[side], *sides[side])
            for at, row in zip(split.row_id, rows, strict=True):
                raw = log[int(at)]
                check(row, raw, side, numbers[f"{side}.{side}_number"].mean)
                if side == "request":  # the users' fields are the request's too
                    mean = numbers["request.user_number"].mean
                    check(row, users.get(raw["u"]), "user", mean)
    items = decoded(
        store,
        "item",
        schema.item_fields,
        schema.item_numbers,
        store.items.fields[1:],
        store.items.numbers[1:],
    )
    for row, raw in zip(items, tables["items"].to_dicts(), strict=True):
        check(row, raw, "item", numbers["item.item_number"].mean)


def histories(store: PreparedDataset, name: str) -> list[list[int]]:
    split, values = store.split(name), store.history_values.tolist()
    return [
        values[start : start + length]
        for start, length in zip(split.history_start, split.history_length, strict=True)
    ]


def apart_from_places(store: PreparedDataset) -> dict[str, StoredFile]:
    """The files but where in one file each history lies, that file, and the checksums."""
    return {name: file for name, file in store.manifest.files.items() if not PLACES.search(name)}


@pytest.mark.parametrize(
    ("source", "by"),
    [
        ("log", "time"),
        ("list", "user"),
        ("negatives", "item_cold"),
        ("log", "user_time"),
        ("list", "random"),
    ],
)
def test_many_small_chunks_and_buckets_give_the_same_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, by: str
) -> None:
    log = write(tmp_path)["log"]
    changes: dict[str, Any] = {"split": {"by": by, "valid": 0.2, "test": 0.2}}
    if source == "list":
        listed = [[k % 7, k % 5, 3] for k in range(ROWS)]
        log.with_columns(h=pl.Series(listed)).write_parquet(tmp_path / "log.parquet")
        changes["history"] = {"from": "list", "column": "h"}
    if source == "negatives":
        changes["label"] = {"positive_when": ">= 1"}
        changes["negatives"] = {"per_positive": 2, "draw": "popularity"}
    whole = prepare(spec(**changes), tmp_path, tmp_path / "one")
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 64, 3, 1, 1))
    many = prepare(spec(**changes), tmp_path, tmp_path / "many")
    assert many.manifest.counts == whole.manifest.counts
    assert apart_from_places(many) == apart_from_places(whole)
    for name in PARTS:  # where a history lies may differ, not what it holds
        assert histories(many, name) == histories(whole, name)
