"""All strategies' searches as one source of cells; slots are filled across strategies."""

from collections.abc import Callable
from pathlib import Path

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.records import RunSummary
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training.run import find_record
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning.search import Search

TRIAL_SEED = 1_000_003  # trials never share a seed with the runs that are reported


class TrialSource:
    """Hands out the trials of all searches, longest remaining first."""

    def __init__(
        self, searches: list[Search], make: Callable[[str, dict[str, Json]], Cell], root: Path
    ) -> None:
        self.searches, self.make, self.root = searches, make, root
        self.open: dict[str, list[tuple[Search, int, dict[str, Json]]]] = {}

    def __call__(self) -> Cell | str | None:
        """The next trial's cell; records of runs that exist already are told on the way."""
        while True:
            left = [search for search in self.searches if not search.finished]
            if not left:
                return None
            for search in sorted(left, key=_remaining, reverse=True):
                if (trial := search.next_trial()) is not None:
                    break
            else:
                return Workers.WAIT
            number, params = trial
            cell = self.make(search.strategy, params)
            key = f"{search.strategy}:{cell.spec.run_id}"
            self.open.setdefault(key, []).append((search, number, params))
            try:
                recorded = find_record(cell, self.root)
            except DataContractError as error:  # the run is on record and damaged
                search.running.discard(number)
                search.unsound = str(error)
                self.open[key].pop()
                continue
            if recorded is None:
                return cell
            self.close(cell, "")

    def close(self, cell: Cell, failure: str, *, passing: bool = False) -> None:
        """Tell the search how the trial of `cell` ended; a failure that may pass is not
        recorded."""
        search, number, params = self.open[f"{cell.strategy}:{cell.spec.run_id}"].pop(0)
        if passing:
            search.halt(number, failure)
            return
        record = None if failure else find_record(cell, self.root)
        summary = record.summary if record else RunSummary(run_id=cell.spec.run_id)
        search.tell(
            {
                "number": number,
                "params": params,
                "run_id": cell.spec.run_id,
                "state": "ok" if record else "failed",
                "value": summary.get("valid_auc"),
                "seconds": summary.get("seconds", 0.0),
                "reason": failure,
            },
        )


def _remaining(search: Search) -> float:
    records = [record for n in range(search.trials) if (record := search.record(n)) is not None]
    seconds = sorted(record.get("seconds", 0.0) for record in records)
    median = seconds[len(seconds) // 2] if seconds else 1.0
    return median * (search.trials - len(records) - len(search.running))
