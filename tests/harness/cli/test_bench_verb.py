"""`fusefront bench`: what it asks for, what it prints, exit 4 where the session was disturbed."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fusefront.harness.cli.bench import bench as verb
from fusefront.harness.errors import GateError
from fusefront.harness.serving.latency import study as measuring
from fusefront.harness.serving.latency.bench import BenchResult
from fusefront.harness.serving.latency.session import Recording

ROW = {
    "subject": "a|onnx|model_only|100", "strategy": "a", "backend": "onnx", "scope": "model_only",
    "candidates": 100, "rounds": 20, "mean_ms": 1.0, "samples": 2000, "contended_visits": 12,
    "p50_ms": 1.0, "p50_low": 0.9, "p50_high": 1.1, "p95_ms": 1.2, "p95_low": 1.1,
    "p95_high": 1.3, "p99_ms": 1.5, "p99_low": 1.4, "p99_high": 1.6,
}  # fmt: skip


def quality(disturbed: list[str]) -> dict[str, Any]:
    return {
        "sessions": 2, "rounds": 40, "samples": 4000, "visits": 80, "contended_visits": 3,
        "contended_share": 3 / 80, "floor_p50": 0.01, "floor_p99": 0.02, "half_p50": 0.0198,
        "half_p99": 0.0953, "between_p50": 0.0392, "between_p99": None, "disturbed": disturbed,
    }  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "studies" / "s"
    folder.mkdir(parents=True)
    spec = "name: s\ndataset: d\nbaseline: late_fusion\nstrategies: {late_fusion: {}}\n"
    spec += "latency: {at_once: [2, 5], qps: [7.5]}\n"
    (folder / "study.yaml").write_text(spec)
    (folder / "matrix.json").write_text(
        json.dumps({"format": 1, "dataset": "d", "fingerprint": "f", "store": "p", "cells": []})
    )

    def run(*words: str, disturbed: list[str]) -> tuple[Any, measuring.BenchOptions]:
        options_of: list[measuring.BenchOptions] = []
        facts = {
            "fingerprint": "f", "in_words": "m", "session_text": "t", "call_floor_ms": None,
            "quality": quality(disturbed),
            "sessions": [{"ended": "time"}, {"ended": "precise"}],
        }  # fmt: skip

        def measure(folder: object, *, options: measuring.BenchOptions, **_: object) -> BenchResult:
            options_of.append(options)
            return BenchResult(Recording.__new__(Recording), [ROW], facts)  # type: ignore[list-item,arg-type]

        monkeypatch.setattr(measuring, "bench_study", measure)
        app = typer.Typer()
        app.command()(verb)
        words = ("s", "--out", str(tmp_path), *words)
        result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        assert options_of, result.output
        return result, options_of[0]

    return run


def test_a_disturbed_session_ends_with_exit_4_after_it_was_shown(
    bench: Any, tmp_path: Path
) -> None:
    result, _ = bench(disturbed=["9 of 10 visits waited for a core", "and so on"])
    assert isinstance(result.exception, GateError)
    assert result.exception.exit_code == 4
    assert str(result.exception) == (
        "The session was disturbed: 9 of 10 visits waited for a core and and so on; measure again "
        "while nothing else runs "
        f"(`{shlex.join(['fusefront', 'bench', 's', '--out', str(tmp_path)])} --add` pools the "
        "sessions)."
    )
    assert "0.900-1.100" in result.output


def test_a_calm_one_says_how_precise_and_how_repeatable_it_is(bench: Any) -> None:
    result, options = bench(disturbed=[])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert (
        "what decides: 40 rounds, within 2.0% at p50 and 10.0% at p99, 3 of 80 visits waited, "
        "precise enough; 2 sessions differ by 4.0% (sd) at p50" in text
    )
    assert (options.precision, options.most_s, options.add) == (0.1, 120.0, False)
    assert (options.at_once, options.qps) == ((2, 5), (7.5,))
    assert options.rounds == 20


def test_options_go_before_the_study(bench: Any) -> None:
    words = ("--final", "--add", "--precision", "0.3", "--at-most", "9", "--at-once", "64")
    result, options = bench(*words, "--qps", "3", "--qps", "40", "--json", disturbed=[])
    assert result.exit_code == 0
    assert (options.precision, options.most_s, options.add) == (0.3, 9.0, True)
    assert (options.at_once, options.qps, options.rounds) == ((64,), (3.0, 40.0), 40)
    assert json.loads(result.output)["format"] == 2
    final, options = bench("--final", disturbed=[])
    assert (final.exit_code, options.most_s) == (0, 600.0)
