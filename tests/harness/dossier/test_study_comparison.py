"""Comparison of a study on disk: files, the seal of the test split, the command line."""

import json
import subprocess
import sys

import polars as pl
import pytest
import typer
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from fusefront.harness.cli.compare import compare as compare_verb
from fusefront.harness.cli.plan import plan as plan_verb
from fusefront.harness.dossier.comparison import (
    compare_study,
    plan_from_study,
    study_options,
    tuned_values,
)
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.runs.seal import LOG, open_test, open_test_of_run, openings
from fusefront.harness.statistics.comparison import Comparison


def runner(verb, *arguments):
    app = typer.Typer()
    app.command()(verb)
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_a_study_is_compared_and_written_down(study):
    comparison = compare_study(study)
    assert comparison.row("good").verdict == "better"
    assert comparison.margin == 0.005
    assert comparison.cluster == "request"
    written = json.loads((study.path / "comparison.json").read_text())
    assert Comparison.from_dict(written).row("good").reason == comparison.row("good").reason
    label = study.predictions(study.completed()[0], "test")["label"]
    aucs = [
        roc_auc_score(label, study.predictions(entry, "test")["logit"])
        for entry in study.completed()
        if entry.strategy == "good"
    ]
    assert comparison.row("good").metrics["auc"].value == pytest.approx(sum(aucs) / 3, abs=1e-12)
    assert comparison.row("good").metrics["gap"].value == pytest.approx(0.03)


def test_slices_come_from_the_store(study):
    values = {(row.slice, row.value) for row in compare_study(study).slices}
    assert values == {("cold_item", "warm"), ("cold_item", "cold")}


def test_opening_test_is_recorded_once_for_the_same_content(study):
    compare_study(study)
    compare_study(study)
    looks = openings(study.path)
    assert len(looks) == 1
    assert looks[0].purpose == "compare"
    assert looks[0].time.endswith("+00:00")
    assert not any("opened before" in line for line in compare_study(study).warnings)


def test_a_second_look_at_other_runs_is_told(study):
    compare_study(study)
    matrix = json.loads((study.path / "matrix.json").read_text())
    matrix["cells"] = [cell for cell in matrix["cells"] if cell["strategy"] != "shuffled"]
    (study.path / "matrix.json").write_text(json.dumps(matrix))
    warnings = compare_study(study).warnings
    assert any("The test split was opened before for another version" in line for line in warnings)


def test_validation_alone_does_not_open_test(study):
    from dataclasses import replace

    comparison = compare_study(study, replace(study_options(study), split="valid"))
    assert comparison.split == "valid"
    assert comparison.row("good").verdict == "better"
    assert not (study.path / LOG).exists()
    assert not (study.path / "comparison.json").exists()


def test_a_look_at_one_runs_test_rows_is_recorded_in_its_study(study):
    entry = study.completed()[4]
    open_test_of_run(study.root, entry.run_id, f"model card of {entry.run_id}")
    open_test_of_run(study.root, "ffffffffffff", "model card of another")
    looks = openings(study.path)
    assert [look.purpose for look in looks] == [f"model card of {entry.run_id}"]
    assert not any("opened before" in line for line in compare_study(study).warnings)


def test_a_line_cut_short_is_a_look_of_unknown_content(study):
    (study.path / LOG).write_text('{"format": 1, "time": "2026')
    looks = open_test(study.path, "compare")
    assert looks.second
    assert "at an unknown time" in looks.sentence
    assert len(openings(study.path)) == 2


def test_unfinished_runs_are_named(study):
    entry = study.completed()[0]
    (entry.path / "summary.json").unlink()
    warnings = compare_study(study).warnings
    assert "1 of 18 runs are not complete and left out: early_fusion seed 0 (missing)." in warnings


def test_a_study_without_runs_is_nothing_to_do(study):
    for entry in study.completed():
        (entry.path / "summary.json").unlink()
    with pytest.raises(NothingToDoError, match="no completed runs"):
        compare_study(study)


def test_predictions_of_other_rows_are_refused(study):
    path = study.completed()[5].path / "predictions" / "test.parquet"
    pl.read_parquet(path).with_columns(pl.col("row_id") + 1).write_parquet(path)
    with pytest.raises(UsageError, match="got other rows than the first run of the study"):
        compare_study(study)


def test_lost_predictions_are_named(study):
    (study.completed()[5].path / "predictions" / "test.parquet").unlink()
    with pytest.raises(UsageError, match="got no predictions, expected them there"):
        compare_study(study)


def test_tuned_again_collects_a_value_for_each_study(study):
    values = tuned_values([study, study])
    assert len(values["good"]) == 2


def test_the_table_prints_verdicts_intervals_and_warnings(study):
    shown = runner(compare_verb, "demo", "--out", study.root)
    assert shown.exit_code == 0
    assert "better" in shown.output
    assert "valid − train loss" in shown.output
    assert "Smallest difference seen with 80 % power" in " ".join(shown.output.split())
    assert "\x1b" not in shown.output


def test_json_output_is_the_comparison(study):
    shown = runner(
        compare_verb, "demo", "--out", study.root, "--json", "--temperature", "--two-way"
    )
    content = json.loads(shown.output)
    assert content["cluster"] == "user and item"
    assert content["strategies"][0]["metrics"]["ece_scaled"]["value"] > 0


def test_wrong_options_are_refused_in_a_sentence(study):
    with pytest.raises(UsageError, match="got strategy 'nobody'"):
        runner(compare_verb, "demo", "--out", study.root, "--baseline", "nobody")
    with pytest.raises(UsageError, match="got split 'train', expected test or valid"):
        runner(compare_verb, "demo", "--out", study.root, "--split", "train")
    assert not (study.path / LOG).exists()


def test_a_plan_from_a_pilot_records_that_test_was_read(study):
    result = plan_from_study(study, 0.01, None, 1000)
    assert result.rows == 4000
    assert "upper bound" in result.basis
    assert openings(study.path)[0].purpose == "plan"


def test_plan_prints_rows_days_and_seeds(study):
    shown = runner(plan_verb, "demo", "--effect", 0.01, "--rows-per-day", 1000, "--out", study.root)
    assert "days of traffic" in shown.output
    bare = runner(plan_verb, "--effect", 0.002)
    assert "assumed: no pilot was given" in " ".join(bare.output.split())
    assert json.loads(runner(plan_verb, "--effect", 0.002, "--json").output)["effect"] == 0.002
    with pytest.raises(UsageError, match="got a pilot study and assumed noise"):
        runner(plan_verb, "demo", "--effect", 0.01, "--rows", 500, "--out", study.root)


def test_help_and_statistics_do_not_import_torch():
    code = (
        "import sys, fusefront.harness.cli.compare, fusefront.harness.cli.plan\n"
        "heavy = {'torch', 'polars', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import fusefront.harness.dossier.comparison\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
