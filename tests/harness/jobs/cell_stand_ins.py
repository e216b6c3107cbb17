"""Stand-ins for what trains cells, and a workspace of them."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from fusefront.harness.jobs.train import Workspace
from fusefront.harness.runs.spec import Cell, RunSpec


def cell(strategy: str, seed: int = 0) -> Cell:
    spec = RunSpec("shop", "f" * 12, strategy, {}, {"epochs": 4}, seed)
    return Cell(strategy, "strategy", spec)


A, B, C = cell("a"), cell("b"), cell("c")


class StandInWorkers:
    """Workers that report the events they are given, and note how they are called."""

    ending = False

    def __init__(self, events: list[tuple[str, Cell, dict[str, Any]]]) -> None:
        self.events, self.calls = events, list[Any]()

    def execute(self, *arguments: Any, **words: Any) -> Iterator[Any]:
        self.calls.append((arguments, words))
        yield from self.events

    def close(self) -> None:
        self.calls.append("closed")


class StandInMirror:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def epoch(self, cell: Cell, run: Path, line: Any) -> None:
        self.sent.append((cell.strategy, run, line))

    def complete(self, cell: Cell, run: Path) -> None:
        self.sent.append((cell.strategy, run))


def workspace_in(tmp_path: Path) -> Workspace:
    """Without events and with a mirror; its console is 400 wide."""
    (tmp_path / "studies" / "s").mkdir(parents=True)
    workers: Any = StandInWorkers([])
    mirror: Any = StandInMirror()
    console = Console(file=io.StringIO(), width=400)
    return Workspace(tmp_path, tmp_path / "studies" / "s", workers, console, mirror)


def printed(workspace: Workspace) -> list[str]:
    return workspace.console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def planned(**changes: Any) -> Any:
    store = SimpleNamespace(name="shop", fingerprint="f" * 12)
    tuning = SimpleNamespace(timed=0, finalists=0)
    return SimpleNamespace(**{"store": store, "study": SimpleNamespace(tuning=tuning), **changes})
