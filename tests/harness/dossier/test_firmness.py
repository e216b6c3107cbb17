"""What the recipe leaves open: verdicts by another recipe, and strategies that still rise."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from fusefront.harness.decision.policy import Policy
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.dossier.decide import decide_study
from fusefront.harness.dossier.evidence import build_evidence, gather
from fusefront.harness.dossier.facts import training_curves
from fusefront.harness.dossier.firmness import FILE, rising
from fusefront.harness.dossier.judged import Signature
from fusefront.harness.errors import GateError
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.reports.evidence import Evidence, Interval
from fusefront.reports.words.firm import recipe
from fusefront.reports.words.risks import risks

Make = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path, make_study: Make, strategy: type) -> StudyFolder:
    make_study(
        tmp_path,
        {
            "today": strategy(0.8, 2.0, family="late"),
            "good": strategy(0.3, 4.0),
            "popularity": strategy(3.0, 0.1, family="control", role="control"),
        },
        baseline="today",
    )
    return find_study("planted", tmp_path)


def evidence_of(study: StudyFolder) -> Evidence:
    return build_evidence(gather(study), Policy(10.0, 0.005), Signature("", "2026-01-02", ""))


def add_recipe(study: StudyFolder, *, bad: bool) -> None:
    """A second recipe: today's runs as they were, `good` no better than today where `bad`."""
    path = study.path / "matrix.json"
    matrix = json.loads(path.read_text())
    cells = [dict(cell) for cell in matrix["cells"]]
    runs = study.root / "runs" / "shop"
    for cell in cells:
        if cell["strategy"] == "good" and bad:
            source = next(
                c for c in matrix["cells"] if c["strategy"] == "today" and c["seed"] == cell["seed"]
            )
            own = runs / "good" / cell["run_id"]
            cell["run_id"] = f"b{cell['seed']:011d}"
            (runs / "good" / cell["run_id"] / "predictions").mkdir(parents=True)
            for split in ("valid", "test"):
                name = f"predictions/{split}.parquet"
                if (runs / "today" / source["run_id"] / name).exists():
                    frame = pl.read_parquet(runs / "today" / source["run_id"] / name)
                    frame.write_parquet(runs / "good" / cell["run_id"] / name)
            summary = json.loads((own / "summary.json").read_text())
            summary |= {"run_id": cell["run_id"]}
            summary.pop("sha256", None)
            (runs / "good" / cell["run_id"] / "summary.json").write_text(json.dumps(summary))
    matrix["sensitivity"] = [{"recipe": "learning_rate 0.003", "cells": cells}]
    path.write_text(json.dumps(matrix))


def test_a_verdict_that_another_recipe_changes_is_not_firm(study: StudyFolder) -> None:
    add_recipe(study, bad=True)
    warnings = compare_study(study).warnings
    rows = {row["strategy"]: row for row in json.loads((study.path / FILE).read_text())["rows"]}
    assert rows["good"]["verdict"] == "better"
    assert rows["good"]["other"] != "better"
    assert rows["good"]["difference"] == pytest.approx(0.0, abs=1e-9)
    assert rows["popularity"]["verdict"] == rows["popularity"]["other"] == "worse"
    sentence = (
        "Not firm: good is 'better', and by the recipe learning_rate 0.003 "
        f"'{rows['good']['other']}'."
    )
    assert sentence in warnings
    evidence = evidence_of(study)
    assert evidence.decision.not_firm == ("good",)
    text = recipe(evidence, "en")[0].text
    assert text.startswith("The verdict on good is not firm: better, but ")
    assert text.endswith("by the recipe learning_rate 0.003.")
    assert "Recipe" in [entry.head for entry in risks(evidence, "en")]
    assert recipe(evidence, "ja")[0].text.startswith("goodの判定は確かでない")
    decide_study(study)
    record = json.loads((study.path / "decision.json").read_text())
    assert record["decision"]["not_firm"] == ["good"]
    assert FILE in record["evidence"]


def test_verdicts_that_stand_are_said_to(study: StudyFolder) -> None:
    add_recipe(study, bad=False)
    assert not [line for line in compare_study(study).warnings if line.startswith("Not firm")]
    evidence = evidence_of(study)
    assert evidence.decision.not_firm == ()
    sentences = [sentence.text for sentence in recipe(evidence, "en")]
    assert sentences == ["No verdict changes by the recipe learning_rate 0.003."]


def test_without_another_recipe_nothing_is_said(study: StudyFolder) -> None:
    compare_study(study)
    assert not (study.path / FILE).exists()
    assert recipe(evidence_of(study), "en") == []


def write_curves(study: StudyFolder, curves: dict[str, list[list[float]]]) -> None:
    for entry in study.completed():
        if entry.strategy in curves:
            values = curves[entry.strategy][entry.seed]
            lines = [json.dumps({"epoch": i, "valid_auc": v}) for i, v in enumerate(values)]
            (entry.path / "metrics.jsonl").write_text("\n".join(lines))


def test_who_still_rises_by_more_than_the_lead_is_unsure_is_a_risk(study: StudyFolder) -> None:
    curves = {
        "good": [[0.5, 0.6, 0.63], [0.5, 0.61, 0.62], [0.5, 0.60, 0.62]],  # mean rise .02
        "today": [[0.6, 0.7, 0.704], [0.6, 0.7, 0.7], [0.6, 0.7, 0.702]],  # .002
        "popularity": [[0.5]] * 3,  # one epoch: nothing can rise
    }
    write_curves(study, curves)
    curves_of = training_curves(study.completed())
    lead = Interval(0.01, 0.001, 0.019)  # unsure by .009
    (first,) = rising(curves_of, lead, 0.001)
    assert (first.strategy, first.by, first.unsure) == (
        "good",
        pytest.approx(0.02),
        pytest.approx(0.009),
    )
    assert [r.strategy for r in rising(curves_of, None, 0.001)] == ["good", "today"]
    assert rising(curves_of, Interval(0.0, -0.1, 0.1), 0.001) == ()
    compare_study(study)
    evidence = evidence_of(study)
    margins = evidence.decision.margins.over_today
    assert margins is not None
    names = [r.strategy for r in evidence.rising]
    half = (margins.high - margins.low) / 2
    assert names == [name for name, rise in (("good", 0.02), ("today", 0.002)) if rise > half]
    (sentence,) = recipe(evidence, "en")
    assert "still rose" in sentence.text
    assert "longer training may change the order." in sentence.text


def test_a_study_without_controls_is_not_decided(study: StudyFolder) -> None:
    path = study.path / "study.yaml"
    path.write_text(path.read_text() + "\ncontrols: false\n")
    bare = find_study("planted", study.root)
    comparison = compare_study(bare)
    assert comparison.best_set == ()
    assert comparison.winner is None
    assert any("runs without controls" in line for line in comparison.warnings)
    with pytest.raises(GateError, match="runs without controls, so that nothing is ranked"):
        decide_study(bare)
    record = json.loads((bare.path / "decision.json").read_text())
    assert record["decision"]["choice"] is None
    assert "no control was run, so nothing is ranked" in record["sentence"]
