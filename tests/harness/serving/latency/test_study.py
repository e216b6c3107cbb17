"""A whole bench of a small study: every backend gated, files written, facts told."""

import json
from dataclasses import replace
from types import SimpleNamespace

import polars as pl
import pytest
import yaml

from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.store import find_study
from fusefront.harness.serving.latency import backends as backends_module
from fusefront.harness.serving.latency import scenarios
from fusefront.harness.serving.latency import study as study_module
from fusefront.harness.serving.latency.session import DISCARD, SAMPLES, VISITS
from fusefront.harness.serving.latency.show import bench_parts
from fusefront.harness.serving.latency.study import BenchOptions, bench_study
from fusefront.harness.training.run import run

STRATEGIES = ("early_fusion", "compressed_fusion", "popularity")
REQUEST = BenchOptions(
    rounds=3,
    candidates=(1, 20),
    decide_at=10,
    backends=("onnx", "onnx-int8", "eager"),
    rows="float32",
    budget_s=5.0,
)


def _study(root, folder):
    """Three trained strategies with the files that a study leaves."""
    spec = write_world("tour", folder, train=200, valid=150, test=150, warm=300, cold=100)
    store = prepare(load_spec(spec), spec.parent, root)
    cells = []
    for name in STRATEGIES:
        assert name in BASELINES
        run_spec = RunSpec(store.name, store.fingerprint, name, {}, {"epochs": 1}, 0)
        role = "control" if name == "popularity" else "strategy"
        cells.append(Cell(name, role, run_spec))
        run(cells[-1], root, store, load_parts(()))
    path = root / "studies" / "small"
    path.mkdir(parents=True)
    study = {
        "name": "small",
        "dataset": {"synthetic": "tour"},
        "strategies": {name: {} for name in STRATEGIES},
        "baseline": "early_fusion",
    }
    (path / "study.yaml").write_text(yaml.safe_dump(study))
    matrix = {
        "format": 1,
        "dataset": store.name,
        "fingerprint": store.fingerprint,
        "store": store.path.relative_to(root).as_posix(),
        "cells": [cell.to_json() for cell in cells],
    }
    (path / "matrix.json").write_text(json.dumps(matrix))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root, monkeypatch = tmp_path_factory.mktemp("out"), pytest.MonkeyPatch()
    monkeypatch.setenv("FUSEFRONT_HOST_LOCK", str(root / "lock"))
    monkeypatch.setattr(scenarios, "LATEST_S", 0.05)
    monkeypatch.setattr(scenarios, "OWN_S", 0.1)
    _study(root, tmp_path_factory.mktemp("world"))
    folder, messages = find_study("small", root), []
    rounds = []
    result = bench_study(
        folder, options=REQUEST, tell=messages.append, progress=lambda i, n: rounds.append((i, n))
    )
    yield folder, result, messages, rounds
    monkeypatch.undo()


def test_the_files_hold_what_was_measured(measured):
    folder, result, _, _ = measured
    record = json.loads((folder.path / "bench" / "bench.json").read_text())
    samples = pl.read_parquet(folder.path / "bench" / "samples.parquet")
    visits = pl.read_parquet(folder.path / "bench" / "visits.parquet")
    assert dict(samples.schema) == SAMPLES
    assert dict(visits.schema) == VISITS
    assert samples["fingerprint"].unique().to_list() == [record["fingerprint"]]
    assert len(record["rows"]) == len(result.rows) == samples["subject"].n_unique()
    assert not list((folder.path / "bench").glob(".*.tmp"))
    for row in record["rows"]:
        own = samples.filter(
            (pl.col("subject") == row["subject"]) & (pl.col("position") >= DISCARD)
        )
        assert len(own) == row["samples"]
        assert row["p50_ms"] == pytest.approx(own["latency_ns"].median() / 1e6, rel=0.05)


def test_every_strategy_has_both_scopes_at_every_k_and_other_backends_at_one(measured):
    _, result, _, _ = measured
    observed = {(r["strategy"], r["backend"], r["scope"], r["candidates"]) for r in result.rows}
    for name in STRATEGIES:
        for scope in ("model_only", "end_to_end"):
            assert {k for s, b, c, k in observed if (s, b, c) == (name, "onnx", scope)} == {
                1,
                10,
                20,
            }
        assert (name, "eager", "model_only", 10) in observed
        assert (name, "eager", "as_trained", 10) in observed
    assert ("early_fusion", "onnx", "twin-model_only", 10) in observed
    assert ("early_fusion", "onnx", "paced", 10) in observed
    assert ("null graph", "onnx", "floor", 10) in observed


def test_rows_carry_costs_and_parity(measured):
    _, result, _, _ = measured
    row = next(
        r
        for r in result.rows
        if (r["strategy"], r["scope"], r["candidates"], r["backend"])
        == ("compressed_fusion", "model_only", 10, "onnx")
    )
    assert row["parity_max_difference"] <= 1e-5
    assert row["macs_per_candidate"] > 1000
    # four streams of width 12, two heads. history: presence, values, keys with a mask after each
    # head's; candidate: presence, vectors, queries with a 1 after each head's
    floats = (4 + 4 * 12 + 4 * 2 * 7) + (4 + 4 * 12 + 4 * 2 * 7)
    assert row["bytes_per_item"] == 4 * floats
    assert row["bundle_bytes"] > row["bytes_per_item"] * 400
    assert 10e6 < row["peak_rss_bytes"] < 1e9
    assert row["cold_start_ms"] > row["cold_load_ms"] > 0
    assert row["cost_per_million_offline"] > 0
    served, load = row["cost_per_million_served"], row["predicted_load"]
    if load > 0:
        assert served == pytest.approx(row["cost_per_million_offline"] / load)
    else:  # a machine so busy that no load keeps the limit
        assert served is None
    assert row["as_trained_p50_ms"] > 0


def test_the_session_tells_its_floor_its_machine_and_its_end(measured):
    _, result, messages, rounds = measured
    facts = result.facts
    assert facts["floor_p50"] > 0
    assert facts["smallest_p50"] > facts["floor_p50"]
    assert facts["floor_p99"] is None  # of 300 requests there is no p99
    assert {row["p99_ms"] for row in result.rows} == {None}
    assert {line["load"] for line in facts["server"]} == {0.3, 0.5, 0.7}
    assert all(line["predictions_per_second"] > 0 for line in facts["offline"])
    assert "one session" in facts["session_text"]
    assert rounds[-1] == (3, 3)
    assert any(line.startswith("bench: ") for line in messages)
    text = [part for part in bench_parts(result) if isinstance(part, str)]
    assert any("the smallest differences it could have found" in part for part in text)


def test_what_does_not_score_as_trained_is_not_timed(measured, monkeypatch):
    folder, *_ = measured
    whole = backends_module.OnnxRuntime.load

    def spoilt(self, trained):
        call = whole(self, trained)
        if trained.name != "compressed_fusion":
            return call
        scorer = call.__self__

        class Spoilt(type(scorer)):
            def run(self, feed):
                return [part + 0.01 for part in super().run(feed)]

        scorer.__class__ = Spoilt
        return scorer.run

    monkeypatch.setattr(backends_module.OnnxRuntime, "load", spoilt)
    messages = []
    request = BenchOptions(
        rounds=2, candidates=(1,), decide_at=1, rows="float32", end_to_end=False, paced=False,
        server=False, as_trained=False, cold=False, budget_s=1.0,
    )  # fmt: skip
    result = bench_study(folder, options=request, tell=messages.append)
    assert "compressed_fusion" not in {row["strategy"] for row in result.rows}
    (reason,) = result.facts["left_out"]
    assert "compressed_fusion on onnx: probabilities differ" in reason
    assert reason in messages
    record = json.loads((folder.path / "bench" / "bench.json").read_text())
    assert record["facts"]["left_out"] == [reason]


def test_a_session_without_the_shipped_backend_is_kept(measured):
    folder, *_ = measured
    request = BenchOptions(
        rounds=2, candidates=(1,), decide_at=1, backends=("eager",), end_to_end=False, paced=False,
        server=False, as_trained=False, cold=False, budget_s=1.0,
    )  # fmt: skip
    result = bench_study(folder, options=request)
    assert {row["strategy"] for row in result.rows if row["backend"] == "eager"} == set(STRATEGIES)
    assert result.facts["load"] is None
    assert "one session" in result.facts["session_text"]


def test_a_second_session_is_pooled_with_the_first(measured):
    folder, *_ = measured
    request = BenchOptions(
        rounds=2, candidates=(1,), decide_at=1, rows="float32", paced=False, server=False,
        as_trained=False, cold=False, budget_s=1.0, at_once=(1, 3), qps=(40.0,),
        precision=1e-9, most_s=0.0,
    )  # fmt: skip
    first = bench_study(folder, options=request)
    assert {line["requests_at_once"] for line in first.facts["offline"]} == {1, 3}
    assert {line["per_second"] for line in first.facts["server"]} == {40.0}
    assert [line["ended"] for line in first.facts["sessions"]] == ["time"]
    both = bench_study(folder, options=replace(request, add=True, qps=()))
    record = json.loads((folder.path / "bench" / "bench.json").read_text())
    assert record["format"] == 2
    sessions = record["facts"]["sessions"]
    assert sessions[0] == first.facts["sessions"][0]
    assert len({line["session"] for line in sessions}) == 2
    assert record["facts"]["quality"]["sessions"] == 2
    assert "2 sessions of" in record["facts"]["session_text"]
    for row in record["rows"]:
        assert (row["rounds_by_session"], row["rounds"]) == ([2, 2], 4)
        assert row["between_p50"] >= 0
    old = {row["subject"]: row["log_p50"] for row in first.rows}
    assert all(row["log_p50"][:2] == old[row["subject"]] for row in both.rows)
    visits = pl.read_parquet(folder.path / "bench" / "visits.parquet")
    assert visits["session"].unique(maintain_order=True).to_list() == [
        line["session"] for line in sessions
    ]


def test_an_unknown_backend_and_an_absent_compiler_are_told(measured, monkeypatch):
    folder, *_ = measured
    with pytest.raises(UsageError, match="backend 'tpu' is not known; known: onnx"):
        bench_study(folder, options=BenchOptions(backends=("tpu",)))
    monkeypatch.setattr("shutil.which", lambda name: None)
    messages = []
    with pytest.raises(NothingToDoError, match="none of the backends"):
        bench_study(folder, options=BenchOptions(backends=("compile",)), tell=messages.append)
    assert any("needs a C++ compiler" in line for line in messages)


OWN = """
import numpy as np

from fusefront.harness.serving.contract import Backend
from fusefront.harness.serving.export.online import eager_request


class Own(Backend):
    name = "own"
    exact = True

    def missing(self):
        return MISSING

    def load(self, trained):
        (trained.folder / f"own-{trained.rows}").mkdir(parents=True, exist_ok=True)

        def call(feed):
            logits = trained.model.score(eager_request(trained.codes, feed)).logits
            return RESULT

        return call
"""
SHORT = BenchOptions(
    rounds=2, candidates=(1,), decide_at=1, backends=("onnx", "own"), rows="float32",
    end_to_end=False, paced=False, server=False, as_trained=False, cold=True, budget_s=1.0,
)  # fmt: skip


def own_backend(folder, result, missing="None"):
    """The options of a bench with a backend of one's own."""
    file = folder / "own.py"
    file.write_text(OWN.replace("RESULT", result).replace("MISSING", missing))
    return replace(SHORT, include=(file,))


def test_an_own_backend_is_timed_once_for_every_strategy(measured, tmp_path):
    folder, *_ = measured
    options = own_backend(tmp_path, "logits.detach().numpy()")
    result = bench_study(folder, options=options)
    own = {row["strategy"]: row for row in result.rows if row["backend"] == "own"}
    assert set(own) == set(STRATEGIES)
    assert {row["scope"] for row in own.values()} == {"model_only"}
    assert all(row["parity_max_difference"] <= 1e-5 for row in own.values())
    assert all("cold_start_ms" not in row for row in own.values())  # it left no graph
    with pytest.raises(UsageError, match="backend 'own' is not known; known: onnx"):
        bench_study(folder, options=SHORT)


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            "{}['no word']",
            r"latency backend 'own' raised KeyError \('no word'\) on strategy 'early_",
        ),
        (
            "logits.detach().numpy().ravel()",
            r"'own': 'early_fusion' gives scores of shape \(1,\) for",
        ),
    ],
)
def test_what_an_own_backend_does_wrong_is_one_sentence(measured, tmp_path, result, sentence):
    folder, *_ = measured
    with pytest.raises(UsageError, match=sentence):
        bench_study(folder, options=own_backend(tmp_path, result))


def test_an_own_backend_that_cannot_run_here_is_left_out(measured, tmp_path):
    folder, *_ = measured
    messages = []
    options = own_backend(tmp_path, "None", missing="'no such chip'")
    result = bench_study(folder, options=options, tell=messages.append)
    assert {row["backend"] for row in result.rows} == {"onnx"}
    assert "no such chip; left out" in messages


def test_other_processes_are_judged_by_the_time_that_the_bench_took(measured, monkeypatch):
    folder, *_ = measured
    readings, shares = iter([100.0, 103.5]), []
    clock = SimpleNamespace(
        monotonic=lambda: next(readings), perf_counter=study_module.time.perf_counter
    )

    def others(before, after, seconds):
        shares.append(seconds)
        return ["other 0.50 cores"]

    monkeypatch.setattr(study_module, "time", clock)
    monkeypatch.setattr(study_module, "others", others)
    request = BenchOptions(
        rounds=2, candidates=(1,), decide_at=1, backends=("eager",), end_to_end=False, paced=False,
        server=False, as_trained=False, cold=False, budget_s=1.0,
    )  # fmt: skip
    result = bench_study(folder, options=request)
    assert shares == [3.5]
    assert result.facts["others"] == ["other 0.50 cores"]
