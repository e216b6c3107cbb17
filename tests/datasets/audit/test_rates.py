"""The user's and the item's rate so far, by a plain loop over the log."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.datasets.audit.report import audit
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS = 600
SPEC = {
    "name": "shop",
    "interactions": {"path": "log.parquet"},
    "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
    "history": {"from": "none"},
    "items": {"keys": "log"},
    "split": {"by": "time", "valid": 0.3, "test": 0.2},
}


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """Users and items with tastes of their own; four rows share a time."""
    rng = np.random.default_rng(2)
    user, item = rng.integers(0, 30, ROWS), rng.integers(0, 15, ROWS)
    label = rng.random(ROWS) < (user % 5 + item % 4 + 1) / 9
    return pl.DataFrame({"u": user, "i": item, "y": label.astype(int), "t": np.arange(ROWS) // 4})


def store(log: pl.DataFrame, folder: Path, **changes: object) -> PreparedDataset:
    log.write_parquet(folder / "log.parquet")
    return prepare(parse_spec(SPEC | changes, "spec.yaml"), folder, folder / "out")


def loop(log: pl.DataFrame, key: str) -> float:
    rows = log.rows(named=True)
    times = sorted(row["t"] for row in rows)
    low, high = times[ROWS // 2], times[int(ROWS * 0.8)]
    train = [row["y"] for row in rows if row["t"] < low]
    rate = sum(train) / len(train)
    labels, scores = [], []
    for row in rows:
        if low <= row["t"] < high:
            past = [o["y"] for o in rows if o[key] == row[key] and o["t"] < row["t"]]
            labels.append(row["y"])
            scores.append((sum(past) + 10 * rate) / (len(past) + 10))
    return float(roc_auc_score(labels, scores))


def test_rates_so_far_are_among_the_single_features(log, tmp_path) -> None:
    report = audit(store(log, tmp_path))
    numbers = {finding.name: finding.numbers for finding in report.findings}
    for key, name in (("u", "the user's rate so far"), ("i", "the item's rate so far")):
        expected = pytest.approx(loop(log, key), abs=1e-12)
        assert numbers["single_feature_auc"][name] == numbers["rates_so_far"][name] == expected


@pytest.mark.parametrize(
    ("counters", "sentence"),
    [
        ([], "The user's rate so far (AUC "),
        ([{"of": "user"}], "The item's rate so far (AUC "),
        ([{"of": ["user", "item"]}, {"of": "item"}], "The user's rate so far (AUC "),
        ([{"of": "user"}, {"of": "item"}], None),
    ],
)
def test_rates_that_are_no_inputs_are_named(log, tmp_path, counters, sentence) -> None:
    report = audit(store(log, tmp_path, counters=counters))
    notes = [finding for finding in report.findings if finding.name == "rates_so_far"]
    assert len(notes) == (sentence is not None)
    for note in notes:
        assert note.title.startswith(sentence)
        assert note.title.endswith("are no inputs." if not counters else "is no input.")


def test_without_times_or_with_drawn_negatives_there_is_no_rate(log, tmp_path) -> None:
    untimed = {"columns": {"user": "u", "item": "i", "label": "y"}, "split": {"by": "random"}}
    drawn = {"negatives": {"per_positive": 2}, "label": {"positive_when": "== 1"}}
    for changes in (untimed, drawn):
        report = audit(store(log, tmp_path, **changes))
        numbers = {finding.name: finding.numbers for finding in report.findings}
        assert "rates_so_far" not in numbers
        assert "the user's rate so far" not in numbers["single_feature_auc"]


def test_a_counter_is_no_leak_however_well_it_ranks(log, tmp_path) -> None:
    """Users who always or never click: their rate so far tells all, and is known beforehand."""
    sure = log.with_columns(y=(pl.col("u") % 2).cast(pl.Int64))
    report = audit(store(sure, tmp_path, counters=[{"of": "user"}, {"of": "item"}]))
    aucs = {finding.name: finding.numbers for finding in report.findings}["single_feature_auc"]
    assert aucs["request.user_rate"] > 0.95
    assert not [f.name for f in report.findings if f.name.startswith("label_from.request.user")]


def test_a_counter_is_no_score_of_an_old_model(tmp_path) -> None:
    """The log-odds of the rates of ten users follow the labels as a score does."""
    rng, rows = np.random.default_rng(0), 4000
    user = rng.integers(0, 10, rows)
    label = rng.random(rows) < (user + 0.5) / 10
    steady = pl.DataFrame(
        {"u": user, "i": rng.integers(0, 9, rows), "y": label.astype(int), "t": np.arange(rows)}
    )
    report = audit(store(steady, tmp_path, counters=[{"of": "user"}, {"of": "item"}]))
    assert not [f.name for f in report.findings if f.name.startswith("score.")]
