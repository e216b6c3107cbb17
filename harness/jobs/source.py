"""Where a study's data comes from: a spec and its files, or a world of known truth written out."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from fusefront.datasets.allowed import NOTHING, Allowed
from fusefront.datasets.errors import SpecError
from fusefront.datasets.own_encoders import included as encoder_file
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import DatasetSpec, load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.progress import Tell
from fusefront.harness.runs.files import digest, place
from fusefront.harness.runs.study import Study, Synthetic


def prepared(
    study: Study,
    study_file: Path,
    data: Path | None,
    out: Path,
    tell: Tell,
    allowed: Allowed = NOTHING,
) -> tuple[PreparedDataset, DatasetSpec]:
    """The study's prepared store, made if it is not there yet, and the spec it was made from."""
    if isinstance(study.dataset, Synthetic):
        spec_path = write_synthetic(study.dataset, out)
        return _prepare(spec_path, spec_path.parent, out, tell, NOTHING)
    spec_path = _spec_path(study.dataset, study_file)
    folder = data or spec_path.parent
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: not a folder; give the one that holds the data files")
    return _prepare(spec_path, folder, out, tell, allowed)


def _spec_path(dataset: str, study_file: Path) -> Path:
    path = study_file.parent / dataset
    if not path.is_file():
        raise UsageError(
            f"{study_file}: dataset {dataset!r} is not a file beside the study; give its path"
        )
    return path


def encoder_files(study: Study, study_file: Path, include: Sequence[Path]) -> set[Path]:
    """The files under --include-path that hold encoders of the study's data set."""
    if isinstance(study.dataset, Synthetic):
        return set()
    spec = load_spec(_spec_path(study.dataset, study_file))
    names = [part.encoder for part in spec.modalities.values() if part.encoder]
    return {encoder_file(name, include) for name in names if ":" in name}


def _prepare(
    spec_path: Path, data: Path, out: Path, tell: Tell, allowed: Allowed
) -> tuple[PreparedDataset, DatasetSpec]:
    spec = load_spec(spec_path)
    return prepare(spec, data, out, progress=tell, allowed=allowed), spec


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
