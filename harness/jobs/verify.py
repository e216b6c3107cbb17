"""`fusefront verify`: whether stores, runs, studies and bundles still are what was recorded."""

from collections.abc import Callable, Iterator
from pathlib import Path

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.integrity import note_check, whole_check
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.dossier.decision_record import DECISIONS, FILE, changed
from fusefront.harness.dossier.inputs import COMPARISON, stored_comparison
from fusefront.harness.errors import FusefrontError, UsageError
from fusefront.harness.jobs.checked import (
    OF_RUN,
    OF_STUDY,
    RecordDamage,
    Verification,
    all_of,
    broken_lines,
    unreadable,
    unreadable_bench,
    unreadable_parts,
)
from fusefront.harness.runs import chain
from fusefront.harness.runs.hashes import (
    CONFIG,
    SUMMARY,
    damage,
    hashed,
    misidentified,
    named_summary,
)
from fusefront.harness.runs.records import NewerFormatError, Trial, read_record
from fusefront.harness.runs.seal import LOG
from fusefront.harness.runs.store import StudyFolder, find_study, run_index
from fusefront.harness.runs.table import find_run
from fusefront.harness.serving.bundle.opened import MANIFEST as BUNDLE
from fusefront.harness.serving.bundle.opened import BundleError
from fusefront.harness.serving.bundle.opened import read_manifest as read_bundle

ROLES = ("strategy", "control", "ablation", "trial")

NO_RUNS = "it was searched or begun, and has no runs of its own yet"
AFTER_MATRIX = ("bench", "comparison.json", "decision.json", "opened.jsonl")  # of a study


def verify(text: str | None, out: Path) -> list[Verification]:
    """Check what `text` names: a folder, or the name of a store, study, run or bundle under `out`;
    None = all.

    Raises:
        UsageError: it names nothing; the message lists the known names.
    """
    if text is None:
        return _everything(out)
    path = Path(text)
    if path.is_dir():
        return list(_folder(path.resolve()))
    checked = [_store(store) for store in _stores(out / "prepared" / text)]
    if (out / "studies" / text).is_dir() and Path(text).name == text:
        checked += _study(out / "studies" / text)
    run = None if checked else find_run(out, text)
    if run is not None:
        checked += _run(run)
    if not checked:
        known = sorted(
            {p.parent.parent.name for p in (out / "prepared").glob("*/*/manifest.json")}
            | {p.name for p in (out / "studies").glob("*/")}
        )
        raise UsageError(
            f"got {text!r}, expected a folder of a store, run, study or bundle, a run's id, or "
            f"one of: {', '.join(known) or 'nothing yet'} (under {out})"
        )
    return checked


def _everything(out: Path) -> list[Verification]:
    """All stores, studies and runs under `out`, each checked once."""
    checked = [check for path in sorted((out / "studies").glob("*/")) for check in _study(path)]
    paths = {check.path.resolve() for check in checked}
    stores = [p for folder in sorted((out / "prepared").glob("*/")) for p in _stores(folder)]
    checked += [_store(path) for path in stores if path.resolve() not in paths]
    runs = sorted(path for path in (out / "runs").glob("*/*/*/") if path.resolve() not in paths)
    checked += [check for path in runs for check in _run(path)]
    if not checked:
        raise UsageError(f"{out}: got no store, run or study, expected some; give --out")
    return checked


def _folder(path: Path) -> Iterator[Verification]:
    """Check a folder by the kind of record that it holds."""
    kinds: dict[str, Callable[[Path], list[Verification]]] = {
        BUNDLE: lambda folder: [_bundle(folder)],
        "study.yaml": _study,
        "matrix.json": _study,
        "manifest.json": lambda folder: [_store(folder)],
        SUMMARY: _run,
        CONFIG: _run,
    }
    for name, check in kinds.items():
        if (path / name).exists():
            yield from check(path)
            return
    inner = _stores(path)
    if not inner:
        raise UsageError(f"{path}: no store, run, study or bundle; give the folder of one")
    yield from map(_store, inner)


def _stores(folder: Path) -> list[Path]:
    """The folders of stores, also those whose manifest is lost."""
    inner = sorted(path for path in folder.glob("*/") if path.name[0] != ".")
    return [
        path for path in inner if (path / "manifest.json").exists() or (path / "items").is_dir()
    ]


def _store(path: Path) -> Verification:
    try:
        damaged = [damage.sentence for damage in whole_check(path)]
        if not damaged:
            note_check(PreparedDataset.open(path))
    except DataContractError as error:
        damaged = [str(error)]
    return Verification("store", path, tuple(RecordDamage(sentence, path) for sentence in damaged))


def _bundle(path: Path) -> Verification:
    try:
        read_bundle(path)
    except BundleError as error:
        return Verification("bundle", path, (RecordDamage(str(error), path),))
    return Verification("bundle", path, ())


def _run(path: Path) -> list[Verification]:
    """Check a run: its id against config.yaml, its record, file hashes and bundle; less if it is
    incomplete."""
    sentences = list(filter(None, [misidentified(path, path / CONFIG)]))
    records = [*unreadable(path, OF_RUN, remake=path), *unreadable_parts(path, path)]
    if not (path / SUMMARY).exists():
        remark = ("the run is not complete",)
        return [Verification("run", path, (*all_of(sentences, path), *records), remark)]
    remarks: tuple[str, ...] = ()
    try:
        summary = named_summary(path)
        if "sha256" not in summary:
            remarks = ("recorded before hashes of weights and predictions were kept",)
        sentences += filter(None, (damage(path, name, summary) for name in hashed(summary)))
    except NewerFormatError as error:
        records.append(RecordDamage(str(error), None))
    except DataContractError as error:
        sentences.append(str(error))
    sentences += filter(None, [misidentified(path, path / "model" / "spec.json")])
    sentences += broken_lines(path / "metrics.jsonl")
    checked = [Verification("run", path, (*all_of(sentences, path), *records), remarks)]
    export = path / "export"
    return [*checked, _bundle(export)] if (export / BUNDLE).exists() else checked


def _study(path: Path) -> list[Verification]:
    """Check a study's own records, its store and its runs."""
    path = path.resolve()
    damages = [*unreadable(path, OF_STUDY), *unreadable_bench(path), *unreadable_parts(path)]
    try:
        if (path / COMPARISON).exists():
            stored_comparison(path / COMPARISON)
    except NewerFormatError as error:
        damages.append(RecordDamage(str(error), None))
    except DataContractError as error:
        damages.append(RecordDamage(str(error), path / COMPARISON))
    logs = [path / LOG, path / DECISIONS]
    damages += [RecordDamage(text, log) for log in logs if (text := chain.broken(log))]
    try:
        folder = find_study(str(path), path.parents[1])
    except (DataContractError, SpecError, FusefrontError) as error:
        damages.append(RecordDamage(str(error), path / "study.yaml"))
        return [Verification("study", path, tuple(damages))]
    try:
        others = range(len(folder.matrix().get("sensitivity", [])))
        cells = [e for other in (None, *others) for e in folder.entries(roles=ROLES, other=other)]
        entries, store = list({entry.path: entry for entry in cells}.values()), folder.store_path
    except DataContractError as error:  # the matrix, which is named above where it is there
        if not (path / "matrix.json").exists():
            if not any((path / name).exists() for name in AFTER_MATRIX):
                return [Verification("study", path, tuple(damages), (NO_RUNS,))]
            damages.append(RecordDamage(str(error), None))
        return [Verification("study", path, tuple(damages))]
    if not chain.broken(path / DECISIONS) and (sentence := changed(folder)):
        damages.append(RecordDamage(sentence, path / FILE))
    runs = {entry.path: None for entry in entries if entry.state != "missing"} | _trials(folder)
    lacking = sum(entry.state == "missing" for entry in entries)
    remarks = (f"{lacking} of {len(entries)} runs are not there",) if lacking else ()
    inner = [check for run in runs for check in _run(run)]
    return [Verification("study", path, tuple(damages), remarks), _store(store), *inner]


def _trials(folder: StudyFolder) -> dict[Path, None]:
    """The existing runs of a study's search trials."""
    where = run_index(folder.root, folder.matrix()["dataset"])
    ids = []
    for path in sorted(folder.path.glob("tuning/*/trial-*.json")):
        try:
            ids.append(read_record(path, Trial).get("run_id", ""))
        except DataContractError:
            continue  # named among the study's records
    return {where[run_id]: None for run_id in ids if run_id in where}
