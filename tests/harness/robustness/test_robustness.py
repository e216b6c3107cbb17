"""A modality hidden at serving time: who loses it, what the model sees, what is written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness.hide import Hidden, scores, shown_modalities
from fusefront.harness.robustness.study import HidingOptions, measure
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.seal import openings
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.harness.training.build import load_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict
from fusefront.harness.training.run import run

RECIPE = {**Training().model_dump(mode="json"), "epochs": 1, "batch_rows": 512}
NAMES = ("early_fusion", "late_fusion")
SHARES = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def study(world: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Two strategies with two seeds each, trained for an epoch."""
    root: Path = world.path.parents[2]
    cells = [
        Cell(name, "strategy", RunSpec(world.name, world.fingerprint, name, {}, RECIPE, seed))
        for name in NAMES
        for seed in (0, 1)
    ]
    for cell in cells:
        run(cell, root, world, load_parts([]))
    folder = root / "studies" / "hidden"
    shutil.rmtree(folder, ignore_errors=True)  # the module may be set up twice on one worker
    folder.mkdir(parents=True)
    spec = {
        "name": "hidden",
        "dataset": {"synthetic": "tour"},
        "strategies": {name: {"baseline": name} for name in NAMES},
        "baseline": "late_fusion",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(spec))
    matrix = {
        "format": 1,
        "dataset": world.name,
        "fingerprint": world.fingerprint,
        "store": world.path.relative_to(root).as_posix(),
        "cells": [cell.to_json() for cell in cells],
    }
    (folder / "matrix.json").write_text(json.dumps(matrix))
    return find_study("hidden", root)


@pytest.fixture(scope="module")
def curves(study: StudyFolder) -> list[dict]:
    return measure(study, HidingOptions(shares=SHARES), lambda _: None)


def test_shares_are_nested_and_touch_one_modality_alone(world: PreparedDataset) -> None:
    half, most = (shown_modalities(world, Hidden("image", share)) for share in (0.5, 0.8))
    column = list(world.manifest.schema_.modalities).index("image")
    assert half[:, column].mean() == pytest.approx(0.5, abs=0.05)
    assert (most <= half).all()
    others = np.arange(half.shape[1]) != column
    assert half[:, others].all()


def test_hidden_for_all_items_is_what_a_model_scores_without_the_vectors(
    study: StudyFolder, world: PreparedDataset
) -> None:
    entry, parts = study.completed()[0], load_parts([])
    model = load_model(entry.path, world, parts)
    by_condition = dict(scores(model, world, (Hidden("text", 0.0), Hidden("text", 1.0))))
    items = world.manifest.schema_.items
    whole = predict(model, encode_table(model, items), world, "test")
    np.testing.assert_array_equal(by_condition[Hidden("text", 0.0)], whole)
    blind = load_model(entry.path, world, parts)
    column = list(world.manifest.schema_.modalities).index("text")
    with torch.no_grad():
        blind.slots.present[:, column] = False
    expected = predict(blind, encode_table(blind, items), world, "test")
    np.testing.assert_allclose(by_condition[Hidden("text", 1.0)], expected, atol=1e-6)
    assert not np.allclose(expected, whole)


def test_gains_are_differences_of_the_auc_that_scikit_learn_finds(
    study: StudyFolder, world: PreparedDataset, curves: list[dict]
) -> None:
    label, parts = np.asarray(world.split("test").label), load_parts([])

    def auc(name: str, hidden: Hidden) -> float:
        runs = [entry for entry in study.completed() if entry.strategy == name]
        by_run = [
            dict(scores(load_model(entry.path, world, parts), world, (hidden,)))[hidden]
            for entry in runs
        ]
        return float(np.mean([roc_auc_score(label, logits) for logits in by_run]))

    today = auc("late_fusion", Hidden("audio", 0.0))
    for curve in (c for c in curves if c["modality"] == "audio"):
        own = auc(curve["strategy"], Hidden("audio", 1.0))
        assert curve["gain"][-1]["value"] == pytest.approx(own - today, abs=1e-9)
    lead = next(c for c in curves if c["strategy"] == "early_fusion" and c["modality"] == "audio")
    both = [auc(name, Hidden("audio", 1.0)) for name in NAMES]
    assert lead["lead"][-1]["value"] == pytest.approx(both[0] - both[1], abs=1e-9)


def test_the_reference_starts_at_nothing_and_every_other_point_has_its_interval(
    study: StudyFolder, curves: list[dict]
) -> None:
    own = [c for c in curves if c["strategy"] == "late_fusion"]
    assert [c["gain"][0]["value"] for c in own] == [0.0] * len(own)
    for curve in curves:
        for point in curve["gain"][1:]:
            assert point["low"] < point["value"] < point["high"]
    written = json.loads((study.path / "robustness.json").read_text())
    assert written["reference"] == "late_fusion"
    assert len(written["curves"]) == len(NAMES) * 3
    assert {look.purpose for look in openings(study.path)} == {"robustness"}


def test_the_report_reads_what_was_written(study: StudyFolder, curves: list[dict]) -> None:
    from fusefront.harness.dossier.sections import missing

    section = missing(study)
    assert section is not None
    assert [c.shares for c in section.curves] == [SHARES] * len(curves)
    assert section.curves[0].lead[-1].value == curves[0]["lead"][-1]["value"]


def test_what_cannot_be_hidden_is_refused_in_a_sentence(study: StudyFolder) -> None:
    with pytest.raises(
        UsageError, match=r"got share 1\.5, expected shares of the items from 0 to 1"
    ):
        measure(study, HidingOptions(shares=(1.5,)), lambda _: None)
    with pytest.raises(NothingToDoError, match="no completed run of 'nobody' with its weights"):
        measure(study, HidingOptions(("nobody",)), lambda _: None)
