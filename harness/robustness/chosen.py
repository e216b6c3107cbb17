"""Selects the strategies and runs that are scored again without training."""

from collections.abc import Callable

from fusefront.datasets.errors import DataContractError
from fusefront.harness.dossier.record_types import Decided, DecisionRecord, optional_record
from fusefront.harness.errors import NothingToDoError
from fusefront.harness.runs.hashes import WEIGHTS, damage
from fusefront.harness.runs.store import RunEntry, StudyFolder

Tell = Callable[[str], None]


def chosen_strategies(study: StudyFolder, chosen_names: tuple[str, ...]) -> list[str]:
    """The chosen strategies; today's comes last, so that the strategy in question is first in the
    figure."""
    valid_auc: dict[str, float] = {}
    for entry in study.completed():
        if entry.role == "strategy":
            valid_auc.setdefault(entry.strategy, float(entry.summary.get("valid_auc", 0.0)))
    path, today = study.path / "decision.json", study.spec.baseline
    record = optional_record(path, DecisionRecord) or DecisionRecord()
    decision = record.get("decision", Decided())
    decided = [decision.get("choice") or decision.get("subject")]
    rivals = sorted((n for n in valid_auc if n != today), key=lambda n: -valid_auc[n])
    chosen = list(chosen_names) or [n for n in (*decided, *rivals) if n and n != today][:1]
    return [*(name for name in dict.fromkeys(chosen) if name != today), today]


def runs_with_weights(study: StudyFolder, name: str, tell: Tell) -> list[RunEntry]:
    """The completed runs of a strategy whose weights are intact; damaged ones are reported and left
    out.

    Raises:
        NothingToDoError: there is no such run.
        DataContractError: all runs are damaged.
    """
    runs, damaged = [], []
    for entry in study.checked_entries(roles=("strategy", "control", "ablation")):
        if entry.strategy == name:
            sentence = entry.damage or damage(entry.path, WEIGHTS, entry.summary)
            damaged += [sentence] if sentence else []
            if entry.state == "completed" and not sentence and (entry.path / WEIGHTS).exists():
                runs.append(entry)
    for sentence in damaged:
        tell(f"left out: {sentence}")
    if damaged and not runs:
        raise DataContractError(damaged[0])
    if not runs:
        raise NothingToDoError(
            f"study {study.name!r} has no completed run of {name!r} with its weights; run it first"
        )
    return runs
