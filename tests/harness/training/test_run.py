"""One run: its record, its repetition, its failure."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from fusefront.datasets.store import PreparedDataset
from fusefront.fusion_variants.compressors.pca import Pca
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training.build import build_model, load_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict
from fusefront.harness.training.run import run

RECIPE = {**Training().model_dump(mode="json"), "epochs": 2, "batch_rows": 512}


def cell(store: PreparedDataset, seed: int = 0, **training: float | None) -> Cell:
    recipe = {**RECIPE, **training}
    spec = RunSpec(store.name, store.fingerprint, "early_fusion", {}, recipe, seed)
    return Cell("early_fusion", "strategy", spec)


@pytest.fixture(scope="module")
def record(world: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(cell(world), tmp_path_factory.mktemp("runs"), world, load_parts([])).path


def test_a_run_leaves_the_record_that_the_formats_describe(record: Path) -> None:
    for name in ("config.yaml", "environment.json", "status.json", "metrics.jsonl", "summary.json"):
        assert (record / name).exists()
    assert json.loads((record / "status.json").read_text())["state"] == "completed"
    assert len((record / "metrics.jsonl").read_text().splitlines()) == 2
    assert not list(record.rglob("*.tmp*"))


def test_the_formats_document_names_every_file_of_a_run(record: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    block = text.split("## Run\n")[1].split("```")[1]
    for path in record.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            assert path.name in block.replace("{valid,test}.parquet", "valid.parquet test.parquet")
    summary = json.loads((record / "summary.json").read_text())
    listed = block.split("summary.json")[1].split("predictions/")[0].split("flat:")[1]
    names = [name.split("(")[0].strip() for name in listed.replace("...", "").split(",")]
    assert {name for name in names if name and " " not in name} <= summary.keys()


def test_summary_equals_what_scikit_learn_makes_of_the_predictions(record: Path) -> None:
    summary = json.loads((record / "summary.json").read_text())
    valid = pl.read_parquet(record / "predictions" / "valid.parquet")
    probability = 1 / (1 + np.exp(-valid["logit"].to_numpy().astype(np.float64)))
    assert summary["valid_auc"] == pytest.approx(
        roc_auc_score(valid["label"], probability), abs=1e-6
    )
    assert summary["valid_logloss"] == pytest.approx(
        log_loss(valid["label"], probability), abs=1e-5
    )


def test_predictions_follow_the_rows_of_the_store(record: Path, world: PreparedDataset) -> None:
    test, split = pl.read_parquet(record / "predictions" / "test.parquet"), world.split("test")
    assert (test["row_id"].to_numpy() == split.row_id).all()
    assert (test["label"].to_numpy() == split.label).all()
    assert (test["item"].to_numpy() == split.item).all()
    request = np.repeat(np.arange(len(split.group)), np.diff(split.row_start))
    assert (test["request"].to_numpy() == request).all()


def test_the_same_spec_is_not_trained_twice(record: Path, world: PreparedDataset) -> None:
    before = (record / "summary.json").stat().st_mtime_ns
    again = run(cell(world), record.parents[3], world, load_parts([]))
    assert again.path == record
    assert (record / "summary.json").stat().st_mtime_ns == before


def test_the_same_spec_elsewhere_gives_the_same_numbers(
    record: Path, world: PreparedDataset, tmp_path: Path
) -> None:
    again = run(cell(world), tmp_path, world, load_parts([])).path
    first, second = (pl.read_parquet(p / "predictions" / "test.parquet") for p in (record, again))
    assert first.equals(second)


def test_a_loaded_model_scores_as_the_recorded_one(record: Path, world: PreparedDataset) -> None:
    model = load_model(record, world, load_parts([]))
    logits = predict(model, encode_table(model, world.manifest.schema_.items), world, "test")
    recorded = pl.read_parquet(record / "predictions" / "test.parquet")["logit"].to_numpy()
    np.testing.assert_allclose(logits, recorded, atol=1e-6)


def test_loading_a_model_fits_nothing_again(
    record: Path, world: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(Pca, "fit", refuse)
    load_model(record, world, load_parts([]))
    with pytest.raises(AssertionError, match="fitted again"):
        build_model(cell(world).spec, world, load_parts([]))


def test_scores_that_are_not_finite_fail_the_run_with_a_reason(
    world: PreparedDataset, tmp_path: Path
) -> None:
    """Twelve layers at a rate of 1000: their product leaves what a float holds."""
    wild = cell(world, learning_rate=1e3, tau=None, id_tau=None, clip=1e9)
    deep = replace(wild, spec=replace(wild.spec, settings={"head.hidden": [8] * 12}))
    with pytest.raises((FloatingPointError, ValueError), match="finite"):
        run(deep, tmp_path, world, load_parts([]))
    (status,) = tmp_path.glob("runs/*/*/*/status.json")
    assert json.loads(status.read_text())["state"] == "failed"
    assert "finite" in json.loads(status.read_text())["reason"]


def test_a_decay_that_takes_more_than_a_weight_fails_the_run_with_a_cure(
    world: PreparedDataset, tmp_path: Path
) -> None:
    wild = cell(world, learning_rate=1e-2, weight_decay=1e3, tau=None, id_tau=None)
    with pytest.raises(UsageError, match="takes 10 of each weight, expected less than 1; lower"):
        run(wild, tmp_path, world, load_parts([]))
