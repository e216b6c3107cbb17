"""A history that the serving system knows late: events within the lag are not in it."""

import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec


@pytest.fixture
def store(sample, tmp_path):
    def late_store(lag: str):
        sample.swap("max_length: 5", f"max_length: 5, lag: {lag}")
        sample.swap("timestamp: t", "timestamp: t, time_unit: s")
        sample.write()
        path = tmp_path / "spec.yaml"
        path.write_text(sample.spec, encoding="utf-8")
        return prepare(load_spec(path), sample.folder, tmp_path / "out")

    return late_store


@pytest.mark.parametrize("seconds", [1, 8, 21])
def test_events_within_the_lag_are_not_yet_known(sample, store, readback, seconds: int) -> None:
    back = readback(store(f"{seconds}s"))
    shorter = 0
    for actual, row in zip(back.rows, sample.rows, strict=True):
        past = [r for r in sample.rows if r["u"] == row["u"] and r["y"] and r["t"] < row["t"]]
        known = [str(r["i"]) for r in past if r["t"] < row["t"] - seconds]
        assert tuple(map(str, actual.history)) == tuple(known[-5:])
        shorter += len(known) < len(past)
    assert (shorter > 0) == (seconds >= 8)  # a user comes every seventh second


def test_a_lag_of_days_leaves_every_history_empty(store) -> None:
    late = store("2d")
    assert all(late.split(name).history_length.max() == 0 for name in ("train", "valid", "test"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("from: log", "from: none, lag: 1h", "'lag' is for from: log"),
        ("max_length: 5", "max_length: 5, lag: soon", "expected a number and a unit"),
    ],
)
def test_a_lag_that_means_nothing_is_refused(sample, tmp_path, old, new, sentence) -> None:
    sample.swap(old, new)
    path = tmp_path / "spec.yaml"
    path.write_text(sample.spec, encoding="utf-8")
    with pytest.raises(SpecError, match=sentence):
        load_spec(path)
