"""A recorded run trained again: the same numbers, other numbers, and what is not there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.raw.files import sha256
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.jobs import reproduce
from fusefront.harness.jobs.reproduce import reproduce_run
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training.run import RunRecord, run

RECIPE = {**Training().model_dump(mode="json"), "epochs": 1, "batch_rows": 128}


@pytest.fixture
def out(ragged: PreparedDataset, tmp_path: Path) -> Path:
    """An output folder with the ragged store where a study would have put it."""
    place = tmp_path / "prepared" / ragged.name
    place.mkdir(parents=True)
    (place / ragged.fingerprint).symlink_to(ragged.path)
    return tmp_path


def trained(out: Path, store: PreparedDataset, code: str = "") -> RunRecord:
    spec = RunSpec(store.name, store.fingerprint, "early_fusion", {}, RECIPE, 3)
    spec = replace(spec, code=code) if code else spec
    return run(Cell("early_fusion", "strategy", spec), out, store, load_parts([]))


def change(run_folder: Path, by: float) -> None:
    """One logit of validation is another, and the record says so."""
    path = run_folder / "predictions" / "valid.parquet"
    frame = pl.read_parquet(path)
    logit = frame["logit"].to_numpy().astype(np.float64)
    logit[5] += by
    frame.with_columns(logit=pl.Series(logit)).write_parquet(path)
    summary = json.loads((run_folder / "summary.json").read_text())
    summary["sha256"]["predictions/valid.parquet"] = sha256(path)
    (run_folder / "summary.json").write_text(json.dumps(summary))


def test_the_same_training_gives_the_same_scores(
    out: Path, ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells: list[Cell] = []

    def noted(cell: Cell, *rest: Any, **settings: Any) -> RunRecord:
        cells.append(cell)
        return run(cell, *rest, **settings)

    monkeypatch.setattr(reproduce, "run", noted)
    record = trained(out, ragged)
    code = json.loads((record.path / "code.json").read_text())["version"]
    again = trained(out, ragged, code)  # under the code that its parts really have
    outcome = reproduce_run(again.path.name, out, ())
    assert outcome == {
        "run_id": again.path.name,
        "largest_difference": 0.0,
        "valid_auc_then": again.summary["valid_auc"],
        "valid_auc_now": again.summary["valid_auc"],
        "code_changed": False,
        "sentence": f"run {again.path.name} is reproduced: logits within 0",
    }
    outcome = reproduce_run(str(record.path), out, ())  # recorded under another code
    assert outcome["code_changed"] is True
    assert str(outcome["sentence"]).endswith(" (the training code has changed since)")
    assert len(list(out.glob("runs/*/*/*"))) == 2  # what is trained again lies aside
    assert [cell.with_test for cell in cells] == [False, False]  # the test split is not scored


def test_other_scores_fail_the_gate(out: Path, ragged: PreparedDataset) -> None:
    record = trained(out, ragged)
    change(record.path, by=5e-7)
    difference = reproduce_run(record.path.name, out, ())["largest_difference"]
    assert difference == pytest.approx(5e-7, rel=1e-3)
    change(record.path, by=-0.25)
    auc = record.summary["valid_auc"]
    with pytest.raises(
        GateError,
        match=rf"^run {record.path.name} is not reproduced \(the training code has changed "
        rf"since\): logits differ by up to 0\.25, valid AUC {auc:.5f} then, {auc:.5f} now$",
    ):
        reproduce_run(record.path.name, out, ())


def test_what_is_not_there_is_said(out: Path, ragged: PreparedDataset) -> None:
    with pytest.raises(UsageError, match="run 'ffff': expected one run under"):
        reproduce_run("ffff", out, ())
    record = trained(out, ragged)
    (out / "prepared" / ragged.name / ragged.fingerprint).unlink()
    with pytest.raises(UsageError, match="the prepared store is gone"):
        reproduce_run(record.path.name, out, ())
