"""A damaged run is left out and named; the others are judged as if it had never run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from fusefront.datasets.errors import DataContractError
from fusefront.harness.cli.app import register
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.dossier.decide import report_study
from fusefront.harness.results import Results
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.runs.table import summaries


def late(study: StudyFolder) -> list[RunEntry]:
    return [entry for entry in study.completed() if entry.strategy == "late_fusion"]


def emptied(run: Path) -> str:
    (run / "summary.json").write_bytes(b"")
    return "summary.json"


def of_another_run(run: Path) -> str:
    other = next(path for path in run.parent.iterdir() if path != run)
    shutil.copy(other / "summary.json", run / "summary.json")
    return "summary.json"


def of_another_config(run: Path) -> str:
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "seed": 99}))
    return "config.yaml"


def negated(run: Path) -> str:
    path = run / "predictions" / "test.parquet"
    pl.read_parquet(path).with_columns(-pl.col("logit")).write_parquet(path)
    return "test.parquet"


def a_folder(run: Path) -> str:
    path = run / "predictions" / "valid.parquet"
    path.unlink()
    path.mkdir()
    return "valid.parquet"


DAMAGES = (emptied, of_another_run, of_another_config, negated, a_folder)


@pytest.mark.parametrize("damage", DAMAGES)
def test_compare_goes_on_without_a_damaged_run(
    trained_study: StudyFolder, damage: Callable[[Path], str], tmp_path: Path
) -> None:
    (tmp_path / "aside").mkdir()
    run = late(trained_study)[0].path
    shutil.move(run, tmp_path / "aside")
    never_run = compare_study(trained_study)
    shutil.move(tmp_path / "aside" / run.name, run)
    name = damage(run)
    comparison = compare_study(trained_study)
    first, other = comparison.to_dict(), never_run.to_dict()
    assert {**first, "warnings": []} == {**other, "warnings": []}
    sentence = next(text for text in comparison.warnings if text.startswith("Damaged: "))
    assert str(run) in sentence
    assert name in sentence
    assert "late_fusion seed 0 (damaged)" in comparison.warnings[0]
    states = Results(trained_study.path).runs.filter(pl.col("run_id") == run.name)["state"]
    whole_summary = damage in (negated, a_folder)
    assert states.to_list() == ["completed" if whole_summary else "damaged"]


def test_the_page_is_made_without_a_damaged_run_and_says_so(trained_study: StudyFolder) -> None:
    run = late(trained_study)[0].path
    negated(run)
    page = report_study(trained_study, trained_study.root / "page").read_text()
    assert f"{run}/predictions/test.parquet: changed since the run was recorded" in page
    record = json.loads((trained_study.path / "decision.json").read_text())
    assert run.name not in record["runs"]
    assert len(record["runs"]) == 3


def test_records_beside_the_decision_are_left_out_of_the_page_and_named(
    trained_study: StudyFolder,
) -> None:
    report_study(trained_study, trained_study.root / "page")
    before = json.loads((trained_study.path / "decision.json").read_text())["decision"]
    run = late(trained_study)[0].path
    damaged = [trained_study.path / name for name in ("audit.json", "ablation-x.json")]
    damaged += [trained_study.path / "robustness.json", run / "metrics.jsonl"]
    for path in damaged:
        path.write_text("{")
    page = report_study(trained_study, trained_study.root / "page").read_text()
    for path in damaged:
        assert f"Left out: {path}: " in page
    after = json.loads((trained_study.path / "decision.json").read_text())["decision"]
    assert (after["choice"], after["case"]) == (before["choice"], before["case"])


def test_without_any_whole_run_of_the_baseline_the_damage_is_the_sentence(
    trained_study: StudyFolder,
) -> None:
    runs = [entry.path for entry in trained_study.completed() if entry.strategy == "popularity"]
    for run in runs:
        emptied(run)
    with pytest.raises(DataContractError, match=r"summary\.json: got no readable JSON"):
        compare_study(trained_study)


def test_runs_lists_the_others(
    trained_study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    first, two = (entry.path for entry in late(trained_study))
    emptied(first)
    of_another_run(two)
    listed = summaries(trained_study.root, {})
    assert {row["strategy"] for row in listed.rows} == {"popularity"}
    assert len(listed.damaged) == 2
    app, words = register(), ["runs", "--json", "--out", str(trained_study.root)]
    assert not app(words, standalone_mode=False)
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == 2
    lines = printed.err.splitlines()
    assert [line.startswith("left out: ") for line in lines] == [True, True]
    assert {path.name for path in (first, two) if any(str(path) in line for line in lines)} == {
        first.name,
        two.name,
    }


def test_nothing_but_damaged_runs_is_no_empty_list(trained_study: StudyFolder) -> None:
    for entry in trained_study.completed():
        emptied(entry.path)
    with pytest.raises(DataContractError, match="that can be read"):
        register()(["runs", "--out", str(trained_study.root)], standalone_mode=False)
