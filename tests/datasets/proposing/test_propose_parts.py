"""`init` on tables of items and users in parts, and on logs that bring a split but no times."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.report import audit
from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import draft
from fusefront.datasets.proposing.draft import Draft
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS = 1200, 40, 30


def log(*, timed: bool = True) -> pl.DataFrame:
    draw = np.random.default_rng(5)
    columns: dict[str, Any] = {
        "user_id": draw.integers(1, USERS + 1, ROWS),
        "item_id": draw.integers(0, ITEMS, ROWS),
        "label": draw.integers(0, 2, ROWS),
    }
    times = {"ts": 1_650_000_000 + 37 * np.arange(ROWS)} if timed else {}
    return pl.DataFrame(columns | times)


def prepared(folder: Path, out: Path) -> tuple[Draft, PreparedDataset]:
    """The proposal, which leaves nothing open, and its store."""
    proposal = draft([folder])
    text = proposal.text()
    assert not proposal.unknown(), text
    assert "Tried: prepare takes" in text
    out.mkdir()
    (out / "spec.yaml").write_text(text, encoding="utf-8")
    return proposal, prepare(load_spec(out / "spec.yaml"), folder, out)


def in_files(frame: pl.DataFrame, folder: Path, name: str) -> list[str]:
    third = frame.height // 3
    names = [f"{name}_{k}.csv" for k in (1, 2, 10)]
    for k, file in enumerate(names):
        frame[k * third : (k + 1) * third if k < 2 else None].write_csv(folder / file)
    return names


def in_folder(frame: pl.DataFrame, folder: Path, name: str) -> list[str]:
    (folder / name).mkdir()
    names = [f"{name}/part-0000{k}-9f.snappy.parquet" for k in range(3)]
    for k, file in enumerate(names):
        frame[k * 10 : (k + 1) * 10 if k < 2 else None].write_parquet(folder / file)
    return names


@pytest.mark.parametrize("write", [in_files, in_folder], ids=["files", "folder"])
def test_items_and_users_in_parts_are_proposed_and_stored_as_they_say(
    tmp_path: Path, write: Callable[..., list[str]], readback: Any
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    log().write_csv(folder / "log.csv")
    order = np.random.default_rng(1).permutation(ITEMS)
    items = pl.DataFrame({"item_id": order, "kind": ["abc"[k % 3] for k in order]})
    people = np.random.default_rng(2).permutation(USERS) + 1
    users = pl.DataFrame({"user_id": people, "city": [f"c{k % 4}" for k in people]})
    item_files, user_files = write(items, folder, "items"), write(users, folder, "users")
    proposal, store = prepared(folder, tmp_path / "out")
    text = proposal.text()
    listed = [", ".join(f'"{name}"' for name in names) for names in (item_files, user_files)]
    for names in listed:
        assert f"path: [{names}]" in text, text
    assert "in 3 parts" in text
    back = readback(store)
    assert list(back.items) == order.tolist()
    assert all(values["kind"] == "abc"[int(key) % 3] for key, values in back.items.items())
    city = dict(users.iter_rows())
    assert len(back.rows) == ROWS
    assert all(row.of_request["city"] == city[row.user] for row in back.rows)


def test_a_table_that_comes_again_in_every_part_is_no_table_of_items(tmp_path: Path) -> None:
    """Daily copies of one table: each key stands in each."""
    log().write_csv(tmp_path / "log.csv")
    for day in (1, 2):
        items = pl.DataFrame({"item_id": range(ITEMS), "kind": ["a", "b"] * 15})
        items.write_csv(tmp_path / f"items_{day}.csv")
    text = draft([tmp_path]).text()
    assert "# items_*.csv: 'item_id' repeats or is missing, so it is no table of items" in text
    assert "items: {keys: log}" in text


PARTS = ("train", "valid", "test")


def by_column(folder: Path, frame: pl.DataFrame, splits: list[str]) -> None:
    frame.with_columns(phase=pl.Series(splits)).write_csv(folder / "log.csv")


def by_files(folder: Path, frame: pl.DataFrame, splits: list[str]) -> None:
    for part in PARTS:
        frame.filter(pl.Series(splits) == part).write_parquet(folder / f"{part}.parquet")


@pytest.mark.parametrize("way", [by_column, by_files])
@pytest.mark.parametrize("label", ["label", "positives", "rating"])
def test_without_times_a_given_split_makes_histories_of_train(
    tmp_path: Path, way: Callable[..., None], label: str, readback: Any
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    frame = log(timed=False)
    if label == "positives":
        frame = frame.drop("label").unique(maintain_order=True)
    if label == "rating":
        stars = 1 + (np.arange(ROWS) * 7 + np.arange(ROWS) // 5) % 5
        frame = frame.drop("label").with_columns(rating=pl.Series(stars))
    splits = [PARTS[0 if k % 10 < 7 else 1 + k % 2] for k in range(frame.height)]
    way(folder, frame, splits)
    proposal, store = prepared(folder, tmp_path / "out")
    assert "the user's positives in train, less the row's own; 100% of the valid" in proposal.text()
    assert store.manifest.history.past == "train"
    severe = {finding.name for finding in audit(store).severe()}
    assert severe <= {"sibling_rows"}
    ordered = sorted(zip(splits, frame.rows(), strict=True), key=lambda row: PARTS.index(row[0]))
    source = ordered if way is by_files else list(zip(splits, frame.rows(), strict=True))
    liked: dict[int, list[int]] = {}
    for split, (user, item, *rest) in source:
        if split == "train" and (not rest or rest[0] >= (4 if label == "rating" else 1)):
            liked.setdefault(user, []).append(item)
    entries = 0
    for row in readback(store).rows:
        if row.split != "train":
            assert list(row.history) == liked.get(row.user, [])[-50:]
            entries += len(row.history)
    assert entries > 100


def test_users_of_their_own_in_every_split_have_no_past_without_times(tmp_path: Path) -> None:
    frame = log(timed=False)
    splits = [PARTS[0 if u < 25 else 1 + u % 2] for u in frame["user_id"].to_list()]
    by_column(tmp_path, frame, splits)
    proposal = draft([tmp_path])
    assert (
        "history: {from: none}  # guess: no history column, and without timestamps there is no "
        "past, for 0.0% of the valid and test rows are by users of train" in proposal.text()
    )
    assert not proposal.unknown()


def test_without_times_and_without_a_given_split_there_is_no_history(tmp_path: Path) -> None:
    log(timed=False).write_csv(tmp_path / "log.csv")
    proposal = draft([tmp_path])
    assert (
        "history: {from: none}  # guess: no history column, and without timestamps a history needs "
        "a split that is given" in proposal.text()
    )
    frame = log(timed=False)
    for part, rows in (("train", frame[:800]), ("test", frame[800:])):
        rows.write_parquet(tmp_path / f"{part}.parquet")
    (tmp_path / "log.csv").unlink()
    proposal = draft([tmp_path])
    assert set(proposal.unknown()) == {"interactions"}
    assert "history: {from: none}" in proposal.text()


def test_a_sample_without_users_of_train_leaves_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stretches of a large log may miss the users that are in both."""
    monkeypatch.setattr("fusefront.datasets.proposing.files.sample.WHOLE", 100)
    monkeypatch.setattr("fusefront.datasets.proposing.files.sample.ROWS", 60)
    frame = log(timed=False)
    splits = [PARTS[0 if k < 800 else 1 + k % 2] for k in range(ROWS)]
    users = np.where(np.arange(ROWS) < 800, 2 * np.arange(ROWS), 2 * np.arange(ROWS) - 1593)
    frame = frame.with_columns(user_id=pl.Series(users // 4 * 2 + users % 2))
    by_files(tmp_path, frame, splits)
    unknown = draft([tmp_path]).unknown()
    assert "if all rows show more write from: log, else from: none" in unknown["history"]
