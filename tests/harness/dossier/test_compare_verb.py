"""`fusefront compare` and `plan` on a study on disk: what a user reads in the end."""

import json

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from fusefront.harness.cli.compare import compare as compare_verb
from fusefront.harness.cli.plan import plan as plan_verb
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.seal import LOG


def printed(verb, study, *arguments):
    """Standard output as one line of words."""
    app = typer.Typer()
    app.command()(verb)
    words = ["demo", "--out", str(study.root), *map(str, arguments)]
    shown = CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    return " ".join(shown.output.split())


def drop(study, seeds):
    for entry in study.completed():
        if entry.seed in seeds:
            (entry.path / "summary.json").unlink()


def test_the_table_has_every_metric_verdict_rank_and_smallest_effect(study):
    text = printed(compare_verb, study)
    for heading in (
        "AUC ↑ [95 %]",
        "group AUC ↑ [95 %]",
        "logloss ↓ [95 %]",
        "NE (1 − RIG) ↓ [95 %]",
        "PR-AUC ↑ [95 %]",
        "ECE ↓ [95 %]",
        "MRR ↑ [95 %]",
        "hit@1 ↑ [95 %]",
        "valid − train loss (no interval)",
        "minus early_fusion [95 %]",
        "MDE p adj rank best? verdict",
        "variance of the difference rows seeds both tuning buy",
        "strategy slice value rows AUC difference [95 %] MDE verdict",
    ):
        assert heading in text
    assert text.count("no interval") >= 5  # differences of ECE, strategy by strategy
    assert "Equivalence margin: ±0.005 (the interval inside it)." in text
    assert "! These data could never show equivalence within ±0.005" in text
    assert "corrected for being picked" in text
    for control in ("popularity", "id_only", "unimodal_text", "shuffled"):
        assert f" {control} 3 0." in text


@pytest.mark.parametrize("columns", [None, "80"])
def test_no_strategys_name_is_cut_in_a_pipe_or_on_a_narrow_terminal(study, monkeypatch, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    app = typer.Typer()
    app.command()(compare_verb)
    shown = CliRunner().invoke(app, ["demo", "--out", str(study.root)], env={"COLUMNS": columns})
    assert shown.exit_code == 0
    assert "…" not in shown.output
    tables = 2 + (4 if columns else 2)  # verdicts, variance; metrics by two or four columns
    assert sum(line.startswith(" unimodal_text ") for line in shown.output.splitlines()) > tables


def test_controls_that_are_not_beaten_are_named_in_words(study):
    """Vectors dealt to other items that do as well as the strategy: their content is not used."""
    runs = {(entry.strategy, entry.seed): entry.path for entry in study.completed()}
    for seed in range(3):
        path = runs["good", seed] / "predictions" / "test.parquet"
        nearly = pl.read_parquet(path).with_columns(pl.col("logit").round(1))
        nearly.write_parquet(runs["shuffled", seed] / "predictions" / "test.parquet")
    text = printed(compare_verb, study)
    assert (
        "! good does not beat shuffled: vectors dealt to other items do as well, so their content "
        "is not used." in text
    )
    assert "good does not beat popularity" not in text


def test_missing_controls_are_told(study):
    matrix = json.loads((study.path / "matrix.json").read_text())
    matrix["cells"] = [cell for cell in matrix["cells"] if cell["strategy"] != "popularity"]
    (study.path / "matrix.json").write_text(json.dumps(matrix))
    text = printed(compare_verb, study, "--split", "valid")
    assert "! Controls missing from this comparison: popularity, counts, boosted." in text


def test_with_one_seed_no_verdict_on_a_strategy_is_given(study):
    drop(study, (1, 2))
    content = json.loads(printed(compare_verb, study, "--json"))
    assert {row["verdict"] for row in content["strategies"]} == {"baseline", "no verdict"}
    assert {row["verdict"] for row in content["slices"]} == {"baseline", "no verdict"}
    assert content["best_set"] == []
    assert content["winner"]["low"] is None
    text = printed(compare_verb, study)
    assert (
        "one seed; the interval is of these trained models only, no verdict on the strategy" in text
    )
    assert "! 12 of 18 runs are not complete and left out" in text


def test_a_second_look_at_other_runs_is_told_and_recorded(study):
    assert "opened before" not in printed(compare_verb, study)
    assert "opened before" not in printed(compare_verb, study, "--baseline", "good")
    drop(study, (2,))
    matrix = json.loads((study.path / "matrix.json").read_text())
    matrix["cells"] = [cell for cell in matrix["cells"] if cell["seed"] < 2]
    (study.path / "matrix.json").write_text(json.dumps(matrix))
    text = printed(compare_verb, study)
    assert "! The test split was opened before for another version of this study (looks: 1," in text
    assert "two seeds; 95 % intervals may cover as little as 88 %" in text
    looks = [json.loads(line) for line in (study.path / LOG).read_text().splitlines()]
    assert [look["purpose"] for look in looks] == ["compare", "compare"]
    assert looks[0]["study"] == looks[1]["study"]
    assert looks[0]["matrix"] != looks[1]["matrix"]
    record = json.loads((study.path / "comparison.json").read_text())  # what the report shows
    assert any("opened before" in line for line in record["warnings"])


def test_json_has_slices_calibration_and_variance_for_the_report(study):
    content = json.loads(printed(compare_verb, study, "--json", "--temperature"))
    names = {row["name"] for row in content["strategies"]}
    for kind in ("ece", "ece_scaled"):
        assert set(content["curves"][kind]) == names
        for point in content["curves"][kind]["good"]:
            assert point["low"] < point["observed"] < point["high"]
    assert {(row["slice"], row["value"]) for row in content["slices"]} == {
        ("cold_item", "warm"),
        ("cold_item", "cold"),
    }
    part = content["slices"][0]
    assert {"auc", "logloss", "ece", "mrr", "pr_auc"} <= set(part["metrics"])
    assert part["metrics"]["logloss"]["low"] < part["metrics"]["logloss"]["value"]
    for share in content["variance"]:
        assert share["rows"] + share["seeds"] + share["both"] == pytest.approx(1)
    assert set(content["temperature"]) == names


def test_plan_says_rows_days_and_seeds_and_what_never_decides(study):
    text = printed(plan_verb, study, "--effect", 0.01, "--rows-per-day", 1000)
    assert "seeds each test rows days of traffic" in text
    assert "seed variance at its upper bound" in text
    assert "With 3 seeds rows alone can never decide 0.01: seeds differ too much." in text
    assert "However many rows, at least" in text
    small = printed(plan_verb, study, "--effect", 0.0001)
    assert "On 4,000 rows seeds alone can never decide 0.0001: rows are too few." in small
    assert "No number of rows decides it with up to 40 seeds" in small
    record = json.loads(printed(plan_verb, study, "--effect", 0.03, "--json"))
    assert record["seeds_alone"] > 3
    drop(study, (1, 2))
    with pytest.raises(UsageError, match="it needs two strategies with at least two seeds each"):
        printed(plan_verb, study, "--effect", 0.01)


def test_a_pilot_whose_baseline_has_a_score_that_is_no_number_is_refused(study):
    run = next(entry.path for entry in study.completed() if entry.strategy == "early_fusion")
    path = run / "predictions" / "test.parquet"
    frame = pl.read_parquet(path)
    frame.with_columns(
        pl.when(pl.col("row_id") == 3).then(None).otherwise(pl.col("logit")).alias("logit")
    ).with_columns(pl.col("logit").fill_null(float("nan"))).write_parquet(path)
    with pytest.raises(UsageError, match="baseline 'early_fusion' is refused: seed 0 has 1 score"):
        printed(plan_verb, study, "--effect", 0.01)
