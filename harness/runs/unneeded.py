"""Finds what under an output folder can be deleted: left by killed processes, or part of no
study."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from fusefront.datasets.durable import (
    abandoned,
    leftovers,
    older_temporary_leftovers,
    remove,
    temporary_leftovers,
)
from fusefront.datasets.locks import FOLDER, Wait, lock_file, locked
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import digest
from fusefront.harness.runs.records import AblationRecord, Matrix, Trial, read_record
from fusefront.harness.runs.store import find_study
from fusefront.harness.runs.study import Synthetic

Kind = Literal[
    "left by a killed process",
    "lock of nobody",
    "unfinished run",
    "run of no study",
    "store of no study",
    "tables of no study",
    "world of no study",
    "moved aside by verify",
]


class Unneeded(NamedTuple):
    """A file or folder that can be deleted, and its size on disk in bytes."""

    kind: Kind
    path: Path
    bytes: int


class Used(NamedTuple):
    """The runs, stores and worlds that the studies of an output folder use."""

    runs: set[str]  # ids
    stores: set[Path]
    worlds: set[str]  # names of folders under data/


def unneeded(out: Path, *, unused: bool = False) -> list[Unneeded]:
    """What can be deleted; with `unused` also runs, stores, worlds and shared tables that no study
    under `out` uses.

    Raises:
        DataContractError: with `unused`, a study's record cannot be read, so that what it uses is
            unknown.
    """
    if not out.is_dir():
        raise UsageError(f"{out}: no such folder; give the one of runs and studies with --out")
    parts = [*_abandoned(out), *_unfinished(out)]
    if unused:
        parts += _unused(out, used(out))
    return [Unneeded(kind, path, size(path)) for kind, path in parts]


def free(out: Path, parts: list[Unneeded]) -> list[Unneeded]:
    """Delete `parts`, except those that came into use meanwhile; returns what was deleted.

    Raises:
        PlaceError: a command trains under `out`, so that what it uses is unknown; the message names
            it.
    """
    at_rest = Wait(f"waiting for commands at work under {out} to end", limit=0.0)
    freed = []
    for part in parts:
        if part.kind in ("left by a killed process", "lock of nobody"):
            with abandoned(part.path) as nobody:
                if nobody:
                    remove(part.path)
                    freed.append(part)
        elif part.kind == "unfinished run":
            if _is_free(out, part.path):
                with locked(lock_file(out, "run", part.path.name), Wait("", limit=0.0)):
                    if not (part.path / "summary.json").exists():
                        remove(part.path)
                        freed.append(part)
        else:
            with locked(at_work_file(out), at_rest):
                remove(part.path)
                freed.append(part)
    return freed


def at_work_file(out: Path) -> Path:
    """The lock file that commands share while they train under an output folder."""
    return lock_file(out, "folder", "at-work")


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(part.lstat().st_size for part in path.rglob("*") if not part.is_dir())


def used(out: Path) -> Used:
    """The runs, stores and worlds that all studies under `out` use."""
    runs: set[str] = set()
    stores: set[Path] = set()
    worlds: set[str] = set()
    for spelled in sorted((out / "studies").glob("*/study.yaml")):
        study = find_study(str(spelled.parent), out)
        world = study.spec.dataset
        if isinstance(world, Synthetic):
            worlds.add(f"{world.synthetic}-{digest(world.model_dump(mode='json'), 8)}")
        if (study.path / "matrix.json").exists():
            matrix = read_record(study.path / "matrix.json", Matrix)
            runs |= {cell["run_id"] for cell in matrix["cells"]}
            for other in matrix.get("sensitivity", []):
                runs |= {cell["run_id"] for cell in other["cells"]}
            stores.add(study.store_path.resolve())
        for path in study.path.glob("ablation-*.json"):
            runs |= {cell["run_id"] for cell in read_record(path, AblationRecord)["cells"]}
        for searches in ("tuning", "ablation-*/tuning"):  # also of `ablate --retune`
            for path in study.path.glob(f"{searches}/*/trial-*.json"):
                runs.add(read_record(path, Trial).get("run_id", ""))
    return Used(runs, stores, worlds)


def _abandoned(out: Path) -> Iterator[tuple[Kind, Path]]:
    folders = [out, *(path for path in sorted(out.rglob("*")) if path.is_dir())]
    for folder in folders:
        if any(".tmp-" in part for part in folder.relative_to(out).parts):
            continue  # deleted together with the folder above it
        for path in leftovers(folder):
            with abandoned(path) as nobody:
                if nobody:
                    yield "left by a killed process", path
    for path in (*temporary_leftovers(), *older_temporary_leftovers()):
        with abandoned(path) as nobody:
            if nobody:
                yield "left by a killed process", path
    for path in sorted((out / FOLDER).glob("*")):
        with abandoned(path) as nobody:
            if nobody:
                yield "lock of nobody", path


def _unfinished(out: Path) -> Iterator[tuple[Kind, Path]]:
    for run in sorted((out / "runs").glob("*/*/*")):
        if run.is_dir() and not (run / "summary.json").exists() and _is_free(out, run):
            yield "unfinished run", run


def _is_free(out: Path, run: Path) -> bool:
    """Whether no process trains this run now."""
    path = lock_file(out, "run", run.name)
    if not path.exists():
        return True
    with abandoned(path) as nobody:
        return nobody


def _unused(out: Path, needs: Used) -> Iterator[tuple[Kind, Path]]:
    for summary in sorted((out / "runs").glob("*/*/*/summary.json")):
        if summary.parent.name not in needs.runs:
            yield "run of no study", summary.parent
    for manifest in sorted((out / "prepared").glob("*/[!.]*/manifest.json")):
        if manifest.parent.resolve() not in needs.stores:
            yield "store of no study", manifest.parent
    used_data = {(path.parent.name, path.name) for path in needs.stores}
    for tables in sorted((out / "frozen").glob("*/*")):
        if (tables.parent.name, tables.name) not in used_data:
            yield "tables of no study", tables
    for note in sorted((out / "data").glob("[!.]*/complete.json")):
        if note.parent.name not in needs.worlds:
            yield "world of no study", note.parent
    for folder in sorted((out / "quarantine").glob("*")):
        yield "moved aside by verify", folder
