"""`fusefront verify --repair`: broken files are moved aside, and the command that made them makes
them again."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.durable import remove
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.locks import Tell, Wait, lock_file, locked
from fusefront.harness.jobs.checked import Verification
from fusefront.harness.runs import chain
from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.records import Trial, read_record
from fusefront.harness.runs.seal import LOG, begin_again
from fusefront.harness.runs.unneeded import at_work_file

FOLDER = "quarantine"


class Moved(NamedTuple):
    """What was moved aside, and where to."""

    path: Path
    to: Path


def at_rest(out: Path, tell: Tell | None = None) -> contextlib.AbstractContextManager[None]:
    """Keep other commands from training under an output folder; first waits for those that do.

    Raises:
        PlaceError: they still train after the longest wait; the message names them.
    """
    why = f"waiting for commands at work under {out} to end before anything is moved aside"
    return locked(at_work_file(out), Wait(why, tell))


def repair(checked: Iterable[Verification], out: Path, tell: Tell | None = None) -> list[Moved]:
    """Move everything broken to out/quarantine/<time>/, with a note that says why.

    Each move holds the lock of its run, store or study, and waits for a command that holds it.

    Nothing is deleted. What lies outside `out` goes into a quarantine folder beside it. If a
    search's trial stands on a broken run, the trial's record and the frozen winner are moved, too,
    so that both are made again.
    """
    reasons: dict[Path, list[str]] = {}
    for check in checked:
        for damage in check.damages:
            if damage.remake is not None:
                reasons.setdefault(_place(damage.remake), []).append(damage.sentence)
    out = out.resolve()
    for path in list(reasons):
        for beside in (*_of_searches(path, out), *_of_logs(path)):
            reasons.setdefault(beside, [f"is made again with {path}"])
    logs = [path for path in reasons if path.name == LOG]
    inside = [p for p in reasons if not any(other in p.parents for other in reasons)]
    moved = []
    for base in dict.fromkeys(out if p.is_relative_to(out) else p.parent for p in inside):
        target, note = _fresh(base / FOLDER), []
        try:
            for path in inside:
                if base == (out if path.is_relative_to(out) else path.parent):
                    to = target / path.relative_to(base)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    with _guarded(path, out, tell):
                        if _there(path):
                            moved.append(Moved(path, path.rename(to)))
                            note.append(
                                {"from": str(path), "to": str(to), "reasons": reasons[path]}
                            )
        finally:  # also if a lock was waited for in vain
            if note:
                write_json(target / "why.json", {"format": 1, "moved": note})
            else:
                remove(target)
    for log in logs:
        begin_again(log.parent)
    return moved


def _place(path: Path) -> Path:
    """The place of a path itself: a link, even a dangling one, is moved, not what it points to."""
    return Path(os.path.realpath(path.parent)) / path.name


@contextlib.contextmanager
def _guarded(path: Path, out: Path, tell: Tell | None) -> Iterator[None]:
    """Hold the lock that writers of a path hold; a bundle has none."""
    match path.relative_to(out).parts if path.is_relative_to(out) else ():
        case ("runs", _, _, name, *_):
            kind = "run"
        case ("studies", name, *_):
            kind = "study"
        case ("prepared", _, name, *_):
            kind = "store"
        case _:
            yield
            return
    why = f"waiting for another process that writes {path}"
    with locked(lock_file(out, kind, name), Wait(why, tell)):
        yield


def _of_logs(path: Path) -> Iterator[Path]:
    """The head file of a log, which is moved with the log."""
    if path.suffix == ".jsonl":
        yield chain.head_of(path)


def _of_searches(path: Path, out: Path) -> Iterator[Path]:
    """Records of searches that depend on a damaged run or record: the trial's and the winner's."""
    of_run = path.parent.parent.parent == out / "runs"
    for trial in sorted((out / "studies").glob("*/tuning/*/trial-*.json")):
        claim = trial.with_name(trial.name.replace("trial-", "claim-"))
        if path in (trial, claim) or (of_run and _run_id(trial) == path.name):
            yield trial
            yield from sorted(trial.parent.glob("winner-*.json"))


def _run_id(trial: Path) -> str:
    try:
        return read_record(trial, Trial).get("run_id", "")
    except DataContractError:
        return ""


def _fresh(folder: Path) -> Path:
    """A new folder named by the time; with a number added if that name exists."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        return path


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
