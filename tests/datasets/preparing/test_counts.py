"""What a store says of its items, splits and progress, against plain loops over the log."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.spec import DatasetSpec, parse_spec

ROWS, USERS, ITEMS = 240, 9, 30
PARTS = ("train", "valid", "test")


def write(folder: Path, name: str = "log.parquet") -> list[dict[str, Any]]:
    """Histories hold items 20 to 29, of which no row shows any; those of valid have some alone."""
    rng = np.random.default_rng(0)
    part = rng.choice(3, ROWS, p=[0.6, 0.15, 0.25])
    log = pl.DataFrame(
        {
            "u": rng.integers(0, USERS, ROWS),
            "i": np.where(part == 0, rng.integers(0, 12, ROWS), rng.integers(6, 18, ROWS)),
            "y": rng.integers(0, 2, ROWS),
            "s": [PARTS[k] for k in part],
            "r": rng.integers(0, 12, ROWS),
            "h": [
                (rng.integers(20, 24 if k == 0 else 29, rng.integers(0, 5))).tolist() for k in part
            ],
        }
    )
    path = folder / name
    if path.suffix == ".csv":
        log.drop("h").write_csv(path)
    else:
        log.write_parquet(path)
    pl.DataFrame({"i": range(ITEMS)}).write_parquet(folder / "items.parquet")
    return log.to_dicts()


def spec(**changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "counted",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y"},
        "history": {"from": "list", "column": "h", "max_length": 3},
        "items": {"path": "items.parquet", "key": "i"},
        "split": {"by": "given", "column": "s"},
    }
    return parse_spec(raw | changes, "test")


def small(monkeypatch: pytest.MonkeyPatch, bits: int = 2) -> None:
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 16, bits, 1, 1))


@pytest.mark.parametrize("bits", [0, 2])
def test_items_are_counted_where_train_shows_and_remembers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    log = write(tmp_path)
    small(monkeypatch, bits)
    store = prepare(spec(), tmp_path, tmp_path / "out")
    train = [row for row in log if row["s"] == "train"]
    shown = Counter(row["i"] for row in train)
    clicked = Counter(row["i"] for row in train if row["y"])
    remembered = {item for row in train for item in row["h"][-3:]}
    items = store.path / "items"
    facts = {name: np.load(items / f"{name}.npy") for name in ("impressions", "clicks", "in_train")}
    assert [facts[name][0] for name in facts] == [0, 0, 0]
    for item in range(ITEMS):
        assert facts["impressions"][item + 1] == shown[item]
        assert facts["clicks"][item + 1] == clicked[item]
        assert facts["in_train"][item + 1] == (item in shown or item in remembered)
    assert remembered
    assert not remembered & shown.keys()
    for name in PARTS:
        rows = [row for row in log if row["s"] == name]
        counts = store.manifest.counts[name]
        assert counts.rows == len(rows)
        assert counts.positives == sum(row["y"] for row in rows)
        assert counts.groups == len({row["u"] for row in rows})
        assert counts.requests == len({(row["u"], tuple(row["h"][-3:])) for row in rows})
    assert store.manifest.source_rows == ROWS


def test_histories_from_none_leave_the_items_of_train_to_its_rows(tmp_path: Path) -> None:
    log = write(tmp_path)
    store = prepare(spec(history={"from": "none"}), tmp_path, tmp_path / "out")
    shown = {row["i"] for row in log if row["s"] == "train"}
    in_train = np.load(store.path / "items" / "in_train.npy")
    assert np.flatnonzero(in_train).tolist() == sorted(item + 1 for item in shown)
    assert store.manifest.schema_.max_history == 0


@pytest.mark.parametrize("bits", [0, 2])
def test_requests_that_a_given_split_cuts_apart_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    log = write(tmp_path)
    small(monkeypatch, bits)
    columns = {"user": "u", "item": "i", "label": "y", "request": "r"}
    store = prepare(spec(columns=columns), tmp_path, tmp_path / "out")
    parts: dict[tuple[int, int], set[str]] = {}
    for row in log:
        parts.setdefault((row["u"], row["r"]), set()).add(row["s"])
    apart = sum(len(of) - 1 for of in parts.values())
    assert apart > 20
    assert store.manifest.warnings == (f"the given split cuts {apart} requests apart",)
    whole = prepare(spec(), tmp_path, tmp_path / "out")
    assert whole.manifest.warnings == ()


def test_negatives_that_no_item_is_left_for_are_counted(tmp_path: Path) -> None:
    """Every user has clicked all but one or two of five items."""
    clicks = [(u, i) for u in range(40) for i in range(5) if i != u % 5 and (u + i) % 7]
    log = pl.DataFrame(clicks, schema=["u", "i"], orient="row")
    log.write_parquet(tmp_path / "log.parquet")
    pl.DataFrame({"i": range(5)}).write_parquet(tmp_path / "items.parquet")
    clicked = Counter(u for u, _ in clicks)
    chosen = spec(
        columns={"user": "u", "item": "i"},
        history={"from": "none"},
        split={"by": "user"},
        negatives={"per_positive": 3},
    )
    store = prepare(chosen, tmp_path, tmp_path / "out")
    missing = sum(count * (3 - min(3, 5 - count)) for count in clicked.values())
    assert store.manifest.warnings == (
        f"{missing} negatives have no eligible item and are left out",
    )
    assert store.manifest.source_rows == len(clicks) * 4 - missing


def test_rows_that_are_left_out_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path)
    small(monkeypatch)
    some = spec(items={"path": "items.parquet", "key": "i", "unknown": "drop"})
    pl.DataFrame({"i": range(2, ITEMS)}).write_parquet(tmp_path / "items.parquet")
    store = prepare(some, tmp_path, tmp_path / "out")
    left_out = sum(row["i"] < 2 for row in log)
    assert store.manifest.warnings == (f"{left_out} rows of the log are left out",)
    assert store.manifest.source_rows == ROWS - left_out


def test_progress_says_what_is_read_an_eighth_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    small(monkeypatch, 4)
    lines: list[str] = []
    prepare(spec(), tmp_path, tmp_path / "out", progress=lines.append)
    assert [line for line in lines if line.startswith("read ")] == [
        f"read {rows_read} of about 240 rows" for rows_read in range(32, 225, 32)
    ]
    assert [line for line in lines if line.startswith("bucket ")] == [
        f"bucket {number} of 16" for number in range(1, 17, 2)
    ]
    assert lines[0].startswith("240 rows; memory at most 1.0 GiB")
    assert not any("first" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "items", "what"),
    [
        ("log.csv", {"path": "items.parquet", "key": "i"}, "the kinds of columns"),
        ("log.csv", {"keys": "log"}, "the kinds of columns and the item keys"),
        ("log.parquet", {"keys": "log"}, "the item keys"),
    ],
)
def test_what_is_read_before_the_plan_is_said(
    tmp_path: Path, name: str, items: dict[str, str], what: str
) -> None:
    write(tmp_path, name)
    lines: list[str] = []
    chosen = spec(interactions={"path": name}, items=items, history={"from": "none"})
    prepare(chosen, tmp_path, tmp_path / "out", progress=lines.append)
    assert lines[0] == (
        f"about 240 rows; memory at most 4.0 GiB: reading {what} first, 524,288 rows at a time"
    )
    prepare(chosen, tmp_path, tmp_path / "more", max_memory=600 << 20, progress=lines.append)
    again = next(line for line in lines if "at most 600.0 MiB" in line)
    # a fifth of 340 MiB over (128 + 8) bytes six times
    assert again.endswith(f"reading {what} first, {340 * (1 << 20) // 5 // 816:,} rows at a time")


def test_a_split_without_rows_or_of_one_label_is_refused_with_the_counts(tmp_path: Path) -> None:
    rows = [(k % 4, k % 7, k % 2, "train" if k % 3 else "valid") for k in range(60)]
    pl.DataFrame({"i": range(7)}).write_parquet(tmp_path / "items.parquet")

    def written(rows: list[tuple[int, int, int, str]]) -> None:
        frame = pl.DataFrame(rows, schema=["u", "i", "y", "s"], orient="row")
        frame.write_parquet(tmp_path / "log.parquet")

    chosen = spec(history={"from": "none"})
    written(rows)
    lines = (
        r"split by: given: 'test' is empty \(train 40 rows, valid 20 rows, test 0 rows\); choose"
    )
    with pytest.raises(DataContractError, match=lines):
        prepare(chosen, tmp_path, tmp_path / "out")
    for label, word in ((0, "negatives"), (1, "positives")):
        written([*rows, *((k % 4, k, label, "test") for k in range(5))])
        lines = rf"split 'test' holds {word} only \(5 rows\); no click model"
        with pytest.raises(DataContractError, match=lines):
            prepare(chosen, tmp_path, tmp_path / "out")


def test_memory_that_cannot_hold_a_bucket_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(SpecError, match=r"^--max-memory 200\.0 MiB is too little: "):
        prepare(spec(), tmp_path, tmp_path / "out", max_memory=200 << 20)
