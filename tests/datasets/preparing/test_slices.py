"""Slices and the truth of a store against plain loops over its rows and the source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import context, finish, pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.preparing.slices import ItemFacts, item_codes
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS = 400, 25, 14
WHEN = ("cold_item", "cold_user", "no_history", "popularity", "no_text", "no_sound")
COLUMNS = {"place": "p", "age": "a", "maker": "m", "day": "d"}  # of the log, the users, the items


def write(folder: Path) -> pl.DataFrame:
    """Late items and users, users and items that lack a value, a log without one in places."""
    rng = np.random.default_rng(0)
    when = np.arange(ROWS)
    late = when > ROWS * 0.6
    log = pl.DataFrame(
        {
            "u": np.where(late, rng.integers(0, USERS, ROWS), rng.integers(0, 16, ROWS)),
            "i": (rng.random(ROWS) ** 2 * np.where(late, ITEMS, 10)).astype(int),
            "y": rng.integers(0, 2, ROWS),
            "t": when // 2,
            "p": [[None, "10", "9", "west", ""][k] for k in rng.integers(0, 5, ROWS)],
            "q": rng.random(ROWS) ** 2,
            "d": when % 3,
        }
    )
    log.write_parquet(folder / "log.parquet")
    ages = {"u": range(USERS - 2), "a": [(k * 7) % 5 for k in range(USERS - 2)]}  # two are unknown
    pl.DataFrame(ages).write_parquet(folder / "users.parquet")
    makers = [None if k % 6 == 5 else f"m{k % 3}" for k in range(ITEMS)]
    pl.DataFrame({"i": range(ITEMS), "m": makers}).write_parquet(folder / "items.parquet")
    for name, step in (("text", 3), ("sound", 4)):
        vectors = np.ones((ITEMS, 2), np.float32)
        vectors[::step] = 0
        np.save(folder / f"{name}.npy", vectors)
    return log


def make(folder: Path, out: str = "out") -> PreparedDataset:
    raw: dict[str, Any] = {
        "name": "sliced",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": 3},
        "users": {"path": "users.parquet", "key": "u"},
        "items": {"path": "items.parquet", "key": "i"},
        "modalities": {name: {"path": f"{name}.npy"} for name in ("text", "sound")},
        "split": {"by": "time", "valid": 0.15, "test": 0.2},
        "truth": {"column": "q"},
        "slices": [
            *({"name": name, "column": column} for name, column in COLUMNS.items()),
            *({"name": name, "when": name, "sensitive": name == "no_text"} for name in WHEN),
        ],
    }
    return prepare(parse_spec(raw, "test"), folder, folder / out)


def expected(log: pl.DataFrame, train: set[int]) -> list[dict[str, str]]:
    """The slices of every row by a loop over the log; `train` are the rows of train."""
    rows = log.to_dicts()
    users = {rows[n]["u"] for n in train}
    shown: dict[int, int] = dict.fromkeys(range(ITEMS), 0)
    for n in train:
        shown[rows[n]["i"]] += 1
    ranks, before = {}, 0
    for item in sorted(shown, key=lambda item: (-shown[item], item)):
        share = before / len(train)
        ranks[item] = "head" if share < 0.5 else "middle" if share < 0.8 else "tail"
        ranks[item] = ranks[item] if shown[item] else "unseen"
        before += shown[item]
    past = {  # items of train: its candidates and the histories of its rows
        other["i"]
        for n in train
        for other in rows
        if other["u"] == rows[n]["u"] and other["y"] and other["t"] < rows[n]["t"]
    }
    known_items = past | {item for item, count in shown.items() if count}
    out = []
    for row in rows:
        item, user = row["i"], row["u"]
        clicked = any(o["u"] == user and o["y"] and o["t"] < row["t"] for o in rows)
        out.append(
            {
                "place": row["p"] or "absent",
                "age": str(user * 7 % 5) if user < USERS - 2 else "absent",
                "day": str(row["d"]),
                "maker": "absent" if item % 6 == 5 else f"m{item % 3}",
                "cold_item": "known" if item in known_items else "cold",
                "cold_user": "known" if user in users else "cold",
                "no_history": "with history" if clicked else "no history",
                "popularity": ranks[item],
                "no_text": "no text" if item % 3 == 0 else "with text",
                "no_sound": "no sound" if item % 4 == 0 else "with sound",
            }
        )
    return out


@pytest.mark.parametrize("small", [False, True])
def test_every_slice_is_that_of_a_loop_over_the_log(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    readback: Callable[[PreparedDataset], Any],
    small: bool,
) -> None:
    log = write(tmp_path)
    if small:  # blocks, chunks and buckets of few rows
        monkeypatch.setattr(context, "_BLOCK", 7)
        monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 64, 2, 1, 1))
    store = make(tmp_path)
    rows = readback(store).rows
    right = expected(log, {row.row for row in rows if row.split == "train"})
    for row in rows:
        assert row.slices == right[row.row], row
    values = {name: part.values for name, part in store.manifest.slices.items()}
    for name in values:
        assert {slices[name] for slices in right} <= set(values[name])
        assert len({slices[name] for slices in right}) > 1
    assert values["place"] == ("9", "10", "west", "absent")  # numbers in numeric order
    assert values["age"] == ("0", "1", "2", "3", "4", "absent")
    assert values["maker"] == ("m0", "m1", "m2", "absent")
    assert values["day"] == ("0", "1", "2")  # no row lacks one
    assert values["popularity"] == ("head", "middle", "tail", "unseen")
    sensitive = {name for name, part in store.manifest.slices.items() if part.sensitive}
    assert sensitive == {"no_text"}


def test_popularity_turns_where_half_and_four_fifths_of_the_rows_are_shown() -> None:
    shown = np.array([0, 2, 5, 1, 1, 0, 1])
    facts = ItemFacts(shown > 0, shown, np.zeros((7, 0), bool), ())
    codes, names = item_codes("popularity", facts)
    # before: item 2 nothing, item 1 a half, item 3 0.7, item 4 0.8, item 6 0.9
    assert [names[code] for code in codes[1:]] == [
        "middle",
        "head",
        "middle",
        "tail",
        "unseen",
        "tail",
    ]
    none = ItemFacts(shown > 9, shown * 0, np.zeros((7, 0), bool), ())
    assert set(item_codes("popularity", none)[0].tolist()) == {3}


@pytest.mark.parametrize("most", [1 << 22, 10])
def test_the_bayes_auc_is_that_of_the_true_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Each row is a click of weight q and a pass of weight 1 - q; no row is a pair with itself."""
    monkeypatch.setattr(finish, "_EXACT_ROWS", most)
    log = write(tmp_path)
    store = make(tmp_path)
    truth = store.manifest.bayes_auc
    assert truth is not None
    for name in ("train", "valid", "test"):
        rows = store.split(name).row_id
        q = log["q"].to_numpy()[rows]
        stored = np.load(store.path / name / "row" / "truth.npy")
        np.testing.assert_array_equal(stored, q)
        labels = np.repeat([1, 0], len(q))
        auc = roc_auc_score(labels, np.tile(q, 2), sample_weight=np.append(q, 1 - q))
        pairs, alone = q.sum() * (1 - q).sum(), (q * (1 - q)).sum()
        right = (auc * pairs - alone / 2) / (pairs - alone)
        assert truth[name] == pytest.approx(right, abs=1e-12 if most > 10 else 1e-5)
