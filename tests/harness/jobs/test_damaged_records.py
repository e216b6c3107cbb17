"""A damaged record of a search, a run or a matrix stops what stands on it, and nothing else."""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fusefront.datasets.errors import DataContractError
from fusefront.harness.cli.app import register
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.jobs.pipeline import begin, train, tune_study
from fusefront.harness.jobs.repair import repair
from fusefront.harness.jobs.train import fill, tune
from fusefront.harness.jobs.verify import verify
from fusefront.harness.runs.seal import openings
from fusefront.harness.runs.store import StudyFolder

SPACE = {"training.learning_rate": [0.001, 0.002, 0.003]}
SEARCHED = {
    "strategies": {
        "early_fusion": {},
        "other": {"baseline": "early_fusion", "token_width": 8},
        "late_fusion": {"tune": False},
    },
    "tuning": {"trials": 2, "space": SPACE},
    "seeds": [4],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first who wants finished searches leaves a copy of them."""
    return tmp_path_factory.mktemp("finished") / "out"


@pytest.fixture
def searched(jobs: Any, console: Console, finished: Path) -> tuple[Any, Path]:
    """A request whose searches are at their end, and the folder of one of them."""
    folder = f"searched-{uuid.uuid4().hex[:8]}"  # of its own: pytest may give tmp_path out again
    request = jobs.request(folder, **SEARCHED)
    if finished.exists():
        shutil.copytree(finished, request.out)
    else:
        tune_study(request, console)
        shutil.copytree(request.out, finished)
    tuning = request.out / "studies" / "small" / "tuning" / "early_fusion"
    assert {path.name for path in tuning.iterdir()} == {
        *("search.json", "claim-0000.json", "claim-0001.json"),
        *("trial-0000.json", "trial-0001.json", "winner-2.json"),
    }
    return request, tuning


def printed(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


RECORDS = ("search.json", "claim-0001.json", "trial-0000.json", "trial-0001.json", "winner-2.json")


@pytest.mark.parametrize("name", RECORDS)
def test_the_winner_that_was_frozen_outlives_a_damaged_record(
    searched: tuple[Any, Path], console: Console, name: str
) -> None:
    request, tuning = searched
    whole, raw = tune(*begin(request, console)), (tuning / name).read_bytes()
    runs = recorded_runs(request)
    for content in (b"", b"{", b"null", b'{"format": 1}', b"\xe9", raw[: len(raw) // 2]):
        (tuning / name).write_bytes(content)
        at = len(printed(console))
        again = tune(*begin(request, console))
        assert again.params == whole.params
        assert again.left_out == {}
        lines = printed(console)[at:]
        assert f"damaged: {tuning / name}: " in lines
        assert f"`fusefront verify small --repair --out {request.out}`" in lines
        assert recorded_runs(request) == runs  # nothing is trained for it


def recorded_runs(request: Any) -> list[Path]:
    """The runs on record."""
    return sorted(request.out.glob("runs/*/*/*/summary.json"))


def test_a_winner_of_a_newer_version_is_not_written_over(
    searched: tuple[Any, Path], console: Console
) -> None:
    request, tuning = searched
    (tuning / "winner-2.json").write_text('{"format": 7}')
    with pytest.raises(DataContractError, match="got format 7"):
        tune(*begin(request, console))
    assert (tuning / "winner-2.json").read_text() == '{"format": 7}'


@pytest.mark.parametrize("name", RECORDS[:-1])
def test_without_a_winner_the_strategy_is_left_out_and_the_others_are_trained(
    searched: tuple[Any, Path], console: Console, name: str
) -> None:
    request, tuning = searched
    (tuning / name).write_text("{")
    (tuning / "winner-2.json").unlink()
    plan, workspace = begin(request, console)
    trained = train(plan, workspace)
    assert [cell.strategy for cell in trained.cells] == ["other", "late_fusion"]
    assert trained.failed == []
    assert list(trained.left_out) == ["early_fusion"]
    assert str(tuning / name) in trained.left_out["early_fusion"]
    folder = StudyFolder(request.out, workspace.folder, plan.study)
    what, first = trained.lacks(folder) or ("", "")
    assert what == "left out for a damaged search: early_fusion"
    assert str(tuning / name) in first
    assert folder.matrix()["without"]["early_fusion"].startswith("early_fusion was left out: ")
    compared = compare_study(folder)
    assert any(
        text.startswith("early_fusion was left out: ") and str(tuning / name) in text
        for text in compared.warnings
    )
    assert [row.name for row in compared.strategies] == ["other", "late_fusion"]
    repair(verify("small", request.out), request.out)
    mended = train(*begin(request, console))
    assert {cell.strategy for cell in mended.cells} == {"early_fusion", "other", "late_fusion"}
    assert mended.lacks(folder) is None


def test_a_damaged_run_of_a_trial_halts_its_search_alone(
    searched: tuple[Any, Path], console: Console
) -> None:
    request, tuning = searched
    trial = json.loads((tuning / "trial-0001.json").read_text())
    run = next(request.out.glob(f"runs/*/*/{trial['run_id']}"))
    for name in ("trial-0001.json", "winner-2.json"):
        (tuning / name).unlink()
    (run / "summary.json").write_text("[]")
    tuned = tune(*begin(request, console))
    assert list(tuned.winners) == ["other"]
    assert str(run / "summary.json") in tuned.left_out["early_fusion"]
    assert not (tuning / "trial-0001.json").exists()  # it never failed


def test_a_damaged_run_is_named_and_the_others_are_trained(jobs: Any, console: Console) -> None:
    request = jobs.request("filled")
    plan, workspace = begin(request, console)
    cells = plan.final({})
    assert fill(plan, workspace, cells[:2], "run") == []
    summary = next(request.out.glob(f"runs/*/*/{cells[0].spec.run_id}")) / "summary.json"
    summary.write_text("{")
    plan, workspace = begin(request, console)
    failed = fill(plan, workspace, cells, "run")
    assert [cell for cell, _ in failed] == [cells[0]]
    assert f"verify {cells[0].spec.run_id} --repair" in failed[0][1]
    assert [cell.spec.run_id for cell in jobs.workers[-1].trained] == [
        cell.spec.run_id for cell in cells[2:]
    ]


def test_a_matrix_that_cannot_be_read_is_written_anew(jobs: Any, console: Console) -> None:
    request = jobs.request("rewritten")
    train(*begin(request, console))
    matrix = request.out / "studies" / "small" / "matrix.json"
    whole = matrix.read_bytes()
    for content in ("", "[]", '{"format": 1, "cells": 3}'):
        matrix.write_text(content)
        trained = train(*begin(request, console))
        assert jobs.workers[-1].trained == []
        assert trained.failed == []
        assert matrix.read_bytes() == whole
    matrix.write_text('{"format": 9}')
    with pytest.raises(DataContractError, match="got format 9"):
        begin(request, console)


def test_a_cell_that_cannot_be_read_is_named_and_the_rest_compared(
    trained_study: StudyFolder,
) -> None:
    path = trained_study.path / "matrix.json"
    matrix = json.loads(path.read_text())
    place = next(n for n, cell in enumerate(matrix["cells"]) if cell["strategy"] == "late_fusion")
    matrix["cells"][place]["seed"] = "zero"
    path.write_text(json.dumps(matrix))
    compared = compare_study(trained_study)
    seeds = {row.name: row.seeds for row in compared.strategies}
    assert seeds == {"popularity": 2, "late_fusion": 1}
    (sentence,) = (text for text in compared.warnings if text.startswith("Damaged: "))
    assert f"{path}: cells.{place}.seed: " in sentence
    assert f"`fusefront verify shop --repair --out {trained_study.root}`" in sentence
    (damaged,) = verify("shop", trained_study.root)[0].damages
    assert damaged.remake == path


def call(*words: str) -> int:
    return register()(list(words), standalone_mode=False) or 0


@pytest.mark.parametrize(
    "name", ["bench/bench.json", "comparison.json", "replay.json", "audit.json", "robustness.json"]
)
@pytest.mark.parametrize("content", ["", "[1]", '{"format": 1, "rows": 7}'])
def test_decide_goes_on_without_a_record_and_names_it(
    trained_study: StudyFolder, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    path = trained_study.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(Exception, match="runs without controls"):  # this study decides nothing
        call("decide", "shop", "--out", str(trained_study.root))
    errors = capsys.readouterr().err
    record = json.loads((trained_study.path / "decision.json").read_text())
    if name == "audit.json" and "rows" in content:
        assert record["left_out"] == []  # an audit without findings is one
        return
    (sentence,) = record["left_out"]
    assert str(path) in sentence
    assert f"`fusefront verify shop --repair --out {trained_study.root}`" in sentence
    assert sentence in errors


@pytest.mark.parametrize("kind", ["trial", "claim"])
def test_a_damaged_trial_is_counted_and_not_passed_over(
    trained_study: StudyFolder, kind: str
) -> None:
    tuning = trained_study.path / "tuning" / "late_fusion"
    tuning.mkdir(parents=True)
    trial = {"format": 1, "number": 0, "state": "ok", "value": 0.5, "run_id": "x"}
    (tuning / "trial-0000.json").write_text(json.dumps(trial))
    (tuning / f"{kind}-0001.json").write_text("{")
    assert call("report", "shop", "--store", str(trained_study.root)) == 0
    page = (trained_study.root / "reports" / "shop" / "index.html").read_text()
    assert "late_fusion 1, 1 records unreadable" in page
    assert "Every strategy that was searched" not in page
    assert f"Left out: {tuning / f'{kind}-0001.json'}" in page


def test_a_damaged_decision_is_made_again(trained_study: StudyFolder) -> None:
    words = ("report", "shop", "--store", str(trained_study.root))
    assert call(*words) == 0
    whole = json.loads((trained_study.path / "decision.json").read_text())
    for content in ("", "{", '{"decision": 3}'):
        (trained_study.path / "decision.json").write_text(content)
        assert call(*words) == 0
        again = json.loads((trained_study.path / "decision.json").read_text())
        assert again["decision"] == whole["decision"]


def test_another_studys_damaged_matrix_stops_no_model_card(trained_study: StudyFolder) -> None:
    """The run may be part of it, so a look of unknown content is on its record."""
    other = trained_study.path.with_name("other")
    other.mkdir()
    (other / "study.yaml").write_text("x")
    (other / "matrix.json").write_text("{")
    late = next(e for e in trained_study.completed() if e.strategy == "late_fusion")
    target = trained_study.root / "bundle"
    assert call("export", late.run_id, "--to", str(target), "--out", str(trained_study.root)) == 0
    (look,) = openings(other)
    assert look.purpose == f"model card of {late.run_id}"
    assert look.content == ("unreadable", "unreadable")
