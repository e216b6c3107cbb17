"""A study says once how many of its runs other code has trained, and which code."""

import json
from pathlib import Path

import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.jobs.outdated_runs import reidentified
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.study import Study
from fusefront.harness.training.run import CODE_FILE, find_record, run

PARTS = load_parts([])
STRATEGIES = {"popularity": {}, "early_fusion": {"token_width": 8}}


@pytest.fixture
def folder(world: PreparedDataset, tmp_path: Path) -> StudyFolder:
    """A study of two strategies and two seeds, trained for an epoch."""
    study = Study.model_validate(
        {
            "name": "shop",
            "dataset": "world.yaml",
            "strategies": STRATEGIES,
            "baseline": "popularity",
            "seeds": [0, 1],
            "controls": False,
            "training": {"epochs": 1, "batch_rows": 512},
        }
    )
    plan = make_plan(study, world, PARTS)
    cells = plan.final({})
    for cell in cells:
        run(cell, tmp_path, world, PARTS)
    opened = StudyFolder(tmp_path, tmp_path / "studies" / "shop", study)
    opened.path.mkdir(parents=True)
    matrix = {"dataset": world.name, "fingerprint": world.fingerprint, "store": "prepared"}
    rows = [cell.to_json() for cell in cells]
    (opened.path / "matrix.json").write_text(json.dumps({**matrix, "cells": rows}))
    return opened


def record_other_code(folder: StudyFolder, strategy: str, module: str | None) -> None:
    for entry in folder.completed():
        if entry.strategy == strategy:
            path = entry.path / "model" / "spec.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "code": "0" * 12}))
            listed = entry.path / CODE_FILE
            if module is None:
                listed.unlink()
            else:
                code = json.loads(listed.read_text())
                code["sources"][module] = "0" * 12
                listed.write_text(json.dumps(code))


def test_runs_of_todays_code_need_no_word(folder, world):
    assert len(folder.completed()) == 4
    assert reidentified(folder, world, PARTS) == ""


def test_runs_of_other_code_are_counted_and_what_changed_is_named(folder, world):
    record_other_code(folder, "early_fusion", "fusefront.baselines.heads.mlp")
    assert reidentified(folder, world, PARTS) == (
        "2 recorded runs of this study were trained by other code (changed since: "
        "baselines.heads.mlp); they stay readable, and what this study needs is trained again"
    )


def test_records_without_a_list_of_code_are_counted_too(folder, world):
    record_other_code(folder, "early_fusion", "fusefront.baselines.heads.mlp")
    record_other_code(folder, "popularity", None)
    sentence = reidentified(folder, world, PARTS)
    assert sentence.startswith("4 recorded runs")
    assert "baselines.heads.mlp; of some runs the code is not on record" in sentence


def test_a_study_that_never_ran_has_nothing_to_say(folder, world):
    (folder.path / "matrix.json").unlink()
    assert reidentified(folder, world, PARTS) == ""


def test_the_plan_finds_the_records_again(folder, world):
    cells = make_plan(folder.spec, world, PARTS).final({})
    assert all(find_record(cell, folder.root) is not None for cell in cells)
    assert len({cell.spec.code for cell in cells}) == 2  # one a strategy, the same for its seeds
