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
from fusefront.harness.runs.records import Finalist, Trial
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import run_index
from fusefront.harness.training.run import find_record, run_folder
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning.finalists import candidates, weighed
from fusefront.harness.tuning.search import NoWinnerError, Search
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
    finalists = train_finalists(plan, room, searches) if plan.study.tuning.finalists else {}
    winners: dict[str, dict[str, Json]] = {}
    for search in searches:
        try:
            frozen = search.freeze(finalists.get(search.strategy, ()))
            winners[search.strategy] = dict(frozen["params"])
        except NoWinnerError as error:
            room.console.print(f"{error}; its runs try the defaults", markup=False)
    return winners


def fill(plan: StudyPlan, room: Room, cells: Sequence[Cell], what: str) -> list[tuple[Cell, str]]:
    """Train the cells that have no record; returns those that failed, with the reason."""
    failed: list[tuple[Cell, str]] = []

    def close(cell: Cell, failure: str, *, passing: bool = False) -> None:
        if failure:
            failed.append((cell, failure))

    _complete(plan, room, cells, what, close)
    return failed


def _complete(plan: StudyPlan, room: Room, cells: Sequence[Cell], what: str, close: Close) -> None:
    """Train the cells that have no record, each once, and mirror all of them."""
    todo, run_ids = [], set()
    for cell in cells:
        if cell.spec.run_id not in run_ids and find_record(cell, room.root) is None:
            todo.append(cell)
        run_ids.add(cell.spec.run_id)
    if todo:
        waiting = iter(todo)
        _work(plan, room, lambda: next(waiting, None), len(todo), what, close)
    _mirror(room, plan.store.name, cells)


def train_finalists(
    plan: StudyPlan, room: Room, searches: Sequence[Search]
) -> dict[str, list[Finalist]]:
    """The best of every search with new seeds, for those whose winner is not frozen yet.

    A training that failed for good takes its finalist out; FusefrontError where it may go well
    later.
    """
    open_searches = [search for search in searches if not search.winner.exists()]
    trials = {s.strategy: candidates(s, plan.study.tuning.finalists) for s in open_searches}
    cells = {
        (name, trial["number"]): plan.finalist(name, trial.get("params", {}))
        for name, best in trials.items()
        for trial in (best if len(best) > 1 else ())
    }
    failures: dict[str, str] = {}
    early: dict[str, str] = {}

    def close(cell: Cell, failure: str, *, passing: bool = False) -> None:
        if failure:
            (early if passing else failures)[cell.spec.run_id] = failure

    _complete(plan, room, [cell for some in cells.values() for cell in some], "finalist", close)
    if early:
        raise FusefrontError(
            f"{len(early)} finalists' trainings ended early ({next(iter(early.values()))}); the "
            "same command tries them again"
        )
    return {
        name: [
            _weighed(room, trial, cells.get((name, trial["number"]), []), failures)
            for trial in best
        ]
        for name, best in trials.items()
    }


def _weighed(
    room: Room, trial: Trial, cells: Sequence[Cell], failures: Mapping[str, str]
) -> Finalist:
    values = []
    for cell in cells:
        record = find_record(cell, room.root)
        if record is None:
            return weighed(trial, values, failures.get(cell.spec.run_id, "no record"))
        values.append(record.summary["valid_auc"])
    return weighed(trial, values)


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
