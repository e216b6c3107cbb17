"""Where a study's data come from: a spec with its files, or a synthetic world that is written to
files."""

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
    """A study's data set: its spec, the folder of its files, and the user's own parts that the spec
    names."""

    spec: DatasetSpec
    data: Path
    own: tuple[Own, ...] = ()
    allowed: Allowed = NOTHING


class Origin(NamedTuple):
    """The path of a study's YAML, the path that its data set is read relative to, and the data
    folder."""

    file: Path
    beside: Path
    data: Path | None


def origin_of(study: Path, data: Path | None, out: Path) -> Origin:
    """Where a study comes from: given as a file, or as the name or folder of one that was run
    before."""
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
    """Write origin.json, so that the study can be given by its name from now on."""
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
    """Read the spec of a study's data; a synthetic world is written to files first. Nothing is
    prepared."""
    if isinstance(study.dataset, Synthetic):
        path = write_synthetic(study.dataset, out)
        return Described(load_spec(path), path.parent)
    path = _spec_path(study.dataset, study_file)
    return describe(path, data, include, outside=outside)


def describe(
    path: Path, data: Path | None, include: Sequence[Path], *, outside: bool = False
) -> Described:
    """The spec file with its data folder (by default the spec's own folder) and the user's own
    parts.

    Raises:
        UsageError: the data folder does not exist.
    """
    folder = data or path.parent
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: not a folder; give the one that holds the data files")
    spec, own, allowed = spec_and_parts(path, folder, include, outside=outside)
    return Described(spec, folder, own, allowed)


def prepared(of: Described, out: Path, tell: Tell) -> PreparedDataset:
    """The prepared store of the data set, made now if it does not exist."""
    return prepare(of.spec, of.data, out, progress=tell, allowed=of.allowed)


def _spec_path(dataset: str, study_file: Path) -> Path:
    path = study_file.parent / dataset
    if not path.is_file():
        raise UsageError(
            f"{study_file}: dataset {dataset!r} is not a file beside the study; give its path"
        )
    return path


def write_synthetic(world: Synthetic, out: Path, tell: Tell | None = None) -> Path:
    """Write the files of a synthetic world unless they exist; returns the path of its spec."""
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
    """Write all files of a world in one step; the presence of `note` says that they are
    complete."""
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
