"""Prepares a sample with the proposal; guesses that `prepare` refuses are marked as unknown."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fusefront.datasets.errors import BrokenFileError, DataContractError, SpecError
from fusefront.datasets.losses import Loss
from fusefront.datasets.manifest import read_manifest
from fusefront.datasets.preparing.finish import Job
from fusefront.datasets.preparing.pipeline import write_store
from fusefront.datasets.proposing.blame import Trouble, blame
from fusefront.datasets.proposing.counters import guess_counters
from fusefront.datasets.proposing.draft import Draft, Guess, TableGuess
from fusefront.datasets.proposing.roles import Roles
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.yaml_file import Json

_TRIES = 24  # each marks one guess at least
_LARGE = 1 << 26  # bytes of vectors; larger ones are replaced by a single column
_HUGE = 1 << 30  # bytes of a table; with a larger one nothing is tried
_MUCH, _NOTED = 0.05, 0.01  # share of a loss that marks a guess as unknown, and that is noted


_EXPECTED = ("rows.no_positive", "history.padding")


class _Stage(NamedTuple):
    """A folder with the files that the spec names, the log cut to its sample."""

    folder: Path
    whole: bool  # nothing was cut
    left_out: frozenset[str]  # modalities that cannot be tried
    parts: dict[str, list[str]]  # split or "path" -> names of the parts that are there


def rehearse(draft: Draft, root: Path, roles: Roles, scratch: Path) -> None:
    """Prepare the known part of the draft; mark refused guesses and note losses.

    A draft of which too much is unknown, or whose tables are too large, is not tried.
    """
    if why := _too_much(draft, root, roles):
        draft.trial = why
        return
    stage = _stage(draft, root, roles, scratch / "stage")
    for attempt in range(_TRIES):
        draft.counters = guess_counters(draft)
        raw = draft.spec()
        if raw is None:
            draft.trial = "Tried: what prepare refuses is marked UNKNOWN; the rest was not reached."
            return
        try:
            losses = _prepare(_on_stage(raw, stage), stage.folder, scratch / f"store{attempt}")
        except (DataContractError, SpecError) as error:
            sentence = _bare(str(error), stage.folder, whole=stage.whole)
            column = error.column if isinstance(error, BrokenFileError) else None
            path = _name(error.path, stage.folder) if isinstance(error, BrokenFileError) else None
            trouble = Trouble(sentence, path, column, stage.whole)
            if blame(draft, roles, trouble):
                continue
            draft.trial = f"UNKNOWN: prepare refuses a sample of it: {sentence}"
            return
        what = "the files" if stage.whole else f"{roles.log.frame.height:,} rows"
        draft.trial = f"Tried: prepare takes {what}."
        _tell(draft, losses)
        return


def _too_much(draft: Draft, root: Path, roles: Roles) -> str:
    if draft.spec() is None:
        return "Not tried: too little is known."
    for side in (roles.items, roles.users):
        for name in side.table.names(root) if side else ():
            if (root / name).stat().st_size > _HUGE:
                return f"Not tried: {name} is larger than {_HUGE >> 30} GiB."
    return ""


def _stage(draft: Draft, root: Path, roles: Roles, folder: Path) -> _Stage:
    """Links to the files, copies of the sampled ones, one column for large vectors."""
    folder.mkdir()
    logs = {"path": roles.log} if not roles.splits else dict(roles.splits)
    whole = True
    parts: dict[str, list[str]] = {}
    for split, table in logs.items():
        names = dict(zip(table.parts.paths, table.names(root), strict=True))
        parts[split] = []
        for path, copy in zip(table.sampled, table.copies, strict=True):
            _link(copy, folder / names[path])
            parts[split].append(names[path])
        whole &= table.whole
    for side in (roles.items, roles.users):
        for name in side.table.names(root) if side else ():
            _link(root / name, folder / name)
    left_out = set()
    by_log = isinstance(draft.items, Guess) and draft.items.value == {"keys": "log"}
    for modality, guess in draft.modalities.items():
        value = guess.value if isinstance(guess.value, dict) else {}
        if by_log and "keyed_by" in value and not whole:  # the sample lacks some of the items
            left_out.add(modality)
        for key in ("path", "ids"):
            listing = value.get(key, [])
            files = [str(name) for name in listing] if isinstance(listing, list) else [str(listing)]
            for name in files:
                if not _vectors(root / name, folder / name):
                    left_out.add(modality)
                    whole = False
    return _Stage(folder, whole, frozenset(left_out), parts)


def _vectors(path: Path, target: Path) -> bool:
    """Put vectors on the stage; False where they are too large for that."""
    if target.exists():
        return True
    if not path.is_file():  # marked as not known
        return False
    if path.stat().st_size <= _LARGE:
        _link(path, target)
    elif path.suffix == ".npy":
        rows = np.load(path, mmap_mode="r").shape[0]
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, np.ones((rows, 1), np.float16))
    else:
        return False
    return True


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.symlink_to(path.resolve())


def _on_stage(raw: dict[str, Json], stage: _Stage) -> DatasetSpec:
    """The spec with the parts that are there, without the modalities that are not."""
    log = raw["interactions"]
    assert isinstance(log, dict)
    written = {key: value for key, value in log.items() if key in ("separator", "names")}
    parts: dict[str, Json] = {split: [*names] for split, names in stage.parts.items()}
    if "path" not in parts and len(parts) < 3:
        parts = {"path": [name for names in stage.parts.values() for name in names]}
    modalities = raw["modalities"]
    assert isinstance(modalities, dict)
    present = {name: value for name, value in modalities.items() if name not in stage.left_out}
    return parse_spec(
        raw | {"interactions": parts | written, "modalities": present}, "the proposal"
    )


def _prepare(spec: DatasetSpec, data: Path, folder: Path) -> dict[str, Loss]:
    with _scratch_folder(folder):
        write_store(Job(spec, data, folder, "rehearsal"), None, lambda _: None)
        return dict(read_manifest(folder).losses)


@contextlib.contextmanager
def _scratch_folder(folder: Path) -> Iterator[None]:
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bare(sentence: str, folder: Path, *, whole: bool) -> str:
    """The sentence with paths as in the data folder, and without rows of a sample."""
    text = sentence.replace(f"{folder}/", "").replace(str(folder), "the folder")
    return text if whole else re.sub(r", row \d+(?=:)", "", text)


def _name(path: Path, folder: Path) -> str | None:
    with contextlib.suppress(ValueError):
        return path.relative_to(folder).as_posix()
    return None


def _tell(draft: Draft, losses: dict[str, Loss]) -> None:
    """Mark guesses that lose much as unknown, and note smaller losses."""
    for key, loss in losses.items():
        if loss.share <= _NOTED or key in _EXPECTED or ".unseen." in key:
            continue
        if loss.share > _MUCH and (guess := _losing(draft, key)) is not None:
            guess.open(f"{loss.sentence()}: 'drop' goes on so, 'refuse' stops", "unknown")
        elif not key.endswith(".absent"):
            draft.notes.append(f"prepare says of the sample: {loss.sentence()}")


def _losing(draft: Draft, key: str) -> Guess | None:
    if key in ("rows.unknown_item", "history.unknown_item") and isinstance(draft.items, TableGuess):
        head = draft.items.head
        return head if not head.unknown else None
    return None
