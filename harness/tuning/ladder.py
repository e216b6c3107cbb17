"""Which trial of a search is trained next, by asynchronous successive halving.

A trial pauses at each rung (an epoch) and goes on once it is in the better half of the trials that
have reached this rung (Li et al. 2020). Step k of a search depends on the results of the steps 0 ..
k - lag and on which trials the steps in between trained; never on how many workers ran or how often
they were killed.
"""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.files import write_once
from fusefront.harness.runs.records import Claim, RungRecord, StepRecord, Trial, read_record

ETA = 2  # one of so many goes on


class Step(NamedTuple):
    """Trial `number` is trained to the end of epoch `until`; None: no trial could go on or
    begin."""

    number: int | None
    until: int = 0


IDLE = Step(None)


class Known(NamedTuple):
    """What is known of a trial when the next step is chosen."""

    reached: Mapping[int, float]  # rung -> best AUC so far
    ended: bool  # it has a result: a value or a reason why it has none


def next_step(
    known: Mapping[int, Known], steps: Sequence[Step], levels: Sequence[int], trials: int
) -> Step:
    """The step that follows `steps`, given what is `known` of the trials by number.

    `levels` are the rungs and, last, the number of all epochs. At each rung the better half of the
    trials known there, at least one, goes on; higher rungs come first. If none is left to go on,
    the next trial begins.

    >>> one = {0: Known({1: 0.7}, False)}
    >>> next_step(one, [Step(0, 1), Step(1, 1)], (1, 2, 4), 9)
    Step(number=0, until=2)
    >>> next_step(one, [Step(0, 1), Step(1, 1), Step(0, 2)], (1, 2, 4), 9)
    Step(number=2, until=1)
    """
    begun = sorted({step.number for step in steps if step.number is not None})
    furthest = {n: max(step.until for step in steps if step.number == n) for n in begun}
    for level, following in reversed(list(itertools.pairwise(levels))):
        reached = {n: of.reached[level] for n, of in known.items() if level in of.reached}
        ranked = sorted(reached, key=lambda n: (-reached[n], n))
        for number in ranked[: max(1, len(ranked) // ETA)]:
            if furthest[number] == level and not known[number].ended:
                return Step(number, following)
    return Step(len(begun), levels[0]) if len(begun) < trials else IDLE


class Ladder:
    """The steps of one search and the rungs its trials have reached, as files in the search's
    folder.

    A record never changes, so each is read only once.
    """

    def __init__(self, folder: Path, levels: tuple[int, ...]) -> None:
        self.folder, self.levels = folder, levels
        self.steps: list[Step] = []  # as far as they have been read
        self._rungs: dict[tuple[int, int], RungRecord] = {}

    def step(self, k: int) -> Step | None:
        """Step k; None if it is not recorded yet. All steps before it must be."""
        path = self.step_file(k)
        if k == len(self.steps) and path.exists():
            record = read_record(path, StepRecord)
            self.steps.append(Step(record["number"], record["until"]))
        return self.steps[k] if k < len(self.steps) else None

    def add(self, k: int, step: Step) -> Step:
        """Record step k unless another process was first; returns the recorded step."""
        write_once(self.step_file(k), {"format": 1, **step._asdict()})
        written = self.step(k)
        assert written is not None
        return written

    def rung(self, number: int, until: int) -> RungRecord | None:
        """The record that a trial has reached the end of epoch `until`; None before it has."""
        if (number, until) not in self._rungs:
            path = self.rung_file(number, until)
            if not path.exists():
                return None
            self._rungs[number, until] = read_record(path, RungRecord)
        return self._rungs[number, until]

    def passed(self, number: int) -> list[RungRecord]:
        """The rungs that a trial has reached, in order."""
        rungs = [self.rung(number, until) for until in self.levels[:-1]]
        return [rung for rung in rungs if rung is not None]

    def rests(self, lag: int) -> bool:
        """Whether the last steps found nothing to do although every result was known."""
        return len(self.steps) >= lag and all(step == IDLE for step in self.steps[-lag:])

    def known(self, steps: Sequence[Step], records: Mapping[int, Trial]) -> dict[int, Known]:
        """What is known of the trials from `steps`, all of which have ended."""
        furthest: dict[int, int] = {}
        for step in steps:
            if step.number is not None:
                furthest[step.number] = max(step.until, furthest.get(step.number, 0))
        return {n: self._known(n, until, records) for n, until in furthest.items()}

    def _known(self, number: int, until: int, records: Mapping[int, Trial]) -> Known:
        rung, before = self.rung(number, until), self.passed(number)
        if rung is not None:
            return Known(_levels(rung["rungs"]), ended=False)
        record = records[number]
        if record["state"] == "ok":
            return Known(_levels(record.get("rungs", {})), ended=True)
        return Known(_levels(before[-1]["rungs"] if before else {}), ended=True)

    def step_file(self, k: int) -> Path:
        """The file of step k."""
        return self.folder / f"step-{k:05d}.json"

    def rung_file(self, number: int, until: int) -> Path:
        """The file which records that a trial has reached the end of epoch `until`."""
        return self.folder / f"rung-{number:04d}-{until:05d}.json"


def _levels(rungs: Mapping[str, float]) -> dict[int, float]:
    return {int(epoch): auc for epoch, auc in rungs.items()}


def paused(rungs: Sequence[RungRecord], claim: Claim) -> Trial:
    """The trial as it waits at the last of `rungs`: state pruned, no value."""
    last = rungs[-1]
    return {
        "number": last["number"],
        "params": claim["params"],
        "run_id": last["run_id"],
        "state": "pruned",
        "value": None,
        "seconds": sum(rung["seconds"] for rung in rungs),
        "reason": f"paused after epoch {last['until']}: not among the better half there",
        "rungs": last["rungs"],
    }


def paused_trials(folder: Path) -> list[Trial]:
    """The trials of a search that wait at a rung; unreadable records are skipped."""
    by_number: dict[int, list[RungRecord]] = {}
    for path in sorted(folder.glob("rung-*.json")):
        with contextlib.suppress(DataContractError):
            record = read_record(path, RungRecord)
            by_number.setdefault(record["number"], []).append(record)
    trials = []
    for number, rungs in by_number.items():
        if not (folder / f"trial-{number:04d}.json").exists():
            with contextlib.suppress(DataContractError):
                trials.append(
                    paused(rungs, read_record(folder / f"claim-{number:04d}.json", Claim))
                )
    return trials
