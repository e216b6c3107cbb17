"""`fusefront audit` as a user meets it: the table, the JSON, the exit codes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.jobs.pipeline import StudyRequest, begin


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    return write_world("null", folder, train=300, valid=100, test=100, warm=100, cold=30)


def fusefront(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = "from fusefront.harness.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
        check=False,
    )


def test_a_clean_set_passes_in_plain_text(world: Path, tmp_path: Path) -> None:
    process = fusefront("audit", world, "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    assert "label_rate" in process.stdout
    assert "Nothing found by: users, sibling rows" in process.stdout
    assert "\x1b[" not in process.stdout  # no colours away from a terminal
    assert max(map(len, process.stdout.splitlines())) <= 100


def test_json_goes_to_standard_output_alone(world: Path, tmp_path: Path) -> None:
    process = fusefront("audit", world, "--out", tmp_path, "--json")
    report = json.loads(process.stdout)
    assert report["dataset"] == "null_0"
    assert {"name", "severity", "title", "detail", "numbers", "accepted"} <= set(
        report["findings"][0]
    )
    assert process.stderr == ""


def test_a_severe_finding_ends_with_3_until_it_is_accepted(world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "leaky"
    spec = write_world("null", folder, train=300, valid=100, test=100, warm=100, cold=30)
    log = pl.read_parquet(folder / "interactions.parquet")
    label = log["label"].to_numpy()
    log.with_columns(v=pl.Series(label + 1)).write_parquet(folder / "interactions.parquet")
    process = fusefront("audit", spec, "--out", tmp_path / "out")
    assert process.returncode == 3
    assert process.stderr.splitlines()[-1].endswith("accept: [label_from.candidate.v]")
    assert "Traceback" not in process.stderr
    spec.write_text(spec.read_text() + "accept: [label_from.candidate.v]\n")
    again = fusefront("audit", spec, "--out", tmp_path / "out")
    assert again.returncode == 0
    assert "(accepted)" in again.stdout


def test_a_missing_spec_is_one_sentence(tmp_path: Path) -> None:
    process = fusefront("audit", tmp_path / "none.yaml", "--out", tmp_path)
    assert process.returncode == 2
    assert len(process.stderr.strip().splitlines()) == 1


def test_a_severe_finding_stops_a_study_until_it_is_accepted(tmp_path: Path) -> None:
    spec = write_world("null", tmp_path, train=300, valid=100, test=100, warm=100, cold=30)
    log = pl.read_parquet(tmp_path / "interactions.parquet")
    leak = pl.Series(log["label"].to_numpy() + 1)
    log.with_columns(v=leak).write_parquet(tmp_path / "interactions.parquet")
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: leaky\ndataset: {spec.name}\nbaseline: late_fusion\n"
        "strategies: {early_fusion: {}, late_fusion: {}}\n"
    )
    request = StudyRequest(study, tmp_path / "out", wandb=False)
    with pytest.raises(DataContractError, match=r"accept: \[label_from\.candidate\.v\]"):
        begin(request, Console(quiet=True))
    assert not list((tmp_path / "out").glob("runs/*/*/*"))
    findings = json.loads((tmp_path / "out/studies/leaky/audit.json").read_text())["findings"]
    assert [finding["accepted"] for finding in findings if finding["severity"] == "severe"] == [
        False
    ]
    spec.write_text(spec.read_text() + "accept: [label_from.candidate.v]\n")
    _, workspace = begin(request, Console(quiet=True))
    workspace.workers.close()
    findings = json.loads((tmp_path / "out/studies/leaky/audit.json").read_text())["findings"]
    assert [finding["accepted"] for finding in findings if finding["severity"] == "severe"] == [
        True
    ]


def test_a_damaged_store_stops_audit_and_study_with_one_sentence(
    world: Path, tmp_path: Path
) -> None:
    store = prepare(load_spec(world), world.parent, tmp_path)
    study = tmp_path / "study.yaml"
    strategies = "baseline: id_only\nstrategies: {id_only: {}, early_fusion: {}}\n"
    study.write_text(f"name: s\ndataset: {world}\n{strategies}")
    request = StudyRequest(study, tmp_path)
    begin(request, Console(quiet=True))
    for name in ("items/modality_text.npy", "train/row/label.npy", "train/request/row_start.npy"):
        path = store.path / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        for variant in (request, replace(request, verify=True)):
            with pytest.raises(DataContractError, match=f"{name}: changed since it was written"):
                begin(variant, Console(quiet=True))
        process = fusefront("audit", world, "--out", tmp_path)
        assert process.returncode == 3
        assert "Traceback" not in process.stderr
        assert process.stderr.count("\n") == 2  # that it is prepared already, and the sentence
        path.write_bytes(content)
