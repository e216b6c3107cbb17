"""The tour world, small, and a study on it that is trained and compared."""

import json
import shutil
from pathlib import Path

import pytest

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.harness.runs.study import Study
from fusefront.harness.training.run import run


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """The tour world with 300 / 60 / 100 requests."""
    folder: Path = tmp_path_factory.mktemp("world")
    spec = write_world("tour", folder / "files", seed=1, train=300, valid=60, test=100)
    return prepare(load_spec(spec), spec.parent, folder / "out")


@pytest.fixture(scope="session")
def trained(world: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An out folder with the study "shop" of two strategies and two seeds, trained for an epoch."""
    out = tmp_path_factory.mktemp("trained") / "out"
    shutil.copytree(world.path, out / "prepared" / world.name / world.fingerprint)
    store = PreparedDataset.open(out / "prepared" / world.name / world.fingerprint)
    study = Study.model_validate(
        {
            "name": "shop",
            "dataset": "world.yaml",
            "strategies": {"popularity": {}, "late_fusion": {"token_width": 8}},
            "baseline": "popularity",
            "seeds": [0, 1],
            "controls": False,
            "training": {"epochs": 1, "batch_rows": 512},
        }
    )
    parts = load_parts([])
    cells = make_plan(study, store, parts).final({})
    for cell in cells:
        run(cell, out, store, parts)
    folder = out / "studies" / "shop"
    folder.mkdir(parents=True)
    matrix = {
        "format": 1,
        "dataset": world.name,
        "fingerprint": world.fingerprint,
        "store": store.path.relative_to(out).as_posix(),
        "cells": [cell.to_json() for cell in cells],
    }
    (folder / "matrix.json").write_text(json.dumps(matrix))
    (folder / "study.yaml").write_text(json.dumps(study.model_dump(mode="json")))
    compare_study(find_study("shop", out))
    return out


@pytest.fixture
def trained_study(trained: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(trained, tmp_path / "out")
    return find_study("shop", tmp_path / "out")
