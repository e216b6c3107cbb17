"""Records of timed trials, and which trials of a search are near enough to its front to be
timed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusefront.harness.runs.records import TimedTrial, Trial, read_record, write_record


@dataclass(frozen=True)
class Timings:
    """timed-<n>.json beside the trials of one search."""

    folder: Path

    def of(self, trial: Trial) -> TimedTrial | None:
        """The recorded times of a trial's run; None if it was not timed, or if another run was."""
        path = self._file(trial["number"])
        if not path.exists():
            return None
        record = read_record(path, TimedTrial)
        return record if record["run_id"] == trial.get("run_id") else None

    def note(self, record: TimedTrial) -> None:
        """Record the times of a trial."""
        write_record(self._file(record["number"]), {"format": 1, **record})

    def above(self, trial: Trial, slo_ms: float | None) -> bool:
        """Whether the whole interval of a trial's p99 is above the limit in ms."""
        timing = self.of(trial)
        if slo_ms is None or timing is None or timing["low"] is None:
            return False
        return timing["low"] > slo_ms

    def _file(self, number: int) -> Path:
        return self.folder / f"timed-{number:04d}.json"


def auc_of(trial: Trial) -> float:
    """The AUC on validation of a trial that ended well."""
    assert trial["value"] is not None
    return trial["value"]


def nearest(trials: Sequence[Trial], cost: Callable[[Trial], float], count: int) -> list[Trial]:
    """The `count` trials nearest to the front of AUC and cost; the nearest first.

    A trial's distance is the AUC that it lacks to the best trial that costs no more: 0 on the front
    itself; equal distances are ordered by AUC. Of several trials with one configuration only the
    first counts.
    """
    different: dict[str, Trial] = {}
    for trial in trials:
        different.setdefault(trial["run_id"], trial)
    points = [(cost(trial), auc_of(trial), trial) for trial in different.values()]
    behind = [
        (max(value for other, value, _ in points if other <= own) - auc, trial)
        for own, auc, trial in points
    ]
    return [trial for _, trial in sorted(behind, key=lambda pair: pair[0])[:count]]
