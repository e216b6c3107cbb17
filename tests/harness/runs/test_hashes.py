"""A run's weights and predictions are held to its record by whatever reads them."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from fusefront.datasets.durable import place
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.files import sha256
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.dossier.decide import decide_study
from fusefront.harness.dossier.gate import gate_studies
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.jobs.reproduce import reproduce_run
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs import hashes
from fusefront.harness.runs.files import digest, read_json, write_text
from fusefront.harness.runs.hashes import FILES, checked, read_predictions
from fusefront.harness.runs.records import RunSummary
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.harness.runs.study import Study
from fusefront.harness.serving.bundle.write import export_run, load_run
from fusefront.harness.training.build import load_model
from fusefront.harness.training.run import run

PARTS = load_parts([])


@pytest.fixture
def study(trained_study: StudyFolder) -> StudyFolder:
    return trained_study


def late(study: StudyFolder) -> Path:
    return next(e.path for e in study.completed() if e.strategy == "late_fusion")


def negate(path: Path) -> None:
    """The same rows with every score turned round: a good model becomes a bad one."""
    frame = pl.read_parquet(path)
    frame.with_columns(-pl.col("logit")).write_parquet(path)


def forget(run_folder: Path) -> None:
    """The record as it was written before hashes were kept."""
    path = run_folder / "summary.json"
    summary = read_json(path)
    del summary["sha256"]
    path.write_text(json.dumps(summary))


def test_the_record_keeps_the_hash_of_weights_and_predictions(study: StudyFolder) -> None:
    for entry in study.completed():
        assert entry.summary["sha256"] == {
            name: sha256(entry.path / name) for name in (*FILES, "metrics.jsonl")
        }


READERS: dict[str, Callable[[StudyFolder], object]] = {
    "gate": lambda study: gate_studies(study, study, 0.001),
    "predictions": lambda study: [study.predictions(e, "test") for e in study.completed()],
    "export": lambda study: export_run(
        load_run(late(study), study.root), study.root / "bundle", rows="float32"
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_negated_predictions_are_refused(study: StudyFolder, reader: str) -> None:
    path = late(study) / "predictions" / "test.parquet"
    negate(path)
    with pytest.raises(DataContractError) as refusal:
        READERS[reader](study)
    assert str(refusal.value) == (
        f"{path}: changed since the run was recorded (its SHA-256 differs); `fusefront verify "
        f"{late(study).name} --repair --out {study.root}` moves it aside, then the same command "
        "makes it again"
    )
    assert not (study.root / "bundle").exists()


def test_validation_predictions_are_held_too(study: StudyFolder) -> None:
    path = late(study) / "predictions" / "valid.parquet"
    negate(path)
    with pytest.raises(DataContractError, match=r"valid\.parquet: changed"):
        reproduce_run(str(late(study)), study.root, ())


@pytest.mark.parametrize("how", ["negated", "one byte"])
def test_other_weights_are_refused(study: StudyFolder, how: str) -> None:
    run_folder = late(study)
    path = run_folder / "model" / "weights.safetensors"
    if how == "negated":
        state = load_file(path)
        save_file({k: -v if v.is_floating_point() else v for k, v in state.items()}, path)
    else:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    store = PreparedDataset.open(study.store_path)
    for read in (
        lambda: load_model(run_folder, store, PARTS),
        lambda: load_run(run_folder, study.root),
    ):
        with pytest.raises(DataContractError, match=r"weights\.safetensors: changed since the run"):
            read()


def test_weights_of_another_run_are_refused(study: StudyFolder) -> None:
    first, other = (e.path for e in study.completed() if e.strategy == "late_fusion")
    shutil.copy(other / "model" / "spec.json", first / "model" / "spec.json")
    store = PreparedDataset.open(study.store_path)
    with pytest.raises(DataContractError, match=f"describes run {other.name}, the record is of"):
        load_model(first, store, PARTS)


def test_older_records_are_read_with_a_remark(study: StudyFolder) -> None:
    before = compare_study(study)
    assert not any("before hashes" in warning for warning in before.warnings)
    forget(late(study))
    comparison = compare_study(study)
    assert comparison.warnings[0] == (
        "1 of 4 runs were recorded before hashes of weights and predictions were kept: their files "
        "are taken as they lie."
    )
    for row, old in zip(comparison.strategies, before.strategies, strict=True):
        assert row.metrics == old.metrics
    with pytest.raises(GateError, match=r"`fusefront bench"):  # read; only latency is missing
        decide_study(study)
    assert load_run(late(study), study.root).summary["strategy"] == "late_fusion"


def test_a_file_that_the_record_does_not_know_is_refused(study: StudyFolder) -> None:
    run_folder = late(study)
    path = run_folder / "summary.json"
    summary = read_json(path)
    del summary["sha256"]["predictions/test.parquet"]
    path.write_text(json.dumps(summary))
    with pytest.raises(DataContractError, match=r"test\.parquet: the run's record does not know"):
        read_predictions(run_folder, "test")
    assert read_predictions(run_folder, "valid").height > 0


@pytest.mark.parametrize("content", [b"", b"null", b"[1]", b"{", "é".encode("latin-1")])
def test_a_damaged_record_is_one_sentence(study: StudyFolder, content: bytes) -> None:
    path = late(study) / "summary.json"
    path.write_bytes(content)
    with pytest.raises(DataContractError) as refusal:
        checked(late_folder := path.parent, "predictions/test.parquet")
    assert str(refusal.value).startswith(f"{late_folder / 'summary.json'}: ")
    assert "\n" not in str(refusal.value)


def test_another_format_is_one_sentence(study: StudyFolder) -> None:
    path = late(study) / "summary.json"
    path.write_text(json.dumps({**read_json(path), "format": 2}))
    with pytest.raises(DataContractError, match="got format 2, this program reads 1"):
        load_run(path.parent, study.root)


def test_unreadable_predictions_of_an_older_record_are_one_sentence(study: StudyFolder) -> None:
    forget(late(study))
    path = late(study) / "predictions" / "test.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataContractError, match=r"test\.parquet: unreadable") as refusal:
        compare_study(study)
    assert "\n" not in str(refusal.value)


def test_a_file_is_hashed_once_a_process_until_it_changes(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[Path] = []

    def counted(path: Path) -> str:
        paths.append(path)
        return sha256(path)

    hashes._hash.cache_clear()
    monkeypatch.setattr(hashes, "sha256", counted)
    name = "predictions/test.parquet"
    path = checked(late(study), name)
    checked(late(study), name)
    assert paths == [path]
    os.utime(path, ns=(1, 1))
    checked(late(study), name)
    assert paths == [path, path]


def test_everything_is_durable_before_a_record_says_it_is_complete(
    world: PreparedDataset, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    durable: dict[str, set[str]] = {}
    real_sync, real_replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real_sync(handle)

    def replace(path: Path, target: Path) -> Path:
        assert str(path.resolve()) in synced, f"{path} is renamed before it is on disk"
        durable[str(target.resolve())] = set(synced)
        return real_replace(path, target)

    study = find_study("shop", trained)
    recipe = next(e for e in study.completed() if e.strategy == "late_fusion")
    spec = make_plan(study.spec, world, PARTS).final({})[-1].spec
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    record = run(Cell("late_fusion", "strategy", spec), tmp_path, world, PARTS)
    assert recipe.summary["baseline"] == record.summary["baseline"]
    at_summary = durable[str(record.path / "summary.json")]
    for name in FILES:
        folder = (record.path / name).parent.resolve()
        assert str(folder) in at_summary  # the name is durable too
        assert str(record.path / name) in durable


def test_place_moves_an_old_folder_aside_and_syncs_all_of_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    for content in ("old", "new"):
        written = tmp_path / ".new"
        (written / "inner").mkdir(parents=True)
        (written / "inner" / "x").write_text(content)
        (written / "y").write_text(content)
        synced: list[str] = []
        monkeypatch.setattr(
            os, "fsync", lambda handle, s=synced: s.append(os.readlink(f"/proc/self/fd/{handle}"))
        )
        place(written, target)
        assert {Path(name).relative_to(tmp_path).as_posix() for name in synced} == {
            written.name,
            f"{written.name}/inner",
            f"{written.name}/inner/x",
            f"{written.name}/y",
            ".",
        }
        assert synced[-1] == str(tmp_path)
        assert (target / "inner" / "x").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_kill_between_writing_and_naming_leaves_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a" / "record.json"
    write_text(path, "old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_training_again_for_test_leaves_no_record_of_other_files(
    world: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.model_validate(
        {
            "name": "shop",
            "dataset": "world.yaml",
            "strategies": {"popularity": {}},
            "baseline": "popularity",
            "seeds": [0],
            "controls": False,
            "training": {"epochs": 1, "batch_rows": 512},
        }
    )
    (cell,) = make_plan(study, world, PARTS).final({})
    first = run(Cell("popularity", "trial", cell.spec, with_test=False), tmp_path, world, PARTS)
    assert "predictions/test.parquet" not in first.summary["sha256"]
    assert np.isfinite(read_predictions(first.path, "valid")["logit"].to_numpy()).all()
    again = run(cell, tmp_path, world, PARTS)
    assert again.path == first.path
    assert read_predictions(again.path, "test").height == len(world.split("test").item)


def test_weights_and_predictions_say_their_format_and_another_is_refused(
    study: StudyFolder,
) -> None:
    run_folder = late(study)
    weights, predictions = run_folder / FILES[0], run_folder / FILES[1]
    frame = pl.read_parquet(predictions)
    assert pl.read_parquet_metadata(predictions)["fusefront.format"] == "1"
    forget(run_folder)
    for metadata in ({}, {"fusefront.format": "1"}):  # of before, of now
        frame.write_parquet(predictions, metadata=metadata)
        assert read_predictions(run_folder, "valid").equals(frame)
    frame.write_parquet(predictions, metadata={"fusefront.format": "2"})
    refused = "got format '2', this program reads 1; use the version"
    with pytest.raises(DataContractError, match=refused):
        read_predictions(run_folder, "valid")
    store = PreparedDataset.open(study.store_path)
    state = load_file(weights)
    save_file(state, weights)  # of before
    load_model(run_folder, store, PARTS)
    save_file(state, weights, metadata={"fusefront.format": "2"})
    with pytest.raises(DataContractError, match=refused):
        load_model(run_folder, store, PARTS)


WHOLE = {
    "row_id": [0, 1],
    "request": [0, 0],
    "group": [3, 3],
    "item": [5, 6],
    "label": [0, 1],
    "logit": [0.5, -0.5],
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": [[0], [1]]}, "column 'label' holds List.Int64. with 0 nulls, expected whole"),
        ({"label": [0.0, 1.0]}, "column 'label' holds Float64"),
        ({"group": [3, None]}, "column 'group' holds Int64 with 1 nulls"),
        ({"logit": ["a", "b"]}, "column 'logit' holds String with 0 nulls, expected numbers"),
        ({"request": None}, "unreadable .*request"),
    ],
)
def test_predictions_of_other_columns_or_types_are_refused_though_sealed(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "predictions" / "test.parquet"
    path.parent.mkdir()
    columns = {name: part for name, part in (WHOLE | changes).items() if part is not None}
    pl.DataFrame(columns | {"another": [1, 2]}).write_parquet(path)
    with pytest.raises(DataContractError, match=words):
        read_predictions(tmp_path, "test")
    pl.DataFrame(WHOLE).write_parquet(path)
    assert read_predictions(tmp_path, "test").columns == list(WHOLE)


def test_weights_that_are_none_are_refused_though_sealed(study: StudyFolder) -> None:
    path = late(study)
    weights = path / "model" / "weights.safetensors"
    weights.write_bytes(b"abc")
    summary = json.loads((path / "summary.json").read_text())
    summary["sha256"]["model/weights.safetensors"] = sha256(weights)
    (path / "summary.json").write_text(json.dumps(summary))
    store = PreparedDataset.open(study.store_path)
    with pytest.raises(DataContractError, match=r"weights.safetensors: unreadable \(.*header"):
        load_model(path, store, PARTS)


def test_a_record_speaks_for_its_epochs_and_for_widths_beside_the_predictions_alone() -> None:
    names = ["metrics.jsonl", "predictions/valid-k8.parquet", "predictions/valid-k4.parquet"]
    others = ["predictions/valid-k8/more.parquet", "valid-k8.parquet", "notes.txt"]
    summary = cast("RunSummary", {"sha256": dict.fromkeys([*names, *others], "0")})
    assert hashes.hashed(summary) == (*FILES, *sorted(names))


def test_a_config_of_another_format_is_a_sentence_of_its_own(tmp_path: Path) -> None:
    content = {"seed": 1}
    run_folder = tmp_path / digest(content)
    write_text(run_folder / "config.yaml", "# format: 2\nseed: 1\n")
    sentence = hashes.misidentified(run_folder, run_folder / "config.yaml")
    assert "got 'format: 2', this program reads format 1" in sentence
    for mark in ("# format: 1\n", ""):  # older ones have none
        write_text(run_folder / "config.yaml", f"{mark}seed: 1\n")
        assert hashes.misidentified(run_folder, run_folder / "config.yaml") == ""


def test_a_split_without_predictions_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"test.parquet: got no predictions, expected them there"):
        read_predictions(tmp_path, "test")
