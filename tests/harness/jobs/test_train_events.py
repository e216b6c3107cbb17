"""What the training of cells passes on, with stand-ins for workers, searches and records."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.jobs import train
from fusefront.harness.jobs.train import Workspace
from fusefront.harness.runs.spec import Cell
from fusefront.harness.serving.latency import lock
from fusefront.harness.training.run import run_folder
from fusefront.harness.training.workers import TRIES

from .cell_stand_ins import A, B, C, cell, planned, printed, workspace_in


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "training_lock", lambda _: contextlib.nullcontext())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path)


def complete_run(workspace: Workspace, of: Cell) -> Path:
    run = workspace.root / "runs" / "shop" / of.strategy / of.spec.run_id
    run.mkdir(parents=True)
    (run / "summary.json").write_text("{}")
    return run


EVENTS: list[tuple[str, Cell, dict[str, Any]]] = [
    ("start", A, {"pid": 17}),
    ("start", B, {"pid": "none"}),
    ("start", C, {}),
    ("epoch", A, {"epoch": 1, "rows_per_second": 5}),
    ("done", A, {"seconds": 2.5}),
    ("paused", B, {"seconds": 3, "cause": "time"}),
    ("failed", B, {"reason": "broke", "passing": 1}),
    ("failed", C, {"reason": "late", "cause": "time", "seconds": 0.5}),
]


@pytest.mark.parametrize("searching", [True, False])
def test_each_event_reaches_whom_it_concerns(workspace: Workspace, searching: bool) -> None:
    """A search has its own limits and counts its attempts; a matrix tries again."""
    run = complete_run(workspace, A)
    workers: Any = workspace.workers
    workers.events = EVENTS
    begun: list[Any] = []
    closed: list[Any] = []
    trials: Any = SimpleNamespace(
        left="left", until="until", table=lambda: "", begun=lambda *of: begun.append(of)
    )
    source: Any = "source"
    train._work(
        planned(),
        workspace,
        source,
        3,
        "trial",
        lambda cell, failure, **how: closed.append((cell, failure, how)),
        trials if searching else None,
    )
    left = ("left", 1, "until") if searching else (None, TRIES, None)
    assert workers.calls == [(("source", *left[:2]), {"until": left[2]})]
    assert begun == ([(A, 17), (B, None), (C, None)] if searching else [])
    error = {"passing": False, "cause": "error", "seconds": None}
    assert closed == [
        (A, "", {**error, "seconds": 2.5}),
        (B, "", {**error, "cause": "paused"}),
        (B, "broke", {**error, "passing": True}),
        (C, "late", {**error, "cause": "time", "seconds": 0.5}),
    ]
    assert workspace.mirror.sent == [  # type: ignore[union-attr]
        ("a", run_folder(A, workspace.root), {"epoch": 1, "rows_per_second": 5}),
        ("a", run),
    ]
    assert [line.split(",")[0] for line in printed(workspace)] == [
        "trial 1 of 3: a seed 0 epoch 1/4 5 rows/s",
        "trial 2 of 3: b seed 0 starts",
        "trial b seed 0 failed: broke",
        "trial c seed 0 starts failed: late",
    ]


def test_complete_runs_are_mirrored_once(workspace: Workspace) -> None:
    run = complete_run(workspace, A)
    complete_run(workspace, B).joinpath("summary.json").unlink()
    train._mirror(workspace, "shop", [A, cell("a"), B, C])
    assert workspace.mirror.sent == [("a", run)]  # type: ignore[union-attr]
    bare = Workspace(workspace.root, workspace.folder, workspace.workers, workspace.console)
    train._mirror(bare, "shop", [A])


def test_a_matrix_trains_what_has_no_record_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A is recorded, B is damaged, C and D are not there; C is named twice."""
    d = cell("d")

    def record(of: Cell, root: Path) -> str | None:
        if of == B:
            raise DataContractError("b is [damaged]")
        return "a record" if of == A else None

    monkeypatch.setattr(train, "find_record", record)
    mirrored: list[Any] = []
    monkeypatch.setattr(train, "_mirror", lambda _, name, cells: mirrored.append((name, cells)))
    trained: list[Any] = []

    def work(plan: Any, of: Any, source: Any, total: int, what: str, close: Any) -> None:
        while (each := source()) is not None:
            trained.append(each)
        trained.append((total, what))
        for of, reason in ((C, "c broke"), (d, "")):
            close(of, reason, passing=False, cause="error", seconds=None)

    monkeypatch.setattr(train, "_work", work)
    cells = [A, B, C, cell("c"), d]
    failed = train.fill(planned(), workspace, cells, "run")
    assert failed == [(B, "b is [damaged]"), (C, "c broke")]
    assert trained == [C, d, (2, "run")]
    assert printed(workspace) == ["left out: b is [damaged]"]
    assert mirrored == [("shop", cells)]
    assert train.fill(planned(), workspace, [A], "run") == []
    assert len(trained) == 3  # no worker for nothing


def test_the_matrix_says_which_run_fills_which_cell(workspace: Workspace) -> None:
    store = workspace.root / "prepared" / "shop" / "f"
    plan = planned(
        store=SimpleNamespace(name="shop", fingerprint="f" * 12, path=store),
        without={"counts": "no counts"},
    )
    path = workspace.folder / "matrix.json"
    train.write_matrix(plan, workspace, [A, B], {"common": [C]})
    assert json.loads(path.read_text()) == {
        "format": 1,
        "dataset": "shop",
        "fingerprint": "f" * 12,
        "store": "prepared/shop/f",
        "cells": [A.to_json(), B.to_json()],
        "without": {"counts": "no counts"},
        "sensitivity": [{"recipe": "common", "cells": [C.to_json()]}],
    }
    train.write_matrix(plan, workspace, [A])
    assert json.loads(path.read_text())["sensitivity"] == []


def test_a_damaged_record_may_be_mended_and_its_training_succeed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a finalist with one is not out for good."""

    def damaged(of: Cell, root: Path) -> None:
        raise DataContractError("damaged")

    monkeypatch.setattr(train, "find_record", damaged)
    closed: list[Any] = []
    train._complete(
        planned(), workspace, [A, A, B], "run", lambda cell, why, **how: closed.append((cell, how))
    )
    passing = {"passing": True, "cause": "error", "seconds": None}
    assert closed == [(A, passing), (B, passing)]


def test_what_is_waited_for_is_printed_as_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def waiting(tell: Any) -> Iterator[None]:
        tell("waiting for [a]")
        yield

    @contextlib.contextmanager
    def ending(workers: Any, tell: Any) -> Iterator[None]:
        assert workers is workspace.workers
        tell("ending [b]")
        yield

    monkeypatch.setattr(lock, "training_lock", waiting)
    monkeypatch.setattr(train, "ending_softly", ending)
    nothing: Any = None
    train._work(planned(), workspace, nothing, 1, "run", nothing)
    assert printed(workspace) == ["waiting for [a]", "ending [b]"]
