"""`fusefront verify`: whether stores, runs, studies and bundles still are what was recorded."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.integrity import note_check, whole_check
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import FusefrontError, UsageError
from fusefront.harness.runs.files import Json, digest
from fusefront.harness.runs.hashes import CURE, FILES, SUMMARY, damage
from fusefront.harness.runs.records import Matrix, Record, RunSummary, read_record
from fusefront.harness.runs.store import find_study
from fusefront.harness.runs.table import find_run
from fusefront.harness.serving.bundle.opened import MANIFEST as BUNDLE
from fusefront.harness.serving.bundle.opened import BundleError
from fusefront.harness.serving.bundle.opened import read_manifest as read_bundle

OPTIONAL = ("environment.json", "status.json", "code.json", "nested.json")
OF_STUDY = ("audit.json", "comparison.json", "decision.json", "bench/bench.json")
ROLES = ("strategy", "control", "ablation", "trial")


class Verification(NamedTuple):
    """One store, run, study or bundle: a sentence for each damaged file, and what cannot be
    told."""

    kind: str
    path: Path
    damaged: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """For `--json`."""
        return {
            "kind": self.kind,
            "path": str(self.path),
            "whole": not self.damaged,
            "damaged": list(self.damaged),
            "remarks": list(self.remarks),
        }


def verify(text: str, out: Path) -> list[Verification]:
    """Everything that `text` names: a folder, or a data set, a study or a run under `out`.

    Raises:
        UsageError: it names nothing; the names that are known are listed.
    """
    path = Path(text)
    if path.is_dir():
        return list(_folder(path.resolve()))
    checked = [_store(store) for store in _stores(out / "prepared" / text)]
    if (out / "studies" / text / "study.yaml").exists():
        checked += _study(out / "studies" / text)
    run = None if checked else find_run(out, text)
    if run is not None:
        checked.append(_run(run))
    if not checked:
        known = sorted(
            {p.parent.parent.name for p in (out / "prepared").glob("*/*/manifest.json")}
            | {p.parent.name for p in (out / "studies").glob("*/study.yaml")}
        )
        raise UsageError(
            f"got {text!r}, expected a folder of a store, run, study or bundle, a run's id, or one of: "
            f"{', '.join(known) or 'nothing yet'} (under {out})"
        )
    return checked


def _folder(path: Path) -> Iterator[Verification]:
    """What lies in a folder, by the record that it holds."""
    kinds: dict[str, Callable[[Path], Verification]] = {
        BUNDLE: _bundle,
        "manifest.json": _store,
        SUMMARY: _run,
        "config.yaml": _run,
    }
    if (path / "study.yaml").exists():
        yield from _study(path)
        return
    for name, check in kinds.items():
        if (path / name).exists():
            yield check(path)
            return
    inner = _stores(path)
    if not inner:
        raise UsageError(f"{path}: no store, run, study or bundle; give the folder of one")
    yield from map(_store, inner)


def _stores(folder: Path) -> list[Path]:
    return sorted(p.parent for p in folder.glob("*/manifest.json") if p.parent.name[0] != ".")


def _store(path: Path) -> Verification:
    try:
        damaged = [damage.sentence for damage in whole_check(path)]
        if not damaged:
            note_check(PreparedDataset.open(path))
    except DataContractError as error:
        damaged = [str(error)]
    return Verification("store", path, tuple(damaged))


def _bundle(path: Path) -> Verification:
    try:
        read_bundle(path)
    except BundleError as error:
        return Verification("bundle", path, (str(error),))
    return Verification("bundle", path, ())


def _run(path: Path) -> Verification:
    """Identity against config, record, hashes; a run that is not complete has little to compare."""
    damaged = [*_identity(path, path / "config.yaml"), *_records(path, OPTIONAL)]
    if not (path / SUMMARY).exists():
        return Verification("run", path, tuple(damaged), ("the run is not complete",))
    try:
        summary = read_record(path / SUMMARY, RunSummary)
    except DataContractError as error:
        return Verification("run", path, (*damaged, str(error)))
    if summary["run_id"] != path.name:
        damaged.append(
            f"{path / SUMMARY}: says it is of run {summary.get('run_id')!r}, expected "
            f"{path.name!r}; {CURE}"
        )
    damaged += _identity(path, path / "model" / "spec.json")
    damaged += filter(None, (damage(path, name, summary) for name in FILES))
    damaged += _lines(path / "metrics.jsonl")
    old = "recorded before hashes of weights and predictions were kept"
    return Verification("run", path, tuple(damaged), () if "sha256" in summary else (old,))


def _identity(run: Path, path: Path) -> Iterator[str]:
    """A sentence where what was trained is not what the folder's name stands for."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        yield f"{path}: missing; {CURE}"
        return
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        yield f"{path}: unreadable; {CURE}"
        return
    written = digest(content)
    if written != run.name:
        yield f"{path}: describes run {written}, expected {run.name}; {CURE}"


def _records(folder: Path, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if (folder / name).exists():
            try:
                read_record(folder / name, Record)
            except DataContractError as error:
                yield str(error)


def _lines(path: Path) -> Iterator[str]:
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            json.loads(line)
    except FileNotFoundError:
        yield f"{path}: missing; {CURE}"
    except (OSError, ValueError, RecursionError):
        yield f"{path}: a line is no JSON; {CURE}"


def _study(path: Path) -> list[Verification]:
    """A study's own records, its store and its runs."""
    trials = (str(p.relative_to(path)) for p in sorted(path.glob("tuning/*/trial-*.json")))
    damaged = list(_records(path, (*OF_STUDY, *trials)))
    try:
        folder = find_study(str(path), path.parents[1])
        read_record(path / "matrix.json", Matrix)
        entries, store = folder.entries(roles=ROLES), folder.store_path
    except (DataContractError, SpecError, FusefrontError) as error:
        return [Verification("study", path, (*damaged, str(error)))]
    runs = {entry.path: entry for entry in entries if entry.state != "missing"}
    lacking = sum(entry.state == "missing" for entry in entries)
    remarks = (f"{lacking} of {len(entries)} runs are not there",) if lacking else ()
    return [Verification("study", path, tuple(damaged), remarks), _store(store), *map(_run, runs)]
