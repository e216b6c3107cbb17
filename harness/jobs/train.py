"""Searches and matrices executed by workers, each run recorded, mirrored and told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from fusefront.harness.errors import FusefrontError
from fusefront.harness.jobs.mirror import Mirror
from fusefront.harness.jobs.plan import StudyPlan
from fusefront.harness.jobs.progress import RunProgress
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import run_index
from fusefront.harness.training.run import find_record, run_folder
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning.search import NoWinnerError
from fusefront.harness.tuning.source import TrialSource


class Close(Protocol):
    """Told how a run ended: with a reason where it failed, passing where it may go well later."""

    def __call__(self, cell: Cell, failure: str, *, passing: bool = False) -> None: ...


@dataclass(frozen=True)
class Room:
    """Where a job works: output root, study folder, worker settings, console."""

    root: Path
    folder: Path
    workers: Workers
    console: Console
    mirror: Mirror | None = None


def tune(plan: StudyPlan, room: Room) -> dict[str, dict[str, Json]]:
    """Run every strategy's search to its budget and freeze the winners: strategy -> parameters.

    A strategy none of whose trials finished has none: it is told, and the others go on.
    """
    searches = plan.searches(room.folder)
    total = sum(
        search.record(number) is None for search in searches for number in range(search.trials)
    )
    source = TrialSource(searches, plan.trial, room.root)
    if total:
        _work(plan, room, source, total, "trial", source.close)
    if halted := [f"{search.strategy} {search.halted}" for search in searches if search.halted]:
        raise FusefrontError(
            f"{len(halted)} of {len(searches)} searches lack trials ({'; '.join(halted)}); the "
            "same command tries them again"
        )
    winners: dict[str, dict[str, Json]] = {}
    for search in searches:
        try:
            winners[search.strategy] = dict(search.freeze()["params"])
        except NoWinnerError as error:
            room.console.print(f"{error}; its runs try the defaults", markup=False)
    return winners


def fill(plan: StudyPlan, room: Room, cells: Sequence[Cell], what: str) -> list[tuple[Cell, str]]:
    """Train the cells that have no record; returns those that failed, with the reason."""
    todo, run_ids = [], set()
    for cell in cells:
        if cell.spec.run_id not in run_ids and find_record(cell, room.root) is None:
            todo.append(cell)
        run_ids.add(cell.spec.run_id)
    failed: list[tuple[Cell, str]] = []

    def close(cell: Cell, failure: str, *, passing: bool = False) -> None:
        if failure:
            failed.append((cell, failure))

    if todo:
        waiting = iter(todo)
        _work(plan, room, lambda: next(waiting, None), len(todo), what, close)
    _mirror(room, plan.store.name, cells)
    return failed


def _work(
    plan: StudyPlan,
    room: Room,
    source: Callable[[], Cell | str | None],
    total: int,
    what: str,
    close: Close,
) -> None:
    from fusefront.harness.serving.latency.lock import training_lock

    with (
        training_lock(lambda line: room.console.print(line, markup=False)),
        RunProgress(total, what, room.console) as progress,
    ):
        for kind, cell, message in room.workers.execute(source):
            if kind in ("done", "failed"):
                passing = bool(message.get("passing"))
                close(cell, str(message.get("reason", "")), passing=passing)
                if kind == "done":
                    _mirror(room, plan.store.name, [cell])
            elif kind == "epoch" and room.mirror is not None:
                room.mirror.epoch(cell, run_folder(cell, room.root), message)
            progress.tell(kind, cell, message)


def _mirror(room: Room, dataset: str, cells: Iterable[Cell]) -> None:
    if room.mirror is None:
        return
    where = run_index(room.root, dataset)
    for cell in {cell.spec.run_id: cell for cell in cells}.values():
        path = where.get(cell.spec.run_id)
        if path is not None and (path / "summary.json").exists():
            room.mirror.complete(cell, path)


def write_matrix(
    plan: StudyPlan,
    room: Room,
    cells: Sequence[Cell],
    others: Mapping[str, Sequence[Cell]] | None = None,
) -> None:
    """matrix.json: which run fills which cell, before any of them is trained."""
    matrix = {
        "format": 1,
        "dataset": plan.store.name,
        "fingerprint": plan.store.fingerprint,
        "store": plan.store.path.resolve().relative_to(room.root.resolve()).as_posix(),
        "cells": [cell.to_json() for cell in cells],
        "without": dict(plan.without),
        "sensitivity": [
            {"recipe": recipe, "cells": [cell.to_json() for cell in some]}
            for recipe, some in (others or {}).items()
        ],
    }
    write_json(room.folder / "matrix.json", matrix)
