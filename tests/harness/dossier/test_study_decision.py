import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from fusefront.harness.decision.policy import Policy
from fusefront.harness.dossier.decide import DecisionOptions, decide_study, record_decision
from fusefront.harness.dossier.evidence import build_evidence, gather
from fusefront.harness.dossier.judged import Signature
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.runs.seal import open_test
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.reports.evidence import Evidence, Interval
from fusefront.reports.words.risks import risks

Make = Callable[..., Path]
POLICY = Policy(10.0, 0.005)


@pytest.fixture
def study(tmp_path: Path, make_study: Make, strategy: type) -> StudyFolder:
    """pca64 clearly gains, pca128 is its slower twin, qin is better and over the limit."""
    make_study(
        tmp_path,
        {
            "today": strategy(0.8, 2.0, family="late"),
            "pca64": strategy(0.3, 4.0),
            "pca128": strategy(0.3, 5.0),
            "<script>alert(1)": strategy(1.0, 1.0, family="early"),
            "qin": strategy(0.0, 9.0, family="published"),
            "popularity": strategy(3.0, 0.1, family="control", role="control"),
            "shuffled": strategy(0.0, 0.5, family="control", role="control"),
            "gone": strategy(0.3, 2.0, failed_seeds=(0, 1, 2)),
            "half 🙂": strategy(0.9, 2.0, failed_seeds=(1,)),
        },
        baseline="today",
        requests=2500,
        seed_noise=0.005,
    )
    return find_study("planted", tmp_path)


def evidence_of(study: StudyFolder, policy: Policy = POLICY) -> Evidence:
    return build_evidence(gather(study), policy, Signature("Ana", "2026-01-02", "in May"))


def test_a_planted_study_ships_the_planted_winner(study: StudyFolder) -> None:
    sentence = decide_study(study)
    assert sentence.startswith("Ship pca64: +0.0")
    record = json.loads((study.path / "decision.json").read_text())
    assert record["sentence"] == sentence
    assert record["decision"]["choice"] == "pca64"
    assert record["decision"]["runner_up"] in ("pca128", "half 🙂")
    assert record["decision"]["date"] == date.today().isoformat()
    assert record["decision"]["recheck"] > date.today().isoformat()
    names = [row["strategy"] for row in record["strategies"]]
    assert "gone" not in names


def test_the_record_says_by_how_much_and_what_would_change_it(study: StudyFolder) -> None:
    decide_study(study, DecisionOptions(max_cost=1e-2))
    record = json.loads((study.path / "decision.json").read_text())
    decision, points = record["decision"], {p["strategy"]: p for p in record["strategies"]}
    choice, second = points[decision["choice"]], points[decision["runner_up"]]
    assert decision["margins"]["over_today"] == choice["gain"]
    lead = choice["auc"]["value"] - second["auc"]["value"]
    assert decision["margins"]["over_runner_up"]["value"] == pytest.approx(lead)
    assert decision["margins"]["p99_room_ms"] == pytest.approx(10.0 - choice["p99"]["high"])
    assert decision["margins"]["cost_room"] == pytest.approx(1e-2 - choice["cost_per_million"])
    at = {(c["knob"], c["value"]): c for c in decision["changes"] if c["side"] == "at"}
    assert {("slo", 8.0), ("slo", 12.0), ("margin", 0.0025), ("margin", 0.01)} <= at.keys()
    assert {("price", 0.5), ("price", 2.0), ("traffic", 50.0), ("traffic", 200.0)} <= at.keys()
    half, double = (at["traffic", rate]["yearly_gain"]["value"] for rate in (50.0, 200.0))
    assert double == pytest.approx(4 * half)
    whole = record["what_if"]
    centre = whole["rows"][whole["centre"]]
    assert centre["requests_per_second"] == 100.0
    clicks = {c["strategy"]: c for c in whole["clicks"]}[decision["choice"]]
    assert clicks["rate"] == record["replay"]["choice"]
    assert clicks["difference"] == record["replay"]["difference"]


def test_the_record_groups_what_cannot_be_told_apart(study: StudyFolder) -> None:
    decide_study(study)
    record = json.loads((study.path / "decision.json").read_text())
    evidence = evidence_of(study)
    assert [list(group) for group in evidence.tied] == record["tied"]
    assert any({"pca64", "pca128"} <= set(group) for group in record["tied"])
    assert not any({"pca64", "popularity"} <= set(group) for group in record["tied"])
    model = gather(study).comparison.model
    for group in evidence.tied:
        where = [model.index(name) for name in group]
        gap = np.abs(model.diff[np.ix_(where, where)])
        assert (gap <= model.c_all * model.se[np.ix_(where, where)] + 1e-12).all()


def test_the_record_names_the_hashes_of_its_evidence(study: StudyFolder) -> None:
    decide_study(study, DecisionOptions(owner="Ana"))
    record = json.loads((study.path / "decision.json").read_text())
    for name, digest in record["evidence"].items():
        assert hashlib.sha256((study.path / name).read_bytes()).hexdigest() == digest
    assert {"comparison.json", "bench/bench.json"} <= record["evidence"].keys()
    completed = study.completed()
    assert record["runs"] == {
        e.run_id: hashlib.sha256((e.path / "summary.json").read_bytes()).hexdigest()
        for e in completed
    }
    assert record["decision"]["owner"] == "Ana"


def test_every_point_carries_its_numbers_and_runs(study: StudyFolder) -> None:
    evidence = evidence_of(study)
    point = evidence.point("pca64")
    assert point is not None
    frame = study.predictions(study.completed()[3], "test")
    assert point.run_ids == tuple(e.run_id for e in study.completed() if e.strategy == "pca64")
    assert point.auc.value == pytest.approx(_slow_auc(study, "pca64"))
    assert point.gain is not None
    assert point.gain.value == pytest.approx(_slow_auc(study, "pca64") - _slow_auc(study, "today"))
    assert point.p99 is not None
    assert point.p99.value == pytest.approx(5.6)
    assert point.parameters["dense"] == 1000
    assert point.bytes_per_item == 128
    assert point.equivalent_to_choice
    assert point.verdict == "better"
    assert evidence.study.rows_test == len(frame)
    half = evidence.point("half 🙂")
    assert half is not None
    assert (half.seeds, half.failed_seeds) == (2, 1)
    assert {p.strategy: p.role for p in evidence.points}["shuffled"] == "device"
    assert evidence.point("gone") is None
    assert evidence.study.failed_runs == 4
    assert {o.state for o in evidence.origins if o.strategy == "gone"} == {"failed"}


def _slow_auc(study: StudyFolder, name: str) -> float:
    from sklearn.metrics import roc_auc_score

    frames = [study.predictions(e, "test") for e in study.completed() if e.strategy == name]
    return float(np.mean([roc_auc_score(f["label"], f["logit"]) for f in frames]))


def test_the_replayed_clicks_are_those_of_a_slow_loop(study: StudyFolder) -> None:
    evidence = evidence_of(study)
    replay = evidence.replay
    assert replay is not None
    assert replay.k == 3
    rates = []
    for entry in study.completed():
        if entry.strategy == "pca64":
            frame = study.predictions(entry, "test")
            top = frame.sort("logit", descending=True).group_by("request").head(3)
            rates.append(1000 * float(top["label"].sum()) / len(top))
    assert replay.choice.value == pytest.approx(np.mean(rates))
    assert replay.difference is not None
    assert replay.difference.low is not None
    assert 0 < replay.difference.low < replay.difference.value
    assert evidence.what_if is not None
    assert len(evidence.what_if.rows) == 81
    centre = [
        r for r in evidence.what_if.rows if (r.slo_ms, r.requests_per_second) == (10.0, 100.0)
    ]
    assert {r.winner for r in centre if r.value_per_click == 0.01} <= {"pca64", "pca128"}


def test_evidence_survives_its_round_trip(study: StudyFolder, tmp_path: Path) -> None:
    evidence = evidence_of(study)
    evidence.save(tmp_path / "evidence.json")
    assert Evidence.load(tmp_path / "evidence.json") == evidence


def test_the_second_time_nothing_is_measured_again(study: StudyFolder) -> None:
    first = evidence_of(study)
    before = {p: p.stat().st_mtime_ns for p in study.path.glob("*.json")}
    second = evidence_of(study)
    assert first == second
    assert {p: p.stat().st_mtime_ns for p in study.path.glob("*.json")} == before


def test_nothing_under_the_limit_is_refused_after_it_was_recorded(study: StudyFolder) -> None:
    with pytest.raises(GateError, match=r"is shown to keep a p99 of at most 0\.05 ms") as refusal:
        decide_study(study, DecisionOptions(slo_ms=0.05))
    assert refusal.value.exit_code == 4
    record = json.loads((study.path / "decision.json").read_text())
    assert record["decision"]["case"] == "infeasible"
    assert record["decision"]["choice"] is None


def test_a_tie_keeps_todays(tmp_path: Path, make_study: Make, strategy: type) -> None:
    twins = {"today": strategy(0.3, 2.0), "rival": strategy(0.3, 3.0)}
    make_study(tmp_path, twins, baseline="today", requests=3000, margin=0.02, seed_noise=0.005)
    sentence = decide_study(find_study("planted", tmp_path))
    assert sentence.startswith("Keep what runs today: rival is equivalent")


def test_a_gain_that_may_be_a_loss_is_refused(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    twins = {"today": strategy(0.5, 2.0), "rival": strategy(0.3, 3.0)}
    make_study(tmp_path, twins, baseline="today", requests=150, margin=0.001)
    with pytest.raises(GateError, match="which could be a loss"):
        decide_study(find_study("planted", tmp_path))


def test_one_seed_is_refused(tmp_path: Path, make_study: Make, strategy: type) -> None:
    two = {"today": strategy(0.8, 2.0), "rival": strategy(0.1, 3.0)}
    make_study(tmp_path, two, baseline="today", seeds=(0,))
    study = find_study("planted", tmp_path)
    with pytest.raises(GateError, match="one seed, which says nothing about the next training"):
        decide_study(study)
    evidence = evidence_of(study)
    assert evidence.decision.case == "thin"
    assert all(p.gain is None or p.gain.low in (None, 0.0) for p in evidence.points)


def test_without_a_bench_the_decision_asks_for_one(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    two = {"today": strategy(0.8, 2.0), "rival": strategy(0.1, 3.0)}
    make_study(tmp_path, two, baseline="today", bench=False)
    with pytest.raises(GateError, match="run `fusefront bench planted --out"):
        decide_study(find_study("planted", tmp_path))


def test_one_strategy_alone_is_refused(tmp_path: Path, make_study: Make, strategy: type) -> None:
    make_study(tmp_path, {"today": strategy(0.8, 2.0)}, baseline="today")
    with pytest.raises(GateError, match="Only one strategy was measured"):
        decide_study(find_study("planted", tmp_path))


def test_a_baseline_that_failed_is_refused_but_shown(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    three = {
        "today": strategy(0.8, 2.0, failed_seeds=(0, 1, 2)),
        "a": strategy(0.1, 3.0),
        "b": strategy(0.2, 3.0),
    }
    make_study(tmp_path, three, baseline="today")
    study = find_study("planted", tmp_path)
    with pytest.raises(GateError, match="no completed run"):
        decide_study(study)
    assert [p.strategy for p in evidence_of(study).points] == ["a", "b"]


def test_latencies_of_two_machines_are_refused(study: StudyFolder) -> None:
    path = study.path / "bench" / "bench.json"
    bench = json.loads(path.read_text())
    bench["rows"][0]["fingerprint"] = "another"
    path.write_text(json.dumps(bench))
    with pytest.raises(UsageError, match="latencies of two machines are not compared"):
        decide_study(study)


def test_a_strategy_without_a_latency_is_shown_but_not_chosen(
    study: StudyFolder, make_bench: Callable[..., None]
) -> None:
    make_bench(study.path, {"today": 2.0, "pca128": 5.0})
    evidence = evidence_of(study)
    assert evidence.decision.choice == "pca128"
    point = evidence.point("pca64")
    assert point is not None
    assert point.p99 is None
    assert not point.feasible


def test_new_seeds_make_the_comparison_again(study: StudyFolder) -> None:
    decide_study(study)
    entry = next(e for e in study.completed() if e.strategy == "qin")
    entry.path.rename(entry.path.with_name("elsewhere"))
    evidence = record_decision(study, DecisionOptions())
    point = evidence.point("qin")
    assert point is not None
    assert point.seeds == 2


def test_ablation_rows_become_steps_with_their_runs(study: StudyFolder) -> None:
    rows = [
        {
            "strategy": "pca64 without text",
            "kind": "modality",
            "without": "text",
            "delta": -0.01,
            "low": -0.012,
            "high": -0.008,
            "verdict": "worse",
        },
        {
            "strategy": "pca64 without head",
            "kind": "component",
            "without": "head",
            "delta": 0.0,
            "low": None,
            "high": None,
            "verdict": "no verdict",
        },
    ]
    cells = [{"strategy": "pca64 without text", "role": "ablation", "seed": 0, "run_id": "abc"}]
    record = {"format": 1, "of": "pca64", "cells": cells, "rows": rows}
    (study.path / "ablation-pca64.json").write_text(json.dumps(record))
    evidence = evidence_of(study)
    (chain,) = evidence.ablations
    assert [s.name for s in chain.steps] == ["text", "head"]
    assert chain.steps[0].gain == Interval(-0.01, -0.012, -0.008)
    assert chain.steps[0].run_ids == ("abc",)
    assert chain.steps[1].verdict == ""
    assert "ablation-pca64.json" in evidence.hashes


def test_audit_findings_and_passed_checks_are_shown(study: StudyFolder) -> None:
    audit = {
        "format": 1,
        "findings": [
            {"name": "sibling_rows", "severity": "severe", "text": "Rows.", "accepted": True}
        ],
        "passed": ["users", "classes"],
    }
    (study.path / "audit.json").write_text(json.dumps(audit))
    by_check = {a.check: a for a in evidence_of(study).audit}
    assert (by_check["sibling_rows"].state, by_check["sibling_rows"].accepted) == ("error", True)
    assert by_check["users"].state == "ok"


def test_another_limit_gives_another_decision_and_what_would_change_says_so(
    study: StudyFolder,
) -> None:
    evidence = evidence_of(study)
    below = [c for c in evidence.decision.changes if c.knob == "slo" and c.side == "below"]
    assert below
    again = evidence_of(study, replace(POLICY, slo_ms=below[0].value * 0.999))
    assert again.decision.choice == below[0].choice


WITHOUT_TORCH = """
import sys
from pathlib import Path
from fusefront.harness.cli.decide import decide
from fusefront.harness.cli.gate import gate
import fusefront.harness.cli.report
from fusefront.harness.errors import GateError
decide("planted", None, None, None, None, Path(sys.argv[1]), False)
gate("planted", "planted", out=Path(sys.argv[1]))
"""


def test_decide_and_gate_never_import_torch(study: StudyFolder, tmp_path: Path) -> None:
    for name in ("torch", "pytorch_lightning", "optuna", "onnxruntime"):
        package = tmp_path / "blocked" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    blocked = {"PYTHONPATH": str(tmp_path / "blocked"), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(study.root)],
        capture_output=True,
        text=True,
        env={**os.environ, **blocked},
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "Ship pca64" in process.stdout
    assert "<script>alert(1)" in process.stdout
    assert "the very same runs" in process.stdout


@pytest.mark.slow
@pytest.mark.timed
def test_two_hundred_strategies_of_ten_seeds_are_judged_in_seconds(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    many = {
        f"s{i:03d}": strategy(0.3 + 0.002 * i, 1.0 + 0.05 * i, family="compressed")
        for i in range(200)
    }
    make_study(tmp_path, many, baseline="s100", seeds=range(10), requests=300)
    study = find_study("planted", tmp_path)
    gather(study)  # the comparison has its own budget
    start = time.process_time()
    evidence = evidence_of(study)
    assert time.process_time() - start < 6  # 2.6 s seen
    assert len(evidence.points) == 200
    assert len(evidence.origins) == 2000


def test_an_earlier_look_at_other_runs_is_a_risk_on_the_page(study: StudyFolder) -> None:
    def page() -> str:
        entries = risks(evidence_of(study), "en")
        return " ".join(line.text for entry in entries for line in entry.lines)

    assert "test split was opened" not in page()
    path = study.path / "matrix.json"
    matrix = path.read_text()
    fewer = json.loads(matrix)
    fewer["cells"] = fewer["cells"][1:]
    path.write_text(json.dumps(fewer))
    open_test(study.path, "compare")
    path.write_text(matrix)
    assert "The test split was opened before, for other versions of this study (1): what" in page()
