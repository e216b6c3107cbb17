"""Every kind of split and every kind of negative against plain loops over the log."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS = 2000, 50, 40
PARTS = ("train", "valid", "test")
BASE = """
name: shop
interactions: {path: log.parquet}
columns: {user: u, item: i, label: y, timestamp: t}
history: {from: log, max_length: 6}
items: {keys: log}
split: {by: time, valid: 0.1, test: 0.2}
"""


def write(folder: Path) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "u": rng.integers(0, USERS, ROWS),
            "i": (rng.random(ROWS) ** 2 * ITEMS).astype(np.int64),
            "y": rng.integers(0, 2, ROWS),
            "t": np.sort(rng.integers(0, 500, ROWS)),
            "part": rng.choice(PARTS, ROWS, p=[0.6, 0.2, 0.2]),
        }
    )
    log.write_parquet(folder / "log.parquet")
    return log


def make(
    folder: Path, split: str, *more: str, progress: list[str] | None = None
) -> PreparedDataset:
    text = BASE.replace("{by: time, valid: 0.1, test: 0.2}", split) + "\n".join(more) + "\n"
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    tell = (lambda _: None) if progress is None else progress.append
    return prepare(load_spec(folder / "spec.yaml"), folder, folder / "out", progress=tell)


def row_ids(store: PreparedDataset) -> dict[str, list[int]]:
    return {name: store.split(name).row_id.tolist() for name in PARTS}


def shown(store: PreparedDataset, name: str) -> set[Any]:
    """Keys of every candidate and history item of a split."""
    split, keys = store.split(name), dict(store.item_keys().iter_rows())
    rows = set(split.item.tolist())
    for start, length in zip(split.history_start, split.history_length, strict=True):
        rows |= set(store.history_values[start : start + length].tolist())
    return {keys[row] for row in rows}


def test_a_given_split_is_kept_row_by_row(tmp_path: Path) -> None:
    log = write(tmp_path)
    ids = row_ids(make(tmp_path, "{by: given, column: part}"))
    for name in PARTS:
        assert sorted(ids[name]) == [n for n in range(ROWS) if log["part"][n] == name]


def test_a_split_by_time_cuts_at_the_exact_quantiles(tmp_path: Path) -> None:
    log = write(tmp_path)
    ids = row_ids(make(tmp_path, "{by: time, valid: 0.1, test: 0.2}"))
    times = sorted(log["t"].to_list())
    low, high = times[int(ROWS * 0.7)], times[int(ROWS * 0.8)]
    for n, time in enumerate(log["t"].to_list()):
        name = "train" if time < low else "valid" if time < high else "test"
        assert n in ids[name]


def test_a_split_by_user_puts_the_asked_number_of_users_apart(tmp_path: Path) -> None:
    log = write(tmp_path)
    ids = row_ids(make(tmp_path, "{by: user, valid: 0.1, test: 0.2}"))
    users = {name: {log["u"][n] for n in rows} for name, rows in ids.items()}
    assert [len(users[name]) for name in PARTS] == [35, 5, 10]
    assert len(set.union(*users.values())) == USERS
    again = row_ids(make(tmp_path, "{by: user, valid: 0.1, test: 0.2, seed: 1}"))
    assert {log["u"][n] for n in again["test"]} != users["test"]


def test_an_item_cold_split_hides_cold_items_from_train_histories_too(tmp_path: Path) -> None:
    log = write(tmp_path)
    store = make(tmp_path, "{by: item_cold, valid: 0.1, test: 0.2}")
    train, valid, test = (shown(store, name) for name in PARTS)
    everything = set(log["i"].to_list())
    hidden = everything - train
    assert len(hidden) == round(0.1 * len(everything)) + round(0.2 * len(everything))
    assert len(test - train - valid) == round(0.2 * len(everything))
    for row in row_ids(store)["train"]:
        assert log["i"][row] not in hidden


def test_a_split_by_user_and_time_takes_the_last_of_every_user(tmp_path: Path) -> None:
    log = write(tmp_path)
    ids = row_ids(make(tmp_path, "{by: user_time, valid: 0.1, test: 0.2}"))
    part = {n: PARTS.index(name) for name, rows in ids.items() for n in rows}
    for user in range(USERS):
        mine = [n for n in range(ROWS) if log["u"][n] == user]  # in order of time
        for n in mine:
            place = max(k for k, other in enumerate(mine) if log["t"][other] == log["t"][n])
            share = place / len(mine)
            assert part[n] == (share >= 0.7 - 1e-9) + (share >= 0.8 - 1e-9)


def test_a_random_split_warns_loudly_and_says_why(tmp_path: Path) -> None:
    write(tmp_path)
    lines: list[str] = []
    store = make(tmp_path, "{by: random, valid: 0.1, test: 0.2}", progress=lines)
    loud = [line for line in lines if line.startswith("WARNING: split by: random puts other")]
    assert len(loud) == 1
    assert "figures are optimistic" in loud[0]
    assert loud[0].removeprefix("WARNING: ") in store.manifest.warnings


def drawn(store: PreparedDataset) -> list[tuple[int, int, int]]:
    """(row of the positive, place, item key) of every negative."""
    keys, negatives = dict(store.item_keys().iter_rows()), []
    for name in PARTS:
        split = store.split(name)
        for row, item, label in zip(split.row_id, split.item, split.label, strict=True):
            if not label:
                negatives.append((*divmod(int(row) - ROWS, 3), keys[int(item)]))
    return sorted(negatives)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("draw", ["uniform", "popularity"])
def test_negatives_follow_their_draw_and_their_seed(tmp_path: Path, draw: str, timed: bool) -> None:
    log = write(tmp_path).with_columns(y=1)
    known = defaultdict(set)
    for user, item in log.select("u", "i").iter_rows():
        known[user].add(item)
    spec = (tmp_path, "{by: user, valid: 0.1, test: 0.2}")

    def negatives_of(seed: int) -> list[tuple[int, int, int]]:
        more = f"negatives: {{per_positive: 3, draw: {draw}, seed: {seed}}}"
        text = BASE.replace(", label: y", "")
        if not timed:
            text = text.replace(", timestamp: t", "").replace(
                "{from: log, max_length: 6}", "{from: none}"
            )
        text = text.replace("{by: time, valid: 0.1, test: 0.2}", spec[1]) + more + "\n"
        (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
        return drawn(prepare(load_spec(tmp_path / "spec.yaml"), tmp_path, tmp_path / f"o{seed}"))

    drawn_rows = negatives_of(0)
    assert len(drawn_rows) > 2.5 * ROWS
    assert all(item not in known[log["u"][row]] for row, _, item in drawn_rows)
    assert len({(row, item) for row, _, item in drawn_rows}) == len(
        drawn_rows
    )  # no item twice for a positive
    assert negatives_of(1) != drawn_rows
    count = Counter(item for _, _, item in drawn_rows)
    expected = np.zeros(ITEMS)  # by a loop: what each positive's draw may take, in which shares
    popular = Counter(log["i"].to_list())
    first = dict(log.group_by("i").agg(pl.col("t").min()).iter_rows())
    times, items = log["t"].to_numpy(), log["i"].to_numpy()
    for row, user in enumerate(log["u"].to_list()):
        weights = np.zeros(ITEMS)
        before = Counter(items[times < times[row]].tolist())
        for item in popular:
            if item in known[user] or (timed and first[item] >= times[row]):
                continue
            weight = before[item] if timed else popular[item] + 1
            weights[item] = weight if draw == "popularity" else 1
        if weights.sum():
            expected += min(3, np.count_nonzero(weights)) * weights / weights.sum()
    share = np.array([count[item] for item in range(ITEMS)])
    assert share.sum() == pytest.approx(expected.sum(), rel=0.02)
    assert np.abs(share - expected).max() < 0.15 * expected.max()
    if draw == "popularity" and not timed:
        assert np.corrcoef(share, expected)[0, 1] > 0.95


def test_a_log_without_labels_needs_negatives(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "spec.yaml").write_text(BASE.replace(", label: y", ""), encoding="utf-8")
    with pytest.raises(SpecError, match="every row is a positive: add 'negatives'"):
        load_spec(tmp_path / "spec.yaml")
