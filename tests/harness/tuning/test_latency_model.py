"""Latency predicted from counts: planted coefficients, each strategy left out, what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.optimize import minimize

from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.latency_fit import latency_of
from fusefront.harness.jobs.pipeline import begin
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.study import Range
from fusefront.harness.tuning.latency_model import RequestCost, Timed, fitted, model_of
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.search_cells import TrialSource

FIXED, A_MAC, A_BYTE = 0.2, 5e-8, 2e-6


def timed(count: int, noise: float, seed: int = 0) -> list[Timed]:
    """Strategies of planted coefficients, p99 twice the p50."""
    rng = np.random.default_rng(seed)
    points = []
    for _ in range(count):
        of = RequestCost(float(rng.integers(1e5, 1e7)), float(rng.integers(1e4, 1e5)))
        ms = (FIXED + A_MAC * of.macs + A_BYTE * of.bytes) * np.exp(noise * rng.standard_normal())
        points.append(Timed(of, float(ms), 2.0 * float(ms)))
    return points


def test_planted_coefficients_are_found() -> None:
    model = fitted(timed(8, 0.0))
    assert model.p50 == pytest.approx((FIXED, A_MAC, A_BYTE), rel=1e-6)
    assert model.p99 == pytest.approx((2 * FIXED, 2 * A_MAC, 2 * A_BYTE), rel=1e-6)
    assert (model.error, model.worst) == pytest.approx((0.0, 0.0), abs=1e-6)
    of = RequestCost(3e6, 5e4)
    assert model.p50_ms(of) == pytest.approx(0.2 + 0.15 + 0.1)
    assert model.p99_ms(of) == pytest.approx(0.9)
    assert model_of(json.loads(json.dumps(model.to_json()))) == model


def test_its_error_is_that_of_each_strategy_predicted_from_the_others() -> None:
    """Least relative squares by another optimiser."""
    points = timed(9, 0.1, seed=3)
    rows = np.array(
        [(1.0, point.counted.macs / 1e7, point.counted.bytes / 1e5) for point in points]
    )
    ms = np.array([point.p99_ms for point in points])
    logs = []
    for at in range(9):
        others = [k for k in range(9) if k != at]

        def loss(c: Any, others: list[int] = others) -> float:
            return float(np.sum((rows[others] @ c / ms[others] - 1) ** 2))

        solved = minimize(loss, np.ones(3), bounds=[(0, None)] * 3, options={"ftol": 1e-14})
        logs.append(np.log(rows[at] @ solved.x / ms[at]))
    model = fitted(points)
    assert model.error == pytest.approx(np.expm1(np.sqrt(np.mean(np.square(logs)))), rel=1e-2)
    assert model.worst == pytest.approx(np.expm1(np.max(np.abs(logs))), rel=1e-2)
    assert 0.04 < model.error < 0.4
    assert f"from 9 timed strategies, each left out in turn: off by {model.error:.0%}" in (
        model.sentence
    )


def test_too_few_timed_strategies_and_counts_that_tell_nothing_are_refused() -> None:
    points = timed(5, 0.0)
    with pytest.raises(UsageError, match=r"5 different strategies .* at least 6"):
        fitted([*points, *points])  # the same counts again are no other strategy
    luck = [p._replace(p99_ms=ms) for p, ms in zip(timed(6, 0.0), (1, 9, 1, 9, 1, 9), strict=True)]
    with pytest.raises(UsageError, match="no better than their mean"):
        fitted(luck)


def search(folder: Path, limit: float | None, **words: Any) -> Search:
    return Search(
        folder,
        "a",
        {"width": Range(low=1, high=60)},
        8,
        seed=5,
        lag=2,
        slo_ms=limit,
        latency=fitted(timed(8, 0.0)),
        counted=lambda params: RequestCost(1e5 * int(str(params.get("width", 80))), 1e4),
        **words,
    )


def test_no_trial_is_proposed_that_is_predicted_to_be_late(tmp_path: Path) -> None:
    """A width of w has a p99 of .4 + .01 w + .04 ms: at .64 ms 20 is the widest."""

    def cell(name: str, params: dict[str, Json]) -> Cell:
        return Cell(name, "trial", RunSpec("shop", "f", "b", params, {}, 1, code="c"), False)

    here = search(tmp_path / "a", 0.64)
    source = TrialSource([here], cell, tmp_path)
    widths = []
    while isinstance(following := source(), Cell):
        widths.append(int(str(following.spec.settings["width"])))
        run = tmp_path / "runs" / "shop" / "a" / following.spec.run_id
        write_json(run / "summary.json", {"run_id": run.name, "valid_auc": 0.7, "seconds": 1.0})
        source.close(following, "", seconds=1.0)
    assert len(widths) > 4  # a width that comes again is not trained again
    assert max(widths) <= 20
    assert len(here.records()) == 8
    # what is a tenth of a millisecond late is drawn again, as what is more
    assert [r["number"] for r in here.records() if r["state"] == "infeasible"] == [0]
    first, second = here.record(0), here.record(1)
    assert first is not None
    assert second is not None
    # the defaults are 80 wide
    assert (first["state"], first["cause"], first["seconds"]) == ("infeasible", "cost", 0.0)
    assert first["reason"] == "a p99 of 1.24 ms is predicted, slo_ms is 0.64"
    assert first["constraints"] == {"slo_ms": pytest.approx(0.6)}
    assert second["constraints"]["slo_ms"] == pytest.approx(0.01 * widths[0] + 0.44 - 0.64)
    free = search(tmp_path / "b", None)
    drawn = [free.next_trial() for _ in range(2)]
    assert drawn[0] == (0, {})
    with pytest.raises(UsageError, match=r"budget_macs, slo_ms or halving"):
        search(tmp_path / "a", 0.7)


STRATEGIES = {
    f"{kind}{width}": {"baseline": f"{kind}_fusion", "token_width": width}
    for kind in ("late", "gated")
    for width in (4, 8, 12, 16)
}


def test_a_study_predicts_from_its_own_bench_and_keeps_to_it(
    jobs: Any, console: Console, tmp_path: Path
) -> None:
    """Eight planted strategies; a later bench does not change a search that has begun."""
    strategies = {**STRATEGIES, "popularity": {}}
    words = {"strategies": strategies, "baseline": "popularity"}
    searching = {**words, "tuning": {"trials": 4, "slo_ms": 0.5}}
    request = jobs.request("limited", **searching)
    with pytest.raises(UsageError, match="0 different strategies of this study were timed"):
        begin(request, console)
    plan, workspace = begin(jobs.request("limited", **words), console)
    rows: list[dict[str, Json]] = []
    runs = {}
    for name in strategies:
        spec = plan.cell(name, {}, 4).spec
        runs[name] = spec.run_id
        run = request.out / "runs" / spec.dataset / name / spec.run_id
        write_json(run / "model" / "spec.json", {"format": 1, **spec.to_json()})
        of = plan.counted(name, {})
        ms = 7.0 if name == "popularity" else FIXED + A_MAC * of.macs + A_BYTE * of.bytes
        quantiles = {
            f"{q}_{end}": ms for q in ("p50", "p95", "p99") for end in ("ms", "low", "high")
        }
        row = {"strategy": name, "backend": "onnx", "scope": "end_to_end", "candidates": 100}
        row |= {"subject": name, "rounds": 20, "mean_ms": ms}
        rows += [{**row, **quantiles}, {**row, "scope": "model_only", **quantiles, "p99_ms": 99.0}]
    bench = {"format": 2, "fingerprint": "f", "facts": {"runs": runs}, "rows": rows}
    write_json(workspace.folder / "bench" / "bench.json", bench)
    plan, workspace = begin(jobs.request("limited", **searching), console)
    sentence = "p99 is predicted from 8 timed strategies, each left out in turn: off by 0%"
    assert sentence in console.file.getvalue()  # type: ignore[attr-defined]
    model = latency_of(plan, workspace.folder)
    for name in STRATEGIES:
        of = plan.counted(name, {})
        ms = FIXED + A_MAC * of.macs + A_BYTE * of.bytes
        assert model.p99_ms(of) == pytest.approx(ms, rel=1e-6)
    first = plan.searches(workspace.folder)[0]
    assert first.lateness({}) == pytest.approx(model.p99_ms(plan.counted(first.strategy, {})) - 0.5)
    for row in rows:
        row |= {"p99_ms": 3.0}
    write_json(workspace.folder / "bench" / "bench.json", bench)
    assert latency_of(plan, workspace.folder) == model
