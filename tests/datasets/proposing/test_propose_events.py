"""What `init` proposes a history of a log to hold: all events with their kind, where the log has
kinds."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset

ROWS = 300


def proposed(folder: Path, timed: bool = True, **columns: Any) -> str:
    rng = np.random.default_rng(0)
    data = folder / "shop"
    data.mkdir()
    log = {"user_id": rng.integers(0, 20, ROWS), "item_id": rng.integers(1, 16, ROWS)}
    log |= {"timestamp": np.arange(ROWS) + 1_600_000_000} if timed else {}
    pl.DataFrame(log | columns).write_parquet(data / "log.parquet")
    pl.DataFrame({"item_id": range(1, 16)}).write_parquet(data / "items.parquet")
    return propose([data])


def line(text: str) -> str:
    (written,) = [row for row in text.splitlines() if row.startswith("history:")]
    return written


def store_of(folder: Path, text: str) -> PreparedDataset:
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return prepare(load_spec(folder / "spec.yaml"), folder / "shop", folder / "out")


@pytest.mark.parametrize("step", [1.0, 0.5])
def test_a_rating_is_the_kind_of_what_the_user_rated(tmp_path: Path, step: float) -> None:
    rating = np.random.default_rng(1).integers(1, 6, ROWS) * step + 5 * (1 - step)
    text = proposed(tmp_path, rating=rating)
    assert 'events: all, kind: "rating"' in line(text)
    history = store_of(tmp_path, text).manifest.history
    assert history is not None
    assert history.events == "all"
    assert history.kinds == tuple(str(value) for value in sorted(set(rating.tolist())))


def test_a_behaviour_is_the_kind_whatever_the_label_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    actions = rng.choice(["view", "cart", "buy"], ROWS)
    text = proposed(tmp_path, click=rng.integers(0, 2, ROWS), action=actions)
    assert 'events: all, kind: "action"' in line(text)
    history = store_of(tmp_path, text).manifest.history
    assert history is not None
    assert set(history.kinds) == {"view", "cart", "buy"}


def test_of_clicks_and_others_the_positives_make_the_history(tmp_path: Path) -> None:
    """Whoever saw a page of ads met most of them by chance; the way to add them is said."""
    text = proposed(tmp_path, click=np.random.default_rng(1).integers(0, 2, ROWS))
    value, _, comment = line(text).partition("#")
    assert "kind" not in value
    assert "'events: all, kind: click'" in comment


def test_a_number_of_many_values_and_a_log_without_times_tell_no_kinds(tmp_path: Path) -> None:
    many = np.random.default_rng(1).random(ROWS) * 100
    (tmp_path / "a").mkdir()
    assert "kind:" not in line(proposed(tmp_path / "a", rating=many)).partition("#")[0]
    (tmp_path / "b").mkdir()
    stars = np.random.default_rng(1).integers(1, 6, ROWS)
    assert "kind" not in line(proposed(tmp_path / "b", timed=False, rating=stars))
