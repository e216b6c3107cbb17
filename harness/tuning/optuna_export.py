"""Exports recorded trials as studies of an Optuna storage; each export is written anew from the
records."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from fusefront.datasets.durable import replacing
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.records import Trial
from fusefront.harness.tuning.search import Search

DATABASES = (".db", ".sqlite", ".sqlite3")
HEADS = (b"SQLite format 3", b'{"op_code"')  # how the files that Optuna writes begin


def export_trials(searches: Sequence[Search], study: str, out: Path, target: Path) -> None:
    """Write one Optuna study a strategy, `STUDY/STRATEGY`, into a database or a journal file.

    The file is replaced in one step. Trials have their value, the AUC on validation after every
    epoch, their constraints and, as user attributes, the rest of our record. Infeasible trials
    become FAIL, trials that halving stopped become PRUNED. Trial numbers are those of the records
    unless one is missing.

    Raises:
        UsageError: `target` is a folder, or a file that Optuna did not write.
    """
    _check(target)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with replacing(target) as written, _storage(written, target.suffix) as storage:
        for search in searches:
            name = f"{study}/{search.strategy}"
            mirror = optuna.create_study(
                storage=storage, study_name=name, directions=search.directions
            )
            mirror.set_user_attr("strategy", search.strategy)
            mirror.set_user_attr("caps", {"trials": search.trials, "seconds": search.seconds})
            for record in search.records():
                mirror.add_trial(_frozen(record, search, out))


def _check(target: Path) -> None:
    if target.is_dir():
        raise UsageError(f"--export {target}: got a folder, expected a file such as trials.db")
    if not target.exists():
        return
    with target.open("rb") as file:
        head = file.read(max(map(len, HEADS)))
    if head and not head.startswith(HEADS):
        raise UsageError(f"--export {target}: exists and is no Optuna storage; give another name")


@contextlib.contextmanager
def _storage(path: Path, suffix: str) -> Iterator[BaseStorage]:
    if suffix not in DATABASES:
        yield JournalStorage(JournalFileBackend(str(path)))
        for lock in path.parent.glob(f"{path.name}.lock*"):
            lock.unlink()
        return
    storage = RDBStorage(f"sqlite:///{os.path.abspath(path)}")
    try:
        yield storage
    finally:
        storage.engine.dispose()


def _frozen(record: Trial, search: Search, out: Path) -> FrozenTrial:
    distributions, values = search.distributions, search.values_of(record)
    claimed = record.get("params", {})
    params = {key: value for key, value in claimed.items() if key in distributions}
    ours = {
        "number": record["number"],
        "run_id": record.get("run_id", ""),
        "seconds": record.get("seconds", 0.0),
        "state": record["state"],
        "reason": record.get("reason", ""),
        "cause": record.get("cause", ""),
        "defaults": not params,
        "constants": {key: value for key, value in claimed.items() if key not in distributions},
    }
    return create_trial(
        state=_state(record, values is not None),
        values=values,
        params=params,
        distributions={key: distributions[key] for key in params},
        user_attrs=ours,
        intermediate_values=_epochs(str(record.get("run_id", "")), out),
        constraints=dict(record.get("constraints", {})) or None,
    )


def _state(record: Trial, known: bool) -> TrialState:
    if record["state"] == "pruned":
        return TrialState.PRUNED
    return TrialState.COMPLETE if known else TrialState.FAIL


def _epochs(run_id: str, out: Path) -> dict[int, float]:
    """Epoch -> AUC on validation of the run, in whichever folder it lies; empty if it has no
    metrics."""
    for path in sorted((out / "runs").glob(f"*/*/{run_id}/metrics.jsonl")) if run_id else []:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
        return {
            int(line["epoch"]): float(line["valid_auc"])
            for line in lines
            if line.get("valid_auc") is not None
        }
    return {}
