"""Where a study's data comes from: a spec and its files, or a world of known truth written out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.allowed import NOTHING, Allowed
from fusefront.datasets.durable import replacing_folder, sweep
from fusefront.datasets.locks import Wait, lock_file, locked
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import DatasetSpec, load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.progress import Tell
from fusefront.harness.parts.data_parts import spec_and_parts
from fusefront.harness.parts.outside_parts import Own
from fusefront.harness.runs.files import digest
from fusefront.harness.runs.records import ORIGIN, OriginRecord, read_record, write_record
from fusefront.harness.runs.study import Study, Synthetic


class Described(NamedTuple):
    """A study's data set: its spec, where its files are, and what of a person's the spec names."""

    spec: DatasetSpec
    data: Path
    own: tuple[Own, ...] = ()
    allowed: Allowed = NOTHING


class Origin(NamedTuple):
    """Where a study's YAML is read, beside what its data set lies, and where the data files are."""

    file: Path
    beside: Path
    data: Path | None


def origin_of(study: Path, data: Path | None, out: Path) -> Origin:
    """A study by its file, or one that has been here by its name or folder, as it was recorded."""
    folder = out / "studies" / study if study.parent == Path() else study
    if study.is_file() or not (recorded := folder / "study.yaml").is_file():
        return Origin(study, study, data)
    note = recorded.with_name(ORIGIN)
    if not note.exists():
        return Origin(recorded, recorded, data)
    record = read_record(note, OriginRecord)
    known = record["data"]
    return Origin(recorded, Path(record["file"]), data or (Path(known) if known else None))


def note_origin(folder: Path, origin: Origin) -> None:
    """Write down beside what file a study's data set lies, so that its name will do."""
    data = str(origin.data.resolve()) if origin.data else None
    write_record(folder / ORIGIN, {"file": str(origin.beside.resolve()), "data": data})


def described(
    study: Study,
    study_file: Path,
    data: Path | None,
    out: Path,
    include: Sequence[Path],
    *,
    outside: bool = False,
) -> Described:
    """Read the spec; a world of known truth is written first. Nothing is prepared."""
    if isinstance(study.dataset, Synthetic):
        path = write_synthetic(study.dataset, out)
        return Described(load_spec(path), path.parent)
    path = _spec_path(study.dataset, study_file)
    return describe(path, data, include, outside=outside)


def describe(
    path: Path, data: Path | None, include: Sequence[Path], *, outside: bool = False
) -> Described:
    """A spec's file with its data folder (default: the spec's own) and a person's parts.

    Raises:
        UsageError: the data folder is not there.
    """
    folder = data or path.parent
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: not a folder; give the one that holds the data files")
    spec, own, allowed = spec_and_parts(path, folder, include, outside=outside)
    return Described(spec, folder, own, allowed)


def prepared(of: Described, out: Path, tell: Tell) -> PreparedDataset:
    """The data set's store, made if it is not there yet."""
    return prepare(of.spec, of.data, out, progress=tell, allowed=of.allowed)


def _spec_path(dataset: str, study_file: Path) -> Path:
    path = study_file.parent / dataset
    if not path.is_file():
        raise UsageError(
            f"{study_file}: dataset {dataset!r} is not a file beside the study; give its path"
        )
    return path


def write_synthetic(world: Synthetic, out: Path, tell: Tell | None = None) -> Path:
    """Write a world's files once; the spec's path."""
    key = digest(world.model_dump(mode="json"), 8)
    folder = out / "data" / f"{world.synthetic}-{key}"
    note = folder / "complete.json"
    if not note.exists():
        wait = Wait(f"waiting for another process to write the world {world.synthetic!r}", tell)
        with locked(lock_file(out, "world", key), wait):
            if not note.exists():
                sweep(folder.parent)
                _write(world, folder, note.name)
    return folder / str(json.loads(note.read_text(encoding="utf-8"))["spec"])


def _write(world: Synthetic, folder: Path, note: str) -> None:
    """All files of a world in one step; the note with the spec's name says that they are whole."""
    from fusefront.datasets.synthetic.write import write_world

    with replacing_folder(folder) as written:
        spec = write_world(
            world.synthetic,
            written,
            seed=world.seed,
            train=world.train,
            valid=world.valid,
            test=world.test,
        )
        (written / note).write_text(json.dumps({"format": 1, "spec": spec.name}), "utf-8")
