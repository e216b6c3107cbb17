"""The searches of all strategies as one source of cells, so that free workers serve any
strategy."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.records import Trial
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training.checkpoint import remove_checkpoint
from fusefront.harness.training.halving import best_at_rungs
from fusefront.harness.training.run import RunRecord, find_record, run_folder
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning.search import AGAIN, Search

TRIAL_SEED = 1_000_003  # trials never share a seed with the runs that are reported


class TrialSource:
    """Hands out the trials of all searches; the search with the most left to do comes first.

    A run that two strategies share is trained once and recorded for both.
    """

    def __init__(
        self, searches: list[Search], make: Callable[[str, dict[str, Json]], Cell], root: Path
    ) -> None:
        self.searches, self.make, self.root = searches, make, root
        self.open: dict[str, list[_Open]] = {}  # run -> its trials; the first one is trained
        self.places: dict[str, int] = {}  # run -> how often disk or lock failed

    def __call__(self) -> Cell | str | None:
        """The cell of the next trial; trials whose run exists already are recorded on the way."""
        while True:
            left = [search for search in self.searches if not search.finished]
            if not left:
                return None
            for search in sorted(left, key=_remaining, reverse=True):
                if (trial := search.next_trial()) is not None:
                    break
            else:
                if all(search.finished for search in left):
                    return None
                shared = not self.open or any(search.elsewhere for search in left)
                return Workers.OTHERS if shared else Workers.WAIT
            if (cell := self._opened(_Open(search, *trial))) is not None:
                return cell

    def _opened(self, trial: "_Open") -> Cell | None:
        """The cell of a trial that must be trained; None if its run exists, or if it cannot be
        trained."""
        try:
            cell = self.make(trial.search.strategy, trial.params)
            excess = trial.search.excess(trial.params)
            late = trial.search.lateness(trial.params)
        except (ValueError, UsageError) as error:  # two values that do not go together
            self._infeasible(trial, "", "value", str(error), 0.0)
            return None
        if excess > 0:
            self._too_dear(trial, cell.spec.run_id, excess)
            return None
        if late > 0:
            self._too_late(trial, cell.spec.run_id, late)
            return None
        trials = self.open.setdefault(cell.spec.run_id, [])
        trials.append(trial)
        if len(trials) > 1:  # its run is under way
            return None
        try:
            recorded = find_record(cell, self.root)
        except DataContractError as error:
            self._unsound(cell, error)
            return None
        if recorded is None:
            return cell
        self._trained(cell, recorded, None)
        return None

    def table(self) -> Table:
        """A table of every strategy's trials, best AUC, seconds spent and seconds left, as of
        now."""
        shown = Table("strategy", "trials", "running", "best valid AUC", "spent", "left", box=None)
        for search in self.searches:
            records = search.records()
            count = f"{len(records)} of {search.trials}"
            if search.levels:
                count += f" ({sum(record['state'] == 'ok' for record in records)} in full)"
            best = max((r["value"] for r in records if r["value"] is not None), default=None)
            spent = search.spent + search.under_way
            left = "" if search.seconds is None else f"{max(0.0, search.seconds - spent):.0f} s"
            shown.add_row(
                search.strategy,
                count,
                str(len(search.running)),
                "" if best is None else f"{best:.4f}",
                f"{spent:.0f} s",
                left or f"{search.trials - len(records)} trials",
            )
        return shown

    def begun(self, cell: Cell, pid: int | None) -> None:
        """Record the process that trains the cell."""
        if (trial := self._first(cell)) is not None:
            trial.search.begun(trial.number, pid)

    def left(self, cell: Cell) -> float | None:
        """Seconds that the running trial of `cell` may still take; None without a limit."""
        trial = self._first(cell)
        return None if trial is None else trial.search.left(trial.number)

    def until(self, cell: Cell) -> int | None:
        """The epoch after which the trial of `cell` pauses; None where it runs to its end."""
        trial = self._first(cell)
        until = None if trial is None else trial.search.until.get(trial.number)
        return None if until == _epochs_of(cell) else until

    def _first(self, cell: Cell) -> "_Open | None":
        """The trial that is trained of those that share the run of `cell`."""
        return next(iter(self.open.get(cell.spec.run_id, ())), None)

    def close(
        self,
        cell: Cell,
        failure: str,
        *,
        passing: bool = False,
        cause: str = "error",
        seconds: float | None = None,
    ) -> None:
        """Tell the searches how the trial of `cell` ended.

        An empty `failure` means success: the run's record has the result. `seconds` are those of
        its process. If a retry may succeed (`passing`: memory, a kill, disk, a lock), the trial is
        tried again, at most as often as `AGAIN` allows; a disk or a lock that fails again stops the
        search until the next command.
        """
        if not failure:
            try:
                record = find_record(cell, self.root)
            except DataContractError as error:
                self._unsound(cell, error)
                return
            if record is not None:
                self._trained(cell, record, seconds)
                return
            failure = "it left no record"
        run_id, spent = cell.spec.run_id, seconds or 0.0
        first, *others = self.open.pop(run_id)
        if cause == "paused":
            self._paused(cell, (first, *others), spent)
            return
        if not passing and cause != "time":  # the same run would end the same way
            for trial in (first, *others):
                self._infeasible(trial, run_id, cause, failure, spent)
            return
        for trial in others:  # they have not been tried
            trial.search.release(trial.number)
        if cause == "time":
            cause = first.search.ended_by(first.number, spent)
        if cause == "time":
            self._infeasible(first, run_id, cause, failure, spent)
        elif cause not in AGAIN:
            self._place(first, run_id, failure)
        elif not first.search.interrupt(first.number, cause, failure, spent):
            self._infeasible(first, run_id, cause, failure, 0.0)  # its seconds are on record

    def _place(self, trial: "_Open", run_id: str, failure: str) -> None:
        """Disk, lock or a damaged file failed: try again, then leave it to the next command."""
        self.places[run_id] = self.places.get(run_id, 0) + 1
        if self.places[run_id] > AGAIN["memory"]:
            trial.search.halt(trial.number, failure)
        else:
            trial.search.release(trial.number)

    def _unsound(self, cell: Cell, error: DataContractError) -> None:
        """The recorded run is damaged: the searches that need it are left out."""
        for trial in self.open.pop(cell.spec.run_id):
            trial.search.unsound = str(error)
            trial.search.release(trial.number)

    def _trained(self, cell: Cell, record: RunRecord, seconds: float | None) -> None:
        summary = record.summary
        run_id, macs = cell.spec.run_id, summary.get("macs_per_candidate")
        for trial in self.open.pop(run_id):
            budget = trial.search.budget_macs
            excess = None if budget is None or macs is None else macs - budget
            value = summary.get("valid_auc")
            spent = summary.get("seconds", 0.0) if seconds is None else seconds
            if seconds is None:  # not trained just now; its record has the seconds
                spent = max(0.0, spent - trial.search.seconds_before(trial.number))
            late = None
            if trial.search.slo_ms is not None:
                late = trial.search.lateness(trial.params)
            ended = _Ended(run_id, "ok", value, spent, "", "", excess, macs, late)
            summed = _record(trial, ended)
            if trial.search.levels:
                aucs = _aucs(record.path / "metrics.jsonl")
                summed["rungs"] = best_at_rungs(aucs, _epochs_of(cell))
            trial.search.tell(summed)

    def _paused(self, cell: Cell, trials: Sequence["_Open"], seconds: float) -> None:
        """The run has paused: trials that were to pause here record it, the others try again."""
        aucs = _aucs(run_folder(cell, self.root) / "metrics.jsonl")
        until = trials[0].search.until[trials[0].number]
        reached = best_at_rungs(aucs[:until], _epochs_of(cell))
        for trial in trials:
            if trial.search.until.get(trial.number) == until:
                trial.search.pause(trial.number, cell.spec.run_id, reached, seconds)
            else:
                trial.search.release(trial.number)

    def clear(self) -> None:
        """Delete the checkpoints of paused trials once a winner is frozen. With a larger cap these
        trials start from their first epoch again and reach the same numbers."""
        for search in self.searches:
            for trial in () if search.unsound else search.records():
                if trial["state"] == "pruned":
                    cell = self.make(search.strategy, trial.get("params", {}))
                    remove_checkpoint(run_folder(cell, self.root))

    def _too_dear(self, trial: "_Open", run_id: str, excess: float) -> None:
        budget = trial.search.budget_macs
        assert budget is not None
        dear = f"{budget + excess:,.0f} MACs a candidate, budget_macs is {budget:,.0f}"
        self._infeasible(trial, run_id, "cost", dear, 0.0, excess=excess)

    def _too_late(self, trial: "_Open", run_id: str, late: float) -> None:
        limit = trial.search.slo_ms
        assert limit is not None
        slow = f"a p99 of {limit + late:.3g} ms is predicted, slo_ms is {limit:g}"
        self._infeasible(trial, run_id, "cost", slow, 0.0, late=late)

    def _infeasible(
        self,
        trial: "_Open",
        run_id: str,
        cause: str,
        failure: str,
        seconds: float,
        *,
        excess: float | None = None,
        late: float | None = None,
    ) -> None:
        ended = _Ended(run_id, "infeasible", None, seconds, failure, cause, excess, late=late)
        trial.search.tell(_record(trial, ended))


class _Open(NamedTuple):
    """A trial whose run is being trained."""

    search: Search
    number: int
    params: dict[str, Json]


class _Ended(NamedTuple):
    """How a trial ended."""

    run_id: str
    state: str
    value: float | None
    seconds: float
    reason: str
    cause: str = ""
    excess: float | None = None  # MACs above the budget
    macs: float | None = None
    late: float | None = None  # ms by which the predicted p99 exceeds the limit


def _epochs_of(cell: Cell) -> int:
    return int(str(cell.spec.training.get("epochs", 1)))


def _aucs(path: Path) -> list[float | None]:
    """AUC on validation after each epoch of a run, as far as it was trained."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [json.loads(line).get("valid_auc") for line in lines if line]


def _record(trial: _Open, ended: _Ended) -> Trial:
    record: Trial = {
        "number": trial.number,
        "params": trial.params,
        "run_id": ended.run_id,
        "state": ended.state,
        "value": ended.value,
        "seconds": ended.seconds,
        "reason": ended.reason,
    }
    if ended.cause:
        record["cause"] = ended.cause
    if ended.macs is not None:
        record["macs"] = ended.macs
    limits = {"budget_macs": ended.excess, "slo_ms": ended.late}
    if known := {name: value for name, value in limits.items() if value is not None}:
        record["constraints"] = known
    return record


def _remaining(search: Search) -> float:
    records = search.records()
    seconds = sorted(record.get("seconds", 0.0) for record in records)
    median = seconds[len(seconds) // 2] if seconds else 1.0
    return median * (search.trials - len(records) - len(search.running))
