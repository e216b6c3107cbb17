"""Where a study's data comes from: a spec and its files, or a world of known truth written out."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.allowed import NOTHING, Allowed
from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import DatasetSpec, load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.progress import Tell
from fusefront.harness.parts.data import spec_and_parts
from fusefront.harness.parts.own import Own
from fusefront.harness.runs.files import digest, place
from fusefront.harness.runs.study import Study, Synthetic


class Described(NamedTuple):
    """A study's data set: its spec, where its files are, and what of a person's the spec names."""

    spec: DatasetSpec
    data: Path
    own: tuple[Own, ...] = ()
    allowed: Allowed = NOTHING


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
    """A spec's file with its data folder (default: the spec's own) and a person's parts."""
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


def write_synthetic(world: Synthetic, out: Path) -> Path:
    """Write a world's files once; the spec's path."""
    from fusefront.datasets.synthetic.write import write_world

    key = digest(world.model_dump(mode="json"), 8)
    folder = out / "data" / f"{world.synthetic}-{key}"
    note = folder / "complete.json"
    if not note.exists():
        beside = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            spec = write_world(
                world.synthetic,
                beside,
                seed=world.seed,
                train=world.train,
                valid=world.valid,
                test=world.test,
            )
        except SpecError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        (beside / note.name).write_text(json.dumps({"spec": spec.name}), encoding="utf-8")
        place(beside, folder)
    return folder / str(json.loads(note.read_text(encoding="utf-8"))["spec"])
