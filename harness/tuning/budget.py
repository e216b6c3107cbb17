"""The budget of every strategy's search, and what was spent of it, counted from the records."""

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.records import (
    Interruption,
    Record,
    SearchIdentity,
    Trial,
    read_record,
)
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.study import Tuning
from fusefront.harness.tuning.ladder import paused_trials

OF_THE_VALUE = ("nan", "value", "cost", "pruned")  # causes that would end the trial on any machine

R = TypeVar("R", bound=Record)


class SearchBudget(NamedTuple):
    """The budget and the spending of one strategy's search; all strategies share the same caps."""

    strategy: str
    trials: int  # on record
    finished: int  # of them with a value
    cap: int  # trials; 1 where there is nothing to search
    seconds: float  # of processes, attempts without a result included
    cap_seconds: float | None
    causes: Mapping[str, int]  # cause of a recorded trial without a value -> how many
    chances: int  # trials that count as given: a value, or parameters that can have none
    cut: bool  # the seconds ran out during a trial

    @property
    def sentence(self) -> str:
        """The spent budget in words."""
        whole = "" if self.cap_seconds is None else f" of {self.cap_seconds:g}"
        text = f"{self.strategy} {self.finished} of {self.cap} trials, {self.seconds:.0f}{whole} s"
        lost = ", ".join(f"{count} {cause}" for cause, count in sorted(self.causes.items()))
        return f"{text} (without a value: {lost})" if lost else text

    def to_json(self) -> dict[str, object]:
        return {**self._asdict(), "causes": dict(self.causes)}


def study_budgets(study: StudyFolder) -> list[SearchBudget]:
    """The budgets of the searches of all strategies in a study's matrix."""
    names = {cell["strategy"] for cell in study.matrix()["cells"]}
    return budgets(study.path, study.spec.tuning, names)


def budgets(study: Path, tuning: Tuning, names: Collection[str]) -> list[SearchBudget]:
    """The budgets of the searches of the strategies `names`; `study` is the study's folder.

    Unreadable records are not counted here; the check of records reports them.
    """
    if not tuning.trials:
        return []
    folders = [path.parent for path in sorted(study.glob("tuning/*/search.json"))]
    return [_budget(folder, tuning) for folder in folders if folder.name in names]


def lost_seconds(folder: Path) -> float:
    """Seconds that went into attempts of a search without a result."""
    return sum(record["seconds"] for record in interruptions(folder))


def interruptions(folder: Path) -> list[Interruption]:
    """The readable records of attempts of a search that ended without a result."""
    return _readable(folder, "interrupted-*", Interruption)


def _readable(folder: Path, pattern: str, kind: type[R]) -> list[R]:
    records = []
    for path in sorted(folder.glob(f"{pattern}.json")):
        with contextlib.suppress(DataContractError):
            records.append(read_record(path, kind))
    return records


def _budget(folder: Path, tuning: Tuning) -> SearchBudget:
    identities = _readable(folder, "search", SearchIdentity)
    cap = tuning.trials if any(record["space"] for record in identities) else 1
    trials = [*_readable(folder, "trial-*", Trial), *paused_trials(folder)]
    records = [record for record in trials if record["number"] < cap]
    causes = Counter(_cause(record) for record in records if record["state"] != "ok")
    finished = sum(record["state"] == "ok" for record in records)
    seconds = sum(record.get("seconds", 0.0) for record in records) + lost_seconds(folder)
    return SearchBudget(
        folder.name,
        len(records),
        finished,
        cap,
        round(seconds, 3),
        tuning.seconds,
        causes,
        finished + sum(causes[cause] for cause in OF_THE_VALUE),
        any(record["cause"] == "budget" for record in interruptions(folder)),
    )


def _cause(record: Trial) -> str:
    return record.get("cause", record["state"])


def lacking(spent: Sequence[SearchBudget], accepted: Mapping[str, str]) -> list[str]:
    """A sentence for each strategy that got less of a search than another one, unless that is
    accepted.

    A trial that memory, time or a kill ended does not count as given; one with invalid values or
    NaN does.
    """
    searched = [budget for budget in spent if budget.cap > 1]
    most = max((budget.chances for budget in searched), default=0)
    return [
        f"{budget.strategy} got {budget.chances} trials, others {most} ({_why(budget)})"
        for budget in searched
        if budget.chances < most and budget.strategy not in accepted
    ]


def _why(budget: SearchBudget) -> str:
    lost = {cause: n for cause, n in budget.causes.items() if cause not in OF_THE_VALUE}
    reasons = [f"{count} ended by {cause}" for cause, count in sorted(lost.items())]
    if budget.cut or (budget.cap_seconds is not None and budget.seconds >= budget.cap_seconds):
        reasons.append(
            "its seconds are spent" if budget.trials else "its seconds are below one trial"
        )
    return ", ".join(reasons) or "it has not ended"


def unequal(spent: Sequence[SearchBudget], accepted: Mapping[str, str]) -> str:
    """The sentence of the gate on unequal searches; "" if all are equal or the difference is
    accepted."""
    if not (sentences := lacking(spent, accepted)):
        return ""
    return (
        f"the search was not the same for all: {'; '.join(sentences)}; raise the cap and run the "
        "same command, or accept it with a reason in tuning.accept"
    )
