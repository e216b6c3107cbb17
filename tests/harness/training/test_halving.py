"""Successive halving: where a trial ends, by counting; what a worker and the records make of it."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.study import Range, check_study
from fusefront.harness.training import run as training
from fusefront.harness.training import workers
from fusefront.harness.training.halving import RacedCell, best_at_rungs, rungs, stop_below
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.search_cells import TrialSource


def test_a_trial_goes_on_that_is_in_the_better_half_with_those_before() -> None:
    rng = np.random.default_rng(3)
    for count in range(1, 9):
        earlier = rng.permutation(20)[:count].astype(float).tolist()
        bar = stop_below(earlier)
        assert bar is not None
        for value in np.arange(-1, 21) + 0.5:
            better = sum(other > value for other in earlier)
            assert (value >= bar) == (better < max(1, (count + 1) // 2))


@pytest.mark.parametrize("epochs", [1, 2, 3, 8, 16, 20])
def test_rungs_are_whole_epochs_before_the_last(epochs: int) -> None:
    for rung in rungs(epochs):
        assert 1 <= rung < epochs
    assert best_at_rungs([], epochs) == {}


def played(connection: Any, bar: float, monkeypatch: pytest.MonkeyPatch, cell: Cell) -> list[Any]:
    """What a worker says of a training of three epochs with AUCs of .5, .6 and .7."""

    def run(*words: Any) -> Any:
        progress: Callable[[dict[str, Json]], None] = words[4]
        for number in (1, 2, 3):
            progress({"epoch": number, "valid_auc": 0.4 + number / 10})
        return SimpleNamespace(summary={"host_pid": os.getpid()})

    monkeypatch.setattr(training, "run", run)
    ours, theirs = connection
    ours.send(RacedCell(cell, {2: bar}))
    ours.send(None)
    workers.work(theirs, Path("out"), Path("store"), [])
    messages = []
    while ours.poll():
        messages.append(ours.recv())
    return messages


@pytest.mark.parametrize(("bar", "end"), [(0.6, "done"), (0.61, "failed")])
def test_a_worker_ends_what_lags_behind(
    bar: float, end: str, monkeypatch: pytest.MonkeyPatch, make_cell: Any
) -> None:
    monkeypatch.setattr(workers, "lead", lambda: None)
    monkeypatch.setattr(workers, "follow_parent", lambda: None)
    monkeypatch.setattr(PreparedDataset, "open", lambda _: None)
    messages = played(multiprocessing.Pipe(), bar, monkeypatch, make_cell())
    kinds = [kind for kind, _ in messages]
    assert kinds == ["epoch"] * (3 if end == "done" else 2) + [end]
    if end == "failed":
        message = messages[-1][1]
        assert (message["cause"], message["passing"]) == ("pruned", False)
        assert "after epoch 2: its best AUC 0.6000 is below 0.6100" in message["reason"]


def cell(name: str, params: dict[str, Json]) -> Cell:
    spec = RunSpec("shop", "f", "b", params, {"epochs": 4}, 1, code="c")
    return Cell(name, "trial", spec, False)


def test_a_search_compares_with_the_trials_that_its_proposal_knows(tmp_path: Path) -> None:
    """Lag 2: trial n knows 0 .. n - 2. A pruned one has no value and its rungs count."""
    space = {"lr": Range(low=0.001, high=0.1, log=True)}
    search = Search(tmp_path / "tuning" / "a", "a", space, 6, 1, 2, seconds=1e6, halving=True)
    source = TrialSource([search], cell, tmp_path)
    curves = [(0.5, 0.6, 0.7, 0.7), (0.6, 0.7, 0.7, 0.8), (0.55, 0.5), (0.4,), (0.7, 0.8)]
    bars = []
    for aucs in curves:
        following = source()
        assert isinstance(following, Cell)
        bars.append(source.stops(following))
        run = tmp_path / "runs" / "shop" / "a" / following.spec.run_id
        run.mkdir(parents=True)
        lines = [{"epoch": n + 1, "valid_auc": auc} for n, auc in enumerate(aucs)]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if len(aucs) == 4:
            summary = {"run_id": following.spec.run_id, "valid_auc": max(aucs), "seconds": 9.0}
            write_json(run / "summary.json", summary)
            source.close(following, "", seconds=9.0)
        else:
            source.close(following, "lags", cause="pruned", seconds=float(len(aucs)))
    assert bars == [{}, {}, {1: 0.5, 2: 0.6}, {1: 0.6, 2: 0.7}, {1: 0.55, 2: 0.6}]
    assert [record["state"] for record in search.records()] == ["ok", "ok"] + 3 * ["pruned"]
    assert search.records()[2]["rungs"] == {"1": 0.55, "2": 0.55}
    assert search.spent == 9.0 + 9.0 + 2.0 + 1.0 + 2.0
    assert [trial["number"] for trial in search.ranked()] == [1, 0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"trials": 9, "halving": True}, "halving without seconds: at a fixed number of trials"),
        (
            {"trials": 9, "seconds": 60, "halving": True, "objectives": ["auc", "macs"]},
            "halving goes by the AUC alone",
        ),
    ],
)
def test_halving_needs_seconds_and_one_objective(words: dict[str, Json], sentence: str) -> None:
    study = {"name": "s", "dataset": "d", "strategies": {"a": {}}, "baseline": "a", "tuning": words}
    with pytest.raises(UsageError, match=sentence):
        check_study(study, "s.yaml")
