"""What the searches of a study recorded, trial by trial."""

from typing import NamedTuple

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.files import read_json
from fusefront.harness.runs.records import Trial, read_record
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.tuning.ladder import paused_trials


class SearchRecords(NamedTuple):
    """The trials of each searched strategy, by number, and a sentence for each record left out."""

    trials: dict[str, list[Trial]]
    damaged: tuple[str, ...]


def search_records(study: StudyFolder) -> SearchRecords:
    """The trials from which the study's winners were chosen; strategies with nothing to search have
    none."""
    trials: dict[str, list[Trial]] = {}
    damaged = []
    for folder in sorted((study.path / "tuning").glob("*/")):
        try:
            searched = not _has_one_point(study, folder.name)
        except DataContractError as error:
            damaged.append(str(error))
            continue
        if not searched:
            continue
        records = []
        for path in sorted(folder.glob("trial-*.json")):
            try:
                record = read_record(path, Trial)
            except DataContractError as error:
                damaged.append(str(error))
                continue
            if record["number"] < study.spec.tuning.trials:
                records.append(record)
        records += [r for r in paused_trials(folder) if r["number"] < study.spec.tuning.trials]
        trials[folder.name] = sorted(records, key=lambda record: record["number"])
    if not study.spec.tuning.trials:
        trials = {}
    return SearchRecords(trials, tuple(damaged))


def completed_values(records: SearchRecords) -> dict[str, tuple[float, ...]]:
    """The validation AUC of the completed trials of each searched strategy, in order."""
    return {
        name: tuple(
            trial["value"]
            for trial in trials
            if trial["state"] == "ok" and trial["value"] is not None
        )
        for name, trials in records.trials.items()
    }


def _has_one_point(study: StudyFolder, strategy: str) -> bool:
    path = study.path / "tuning" / strategy / "search.json"
    identity = read_json(path) if path.exists() else None
    return isinstance(identity, dict) and not identity.get("space", True)
