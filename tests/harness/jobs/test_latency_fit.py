"""Which timed strategies of a bench a latency model is fitted to, and whose model goes first."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusefront.harness.errors import UsageError
from fusefront.harness.jobs import latency_fit
from fusefront.harness.jobs.latency_fit import latency_of
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.tuning.latency_model import LatencyModel, RequestCost, Timed

BASELINES = {"trained": SimpleNamespace(solved=False), "counted": SimpleNamespace(solved=True)}
MODEL = LatencyModel((0.1, 2e-8, 3e-6), (0.4, 5e-8, 6e-6), 0.07, 0.2, 9)


def planned() -> Any:
    """A study of the data set `shop` that decides at 50 candidates; a width costs 1,000 MACs."""
    return SimpleNamespace(
        store=SimpleNamespace(name="shop"),
        study=SimpleNamespace(latency=SimpleNamespace(decide_at=50)),
        parts=SimpleNamespace(baselines=BASELINES),
        counted_of=lambda _, settings: RequestCost(1e3 * settings["width"], 7.0),
    )


def row(strategy: str, p50: float, **changes: Any) -> dict[str, Any]:
    """A row of a bench whose p99 is ten times its p50."""
    place = {"backend": "onnx", "scope": "end_to_end", "candidates": 50}
    times = {f"p50_{end}": p50 for end in ("ms", "low", "high")}
    times |= {f"p99_{end}": 10 * p50 for end in ("ms", "low", "high")}
    rest = {"subject": strategy, "strategy": strategy, "rounds": 20, "mean_ms": 1.0}
    rest |= {f"p95_{end}": 1.0 for end in ("ms", "low", "high")}
    return {**rest, **place, **times, **changes}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's folder; what would be fitted is returned in place of a model."""
    monkeypatch.setattr(latency_fit, "fitted", lambda points: points)
    path = tmp_path / "out" / "studies" / "s"
    path.mkdir(parents=True)
    return path


def record_run(folder: Path, strategy: str, baseline: str, width: int) -> str:
    spec = RunSpec("shop", "f" * 12, baseline, {"width": width}, {}, 0, code="c")
    path = folder.parents[1] / "runs" / "shop" / strategy / spec.run_id / "model" / "spec.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(spec.to_json()))
    return spec.run_id


def write_bench(folder: Path, rows: list[dict[str, Any]], **facts: Any) -> None:
    (folder / "bench").mkdir(exist_ok=True)
    bench = {"format": 2, "facts": facts, "rows": rows}
    (folder / "bench" / "bench.json").write_text(json.dumps(bench))


def test_a_study_without_a_bench_has_no_points(folder: Path) -> None:
    assert latency_of(planned(), folder) == []  # type: ignore[comparison-overlap]


def test_a_bench_that_names_no_runs_has_no_points(folder: Path) -> None:
    record_run(folder, "a", "trained", 3)
    write_bench(folder, [row("a", 0.5)])
    assert latency_of(planned(), folder) == []  # type: ignore[comparison-overlap]


def test_only_trained_strategies_as_shipped_at_the_deciding_number_are_points(
    folder: Path,
) -> None:
    """Each of the other rows differs from a point in one thing, and stands before it."""
    known = {
        "a": record_run(folder, "a", "trained", 3),
        "b": record_run(folder, "b", "trained", 4),
        "c": record_run(folder, "c", "trained", 5),
        "solved": record_run(folder, "solved", "counted", 6),
        "unknown": record_run(folder, "unknown", "of an older version", 7),
        "gone": "0" * 12,
    }
    rows = [
        row("a", 9.0, backend="torch"),
        row("a", 9.0, scope="model_only"),
        row("a", 9.0, candidates=49),
        row("gone", 9.0),
        row("unlisted", 9.0),
        row("solved", 9.0),
        row("unknown", 9.0),
        row("c", 9.0, samples=999),
        row("a", 0.5),
        row("b", 0.75),
    ]
    write_bench(folder, rows, runs=known)
    assert latency_of(planned(), folder) == [  # type: ignore[comparison-overlap]
        Timed(RequestCost(3e3, 7.0), 0.5, 5.0),
        Timed(RequestCost(4e3, 7.0), 0.75, 7.5),
    ]


def test_the_model_of_a_search_that_has_begun_goes_first(folder: Path) -> None:
    """Whatever the bench says now; a damaged search and one without a model are passed over."""
    known = {"a": record_run(folder, "a", "trained", 3)}
    write_bench(folder, [row("a", 0.5)], runs=known)
    searches = {
        "a": "{",
        "b": json.dumps({"seed": 0, "lag": 1, "space": {}}),
        "c": json.dumps({"seed": 0, "lag": 1, "space": {}, "latency": MODEL.to_json()}),
        "d": json.dumps(
            {"seed": 0, "lag": 1, "space": {}, "latency": MODEL._replace(worst=0.9).to_json()}
        ),
    }
    for name, text in searches.items():
        (folder / "tuning" / name).mkdir(parents=True)
        (folder / "tuning" / name / "search.json").write_text(text)
    assert latency_of(planned(), folder) == MODEL
    for name in ("c", "d"):
        (folder / "tuning" / name / "search.json").unlink()
    assert latency_of(planned(), folder) == [  # type: ignore[comparison-overlap]
        Timed(RequestCost(3e3, 7.0), 0.5, 5.0)
    ]


def test_too_few_timed_strategies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 different strategies of this study were timed"):
        latency_of(planned(), tmp_path / "studies" / "s")
