"""Trains the cells of searches and matrices in workers; each run is recorded, mirrored and
reported."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from rich.console import Console

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import FusefrontError
from fusefront.harness.jobs.interrupts import ending_softly
from fusefront.harness.jobs.matrix import StudyPlan
from fusefront.harness.jobs.mirror import Mirror
from fusefront.harness.jobs.progress import RunProgress
from fusefront.harness.jobs.timed_trials import time_trials
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.records import Finalist, Trial, WinnerRecord
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import run_index
from fusefront.harness.training.run import find_record, run_folder
from fusefront.harness.training.workers import TRIES, Workers
from fusefront.harness.tuning.finalists import candidates, weighed
from fusefront.harness.tuning.search import NoWinnerError, Search
from fusefront.harness.tuning.search_cells import TrialSource


class Close(Protocol):
    """Called when a run ends; with a reason if it failed, and `passing` if a retry may succeed."""

    def __call__(
        self,
        cell: Cell,
        failure: str,
        *,
        passing: bool,
        cause: str,
        seconds: float | None,
    ) -> None: ...


@dataclass(frozen=True)
class Workspace:
    """What a job works with: output root, study folder, worker settings, console."""

    root: Path
    folder: Path
    workers: Workers
    console: Console
    mirror: Mirror | None = None


class Tuned(NamedTuple):
    """The results of a study's searches."""

    winners: dict[str, WinnerRecord]
    left_out: dict[str, str]  # strategy -> the sentence on the record that is damaged

    @property
    def params(self) -> dict[str, dict[str, Json]]:
        """The winners' parameters, by strategy."""
        return {name: dict(winner["params"]) for name, winner in self.winners.items()}


def tune(plan: StudyPlan, workspace: Workspace) -> Tuned:
    """Run every strategy's search to the end of its budget and freeze the winners.

    A strategy of which no trial finished has no winner; this is reported, and the others go on. If
    a claim or trial of a search is damaged, the winner that was frozen before is used; without one,
    the strategy is left out.

    Raises:
        FusefrontError: a search stopped before its budget was spent; the same command goes on.
    """
    searches = plan.searches(workspace.folder)
    damaged = [sentence for search in searches for sentence in search.examine()]
    for sentence in damaged:
        workspace.console.print(f"damaged: {sentence}", markup=False)
    total = sum(
        search.record(number) is None
        for search in searches
        if not search.unsound
        for number in range(search.trials)
    )
    source = TrialSource(searches, plan.trial, workspace.root)
    if total:
        _work(plan, workspace, source, total, "trial", source.close, source)
    if halted := [f"{search.strategy} {search.halted}" for search in searches if search.halted]:
        raise FusefrontError(
            f"{len(halted)} of {len(searches)} searches lack trials ({'; '.join(halted)}); the "
            "same command tries them again"
        )
    if plan.study.tuning.timed:
        workspace.workers.close()  # no process of this command may run beside the measurement
        tell = partial(workspace.console.print, markup=False)
        time_trials(plan, workspace.root, workspace.folder, searches, tell)
    finalists = train_finalists(plan, workspace, searches) if plan.study.tuning.finalists else {}
    tuned = Tuned({}, {})
    for search in searches:
        if search.unsound:
            _keep(search, tuned, workspace)
            continue
        try:
            frozen = search.freeze(finalists.get(search.strategy, ()))
            tuned.winners[search.strategy] = frozen
        except NoWinnerError as error:
            workspace.console.print(f"{error}; its runs try the defaults", markup=False)
        if search.damaged:
            workspace.console.print(f"damaged: {search.damaged}", markup=False)
    source.clear()
    return tuned


def _keep(search: Search, tuned: Tuned, workspace: Workspace) -> None:
    """Use the winner that a damaged search has frozen before, or leave the strategy out."""
    winner = search.frozen()
    if winner is None:
        tuned.left_out[search.strategy] = search.unsound
        workspace.console.print(f"left out: {search.strategy}: {search.unsound}", markup=False)
    else:
        tuned.winners[search.strategy] = winner
        place = "its search stands on a damaged record, and the winner frozen before is kept"
        workspace.console.print(f"{search.strategy}: {place}", markup=False)


def fill(
    plan: StudyPlan, workspace: Workspace, cells: Sequence[Cell], what: str
) -> list[tuple[Cell, str]]:
    """Train the cells without a record; returns those that failed or are damaged, each with the
    reason."""
    failed: list[tuple[Cell, str]] = []

    def close(
        cell: Cell,
        failure: str,
        *,
        passing: bool,
        cause: str,
        seconds: float | None,
    ) -> None:
        if failure:
            failed.append((cell, failure))

    _complete(plan, workspace, cells, what, close)
    return failed


def _complete(
    plan: StudyPlan, workspace: Workspace, cells: Sequence[Cell], what: str, close: Close
) -> None:
    """Train the cells without a record, each once, and mirror all of them; `close` is told of
    damaged records."""
    todo, run_ids = [], set()
    for cell in cells:
        if cell.spec.run_id in run_ids:
            continue
        run_ids.add(cell.spec.run_id)
        try:
            recorded = find_record(cell, workspace.root)
        except DataContractError as error:
            close(cell, str(error), passing=True, cause="error", seconds=None)
            workspace.console.print(f"left out: {error}", markup=False)
            continue
        if recorded is None:
            todo.append(cell)
    if todo:
        waiting = iter(todo)
        _work(plan, workspace, lambda: next(waiting, None), len(todo), what, close)
    _mirror(workspace, plan.store.name, cells)


def train_finalists(
    plan: StudyPlan, workspace: Workspace, searches: Sequence[Search]
) -> dict[str, list[Finalist]]:
    """Train the best trials of every search whose winner is not frozen yet again, with new seeds.

    If a training fails for good, its finalist is out.

    Raises:
        FusefrontError: a training failed for a reason that a retry may not meet.
    """
    open_searches = [s for s in searches if not s.unsound and s.frozen() is None]
    trials = {s.strategy: candidates(s, plan.study.tuning.finalists) for s in open_searches}
    cells = {
        (name, trial["number"]): plan.finalist(name, trial.get("params", {}))
        for name, best in trials.items()
        for trial in (best if len(best) > 1 else ())
    }
    failures: dict[str, str] = {}
    early: dict[str, str] = {}

    def close(
        cell: Cell,
        failure: str,
        *,
        passing: bool,
        cause: str,
        seconds: float | None,
    ) -> None:
        if failure:
            (early if passing else failures)[cell.spec.run_id] = failure

    _complete(
        plan, workspace, [cell for some in cells.values() for cell in some], "finalist", close
    )
    if early:
        raise FusefrontError(
            f"{len(early)} finalists' trainings ended early ({next(iter(early.values()))}); the "
            "same command tries them again"
        )
    return {
        name: [
            _weighed(workspace, trial, cells.get((name, trial["number"]), []), failures)
            for trial in best
        ]
        for name, best in trials.items()
    }


def _weighed(
    workspace: Workspace, trial: Trial, cells: Sequence[Cell], failures: Mapping[str, str]
) -> Finalist:
    values: list[float] = []
    for cell in cells:
        record = find_record(cell, workspace.root)
        if record is None:
            return weighed(trial, values, failures.get(cell.spec.run_id, "no record"))
        values.append(record.summary["valid_auc"])
    return weighed(trial, values)


def _work(
    plan: StudyPlan,
    workspace: Workspace,
    source: Callable[[], Cell | str | None],
    total: int,
    what: str,
    close: Close,
    trials: TrialSource | None = None,
) -> None:
    """Train the cells that `source` gives; if they are `trials`, their limits and counts of
    attempts apply."""
    from fusefront.harness.serving.latency.lock import training_lock

    with (
        training_lock(lambda line: workspace.console.print(line, markup=False)),
        RunProgress(total, what, workspace.console, trials.table if trials else None) as progress,
        ending_softly(workspace.workers, lambda line: workspace.console.print(line, markup=False)),
    ):
        limit, tries = (trials.left, 1) if trials else (None, TRIES)
        until = trials.until if trials else None
        for kind, cell, message in workspace.workers.execute(source, limit, tries, until=until):
            if kind == "start" and trials:
                pid = message.get("pid")
                trials.begun(cell, pid if isinstance(pid, int) else None)
            elif kind in ("done", "paused", "failed"):
                seconds = message.get("seconds")
                close(
                    cell,
                    str(message.get("reason", "")),
                    passing=bool(message.get("passing")),
                    cause="paused" if kind == "paused" else str(message.get("cause", "error")),
                    seconds=seconds if isinstance(seconds, float) else None,
                )
                _mirror(workspace, plan.store.name, [cell])
            elif kind == "epoch" and workspace.mirror is not None:
                workspace.mirror.epoch(cell, run_folder(cell, workspace.root), message)
            progress.tell(kind, cell, message)


def _mirror(workspace: Workspace, dataset: str, cells: Iterable[Cell]) -> None:
    if workspace.mirror is None:
        return
    where = run_index(workspace.root, dataset)
    for cell in {cell.spec.run_id: cell for cell in cells}.values():
        path = where.get(cell.spec.run_id)
        if path is not None and (path / "summary.json").exists():
            workspace.mirror.complete(cell, path)


def write_matrix(
    plan: StudyPlan,
    workspace: Workspace,
    cells: Sequence[Cell],
    others: Mapping[str, Sequence[Cell]] | None = None,
) -> None:
    """Write matrix.json, which run fills which cell, before any of them is trained."""
    matrix = {
        "format": 1,
        "dataset": plan.store.name,
        "fingerprint": plan.store.fingerprint,
        "store": plan.store.path.resolve().relative_to(workspace.root.resolve()).as_posix(),
        "cells": [cell.to_json() for cell in cells],
        "without": dict(plan.without),
        "sensitivity": [
            {"recipe": recipe, "cells": [cell.to_json() for cell in some]}
            for recipe, some in (others or {}).items()
        ],
    }
    write_json(workspace.folder / "matrix.json", matrix)
