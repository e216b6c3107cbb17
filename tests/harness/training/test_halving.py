"""Successive halving: where a training pauses, what a worker makes of it, what it needs."""

import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.study import check_study
from fusefront.harness.training import run as training
from fusefront.harness.training import workers
from fusefront.harness.training.checkpoint import PausedError
from fusefront.harness.training.halving import Leg, best_at_rungs, rungs


@pytest.mark.parametrize("epochs", [1, 2, 3, 8, 16, 20])
def test_rungs_are_whole_epochs_before_the_last(epochs: int) -> None:
    for rung in rungs(epochs):
        assert 1 <= rung < epochs
    assert best_at_rungs([], epochs) == {}


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, ()),
        (2, (1,)),
        (3, (1, 2)),
        (5, (1, 2, 3)),
        (8, (1, 2, 4)),
        (9, (2, 3, 5)),
        (72, (9, 18, 36)),
        (1000, (125, 250, 500)),
    ],
)
def test_a_training_pauses_after_an_eighth_a_quarter_and_a_half(
    epochs: int, expected: tuple[int, ...]
) -> None:
    """Each rounded up; the best AUC so far stands at those that were reached, of equal length."""
    assert rungs(epochs) == expected
    rising = [k / epochs for k in range(epochs)]
    for reached in (*expected, *(rung - 1 for rung in expected), epochs):
        best = best_at_rungs(rising[:reached], epochs)
        assert best == {str(rung): (rung - 1) / epochs for rung in expected if rung <= reached}
    falling = [None, *reversed(rising)]  # the first epoch has no value
    best = best_at_rungs(falling, epochs)
    assert best == {str(rung): rising[-1] for rung in expected if rung > 1}


@pytest.mark.parametrize(("until", "end"), [(2, "paused"), (None, "done")])
def test_a_worker_puts_by_what_is_trained_in_parts(
    until: int | None, end: str, monkeypatch: pytest.MonkeyPatch, make_cell: Any
) -> None:
    """Played: three epochs, of which the run trains as many as it is told to."""

    def run(*words: Any) -> Any:
        *_, progress, _, _, last = words
        for number in range(1, (last or 3) + 1):
            progress({"epoch": number, "valid_auc": 0.5})
        if last is not None:
            raise PausedError
        return SimpleNamespace(summary={"host_pid": os.getpid()})

    monkeypatch.setattr(training, "run", run)
    monkeypatch.setattr(workers, "lead", lambda: None)
    monkeypatch.setattr(workers, "follow_parent", lambda: None)
    monkeypatch.setattr(PreparedDataset, "open", lambda _: None)
    ours, theirs = multiprocessing.Pipe()
    ours.send(make_cell() if until is None else Leg(make_cell(), until))
    ours.send(None)
    workers.work(theirs, Path("out"), Path("store"), [])
    messages = []
    while ours.poll():
        messages.append(ours.recv())
    assert [kind for kind, _ in messages] == ["epoch"] * (until or 3) + [end]
    assert messages[-1][1]["seconds"] < 10.0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"trials": 9, "halving": True}, "halving without seconds can only lose"),
        (
            {"trials": 9, "seconds": 60, "halving": True, "objectives": ["auc", "macs"]},
            "halving uses the AUC alone",
        ),
    ],
)
def test_halving_needs_seconds_and_one_objective(words: dict[str, Json], sentence: str) -> None:
    study = {"name": "s", "dataset": "d", "strategies": {"a": {}}, "baseline": "a", "tuning": words}
    with pytest.raises(UsageError, match=sentence):
        check_study(study, "s.yaml")
