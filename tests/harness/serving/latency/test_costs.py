"""Money, products, tables and queues of a bench by hand; no clock is read."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy import stats
from torch import nn

from fusefront.harness.serving.latency.bench import (
    BenchEntry,
    BenchResult,
    SubjectKey,
    session_facts,
    sized,
    visit_length,
)
from fusefront.harness.serving.latency.bench_record import BenchRow, ServerLine, quantile_of
from fusefront.harness.serving.latency.cost import cold_start, multiplications, per_million
from fusefront.harness.serving.latency.intervals import difference, smallest_difference
from fusefront.harness.serving.latency.scenarios import served
from fusefront.harness.serving.latency.server import (
    OpenLoop,
    overloaded,
    predicted_latency,
    resample_blocks,
)
from fusefront.harness.serving.latency.session import DISCARD, Recording, TimedSubject
from fusefront.harness.serving.latency.show import bench_parts, round_progress


@pytest.mark.parametrize(
    ("price", "ms", "candidates", "load", "cost"),
    [
        (0.036, 2.0, 100, 1.0, 0.0002),  # 20 s of a core a million, at 0.00001 a second
        (0.036, 2.0, 100, 0.25, 0.0008),
        (0.72, 2.0, 100, 1.0, 0.004),
        (0.036, 5.0, 20, 0.5, 0.005),
    ],
)
def test_money_is_core_seconds_at_their_price(
    price: float, ms: float, candidates: int, load: float, cost: float
) -> None:
    assert per_million(price, ms, candidates, load) == pytest.approx(cost, rel=1e-12)


@pytest.mark.parametrize("load", [0.0, -0.5, 1.0001])
def test_a_load_is_a_share_of_capacity(load: float) -> None:
    with pytest.raises(ValueError, match="expected a share of capacity above 0 and at most 1"):
        per_million(1.0, 1.0, 1, load)


@pytest.mark.parametrize("fast", [True, False])
def test_products_are_counted_on_every_path(fast: bool) -> None:
    attend = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    line = nn.Linear(8, 3)
    x = torch.zeros(1, 5, 8)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        counted = multiplications(lambda: line(attend(x, x, x)[0]))
        assert torch.backends.mha.get_fastpath_enabled() is fast
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert counted == 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 5 * 8 * 3


def row(strategy: str, scope: str = "model_only", k: int = 100, ms: float = 1.0) -> BenchRow:
    """p50, p95 and p99 apart by other factors in every row."""
    key = SubjectKey(strategy, "onnx", scope, k)
    quantiles: dict[str, object] = {}
    for name, factor in {"p50": 1.0, "p95": 1.3, "p99": 1.7 + ms}.items():
        value = factor * ms
        quantiles |= {
            f"{name}_ms": value,
            f"{name}_low": 0.9 * value,
            f"{name}_high": 1.2 * value,
            f"{name}_at_least": name == "p99",
            f"log_{name}": [float(np.log(value))],
        }
    return {"subject": str(key), **key._asdict(), **quantiles, "rounds": 20, "mean_ms": ms}  # type: ignore[return-value,typeddict-item]


def test_a_quantile_is_read_by_its_name() -> None:
    slow = row("a", ms=2.0)
    for name, value in (("p50", 2.0), ("p95", 2.6), ("p99", 7.4)):
        quantile = quantile_of(slow, name)  # type: ignore[arg-type]
        assert quantile["ms"] == pytest.approx(value)
        assert (quantile["low"], quantile["high"]) == pytest.approx((0.9 * value, 1.2 * value))
        assert quantile["at_least"] is (name == "p99")
        assert np.exp(quantile["log"]) == pytest.approx([value])
    del slow["log_p95"], slow["p95_at_least"]
    assert quantile_of(slow, "p95")["log"] == []
    assert quantile_of(slow, "p95")["at_least"] is False


def logs(strategy: str, scope: str, k: int, seed: int, spread: float = 0.05) -> BenchRow:
    """A row whose quantiles vary over eight rounds, each in its own way."""
    rng = np.random.default_rng(seed)
    content = row(strategy, scope, k)
    for at, name in enumerate(("log_p50", "log_p95", "log_p99")):
        content[name] = (rng.normal(0, spread * (at + 1), 8)).tolist()  # type: ignore[literal-required]
    return {**content, "rounds": 8}


def test_floors_are_of_each_scope_and_the_larger_one_at_the_k_that_decides() -> None:
    scopes = [("model_only", 100), ("end_to_end", 100), ("model_only", 5)]
    rows, seed = [], 0
    for scope, k in scopes:
        for strategy, name in (("today", scope), ("today", f"twin-{scope}"), ("a", scope)):
            seed += 1
            rows.append(logs(strategy, name, k, seed, 0.2 if k == 5 else 0.05))
    rows[0]["contended_visits"] = 3
    by = {(r["strategy"], r["scope"], r["candidates"]): r for r in rows}
    facts = session_facts(rows, 100)
    assert [(line["scope"], line["candidates"]) for line in facts["floors"]] == scopes
    for line, (scope, k) in zip(facts["floors"], scopes, strict=True):
        for name in ("p50", "p95", "p99"):
            today, twin, a = (
                np.array(by[who, at, k][f"log_{name}"])  # type: ignore[literal-required]
                for who, at in (("today", scope), ("today", f"twin-{scope}"), ("a", scope))
            )
            gap = today - twin
            half = stats.t.ppf(0.975, 7) * gap.std(ddof=1) / 8**0.5
            assert line[f"floor_{name}"] == pytest.approx(abs(gap.mean()) + half)  # type: ignore[literal-required]
            error = (a - today).std(ddof=1) / 8**0.5
            smallest = smallest_difference([error], 8, difference(today, twin))
            assert line[f"smallest_{name}"] == pytest.approx(smallest)  # type: ignore[literal-required]
    for key in ("floor_p50", "floor_p99", "smallest_p95"):
        values = [line[key] for line in facts["floors"]]  # type: ignore[literal-required]
        assert facts[key] == max(values[:2]) < values[2]  # type: ignore[literal-required]
        assert session_facts(rows)[key] == max(values)  # type: ignore[literal-required]
    assert (facts["visits"], facts["contended_visits"]) == (72, 3)
    alone = session_facts(rows[:1], 100)
    assert (alone["floors"], alone["floor_p50"]) == ([], None)


def printed(result: BenchResult) -> list[str]:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    for part in bench_parts(result):
        console.print(part, markup=False)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


LINE: ServerLine = {
    "strategy": "a",
    "load": 0.3,
    "per_second": 1234.5,
    "requests": 200,
    "late_share": 0.0123,
    "late_low": 0.001,
    "late_high": 0.0456,
    "runs": 5,
    "overloaded_runs": 0,
    "p99_ms": 3.456,
    "p99_runs_ms": [],
}


def test_the_tables_have_a_row_a_strategy_the_fastest_first() -> None:
    fast, slow = row("fast", ms=1.0), row("slow", ms=2.0)
    fast |= {"contended_visits": 3, "predicted_per_second": 12345.6}
    other = row("fast", "end_to_end", 5, 0.5)
    twin = row("fast", "twin-model_only")
    facts = {
        "fingerprint": "f00",
        "in_words": "a machine",
        "session_text": "one session",
        "server": [LINE, {**LINE, "p99_ms": None, "load": 0.7}],
        "call_floor_ms": 0.0123,
    }
    empty = Recording.__new__(Recording)
    lines = printed(BenchResult(empty, [slow, twin, fast, other], facts))  # type: ignore[arg-type]
    at = lines.index("model only, K = 100, onnx")
    assert lines[at + 2] == "fast 1.000 0.900-1.200 2.700 2.430-3.240+ 3/20 12,346"
    assert lines[at + 3] == "slow 2.000 1.800-2.400 7.400 6.660-8.880+ 0/20"
    assert lines.index("end to end, K = 5, onnx") < at
    assert not any("twin" in line for line in lines)
    assert "a 0.3 1,234 1.23% 0.10% to 4.56% 3.46" in lines
    assert "a 0.7 1,234 1.23% 0.10% to 4.56% overloaded" in lines
    assert "machine f00: a machine" in lines
    assert lines[-1] == "a graph that does nothing takes 0.012 ms of each (subtracted nowhere)"
    bare = printed(BenchResult(empty, [slow], {**facts, "server": [], "call_floor_ms": None}))  # type: ignore[arg-type,typeddict-item]
    assert not any("graph that does nothing" in line or "measured" in line for line in bare)


def test_backends_of_one_table_are_named() -> None:
    slow = row("a", ms=2.0)
    slow["backend"] = "eager"
    empty = Recording.__new__(Recording)
    facts = {"fingerprint": "f", "in_words": "m", "session_text": "s"}
    lines = printed(BenchResult(empty, [row("a"), slow], facts))  # type: ignore[arg-type]
    assert lines[0] == "model only, K = 100, eager and onnx"
    assert lines[2].startswith("a onnx 1.000")
    assert lines[3].startswith("a eager 2.000")


def test_rounds_are_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO())
    with round_progress(console) as report:
        for number in range(1, 13):
            report(number, 12)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.splitlines() == ["round 5 of 12", "round 10 of 12", "round 12 of 12"]


def test_latency_counts_from_the_schedule_and_service_from_the_start() -> None:
    times = (np.array([0, 10]), np.array([5, 30]), np.array([8, 70]))
    loop = OpenLoop(*(part * 1_000_000 for part in times))
    assert loop.latency_ms.tolist() == [8.0, 60.0]
    assert loop.service_ms.tolist() == [3.0, 40.0]


def test_predicted_latency_is_waiting_and_service() -> None:
    """Mean service 2 at half load: gaps of 1 are 4 apart."""
    service = np.array([3.0, 2.0, 1.0, 2.0])
    assert predicted_latency(service, 0.5, np.array([0.25, 0.25, 2.0])).tolist() == [3, 4, 4, 2]


@pytest.mark.parametrize(
    ("latency", "grown"),
    [
        ([1.0, 1.0, 9.0, 9.0, 1.0, 1.0, 2.0, 2.0], False),  # twice is not more than twice
        ([1.0, 1.0, 9.0, 9.0, 1.0, 1.0, 2.1, 2.1], True),
        ([1.0, 3.0], True),
        ([3.0, 1.0], False),
    ],
)
def test_a_queue_has_grown_where_the_last_quarter_is_twice_the_first(
    latency: list[float], grown: bool
) -> None:
    assert overloaded(np.array(latency)) is grown


@pytest.mark.parametrize(("requests", "block"), [(10, 4), (12, 4), (5, 100), (1, 1)])
def test_blocks_are_whole_and_from_anywhere(requests: int, block: int) -> None:
    pitches = np.arange(6.0)
    starts = set()
    for seed in range(60):
        drawn = resample_blocks(pitches, requests, block, np.random.default_rng(seed))
        assert len(drawn) == requests
        size = min(block, 6)
        for at in range(0, requests, size):
            part = drawn[at : at + size]
            assert (np.diff(part) == 1).all()
            starts.add(part[0])
    assert starts == set(range(6 - min(block, 6) + 1))


def test_late_shares_end_at_nothing_and_all_and_half_the_runs_may_grow() -> None:
    growing, calm = np.linspace(1, 100, 400), np.full(400, 2.0)
    mixed = served([growing, calm, calm, growing], slo_ms=50.0)
    assert mixed["overloaded_runs"] == 2
    assert mixed["p99_ms"] == pytest.approx(np.median(mixed["p99_runs_ms"]))
    assert mixed["p99_runs_ms"][0] == pytest.approx(np.quantile(growing, 0.99))
    assert (mixed["late_low"], mixed["runs"]) == (0.0, 4)
    assert served([growing, growing, calm], slo_ms=50.0)["p99_ms"] is None
    assert served([growing + 60, calm, growing + 60], slo_ms=50.0)["late_high"] == 1.0
    assert served([calm, calm], slo_ms=2.0)["late_share"] == 0.0  # at the limit is in time


def test_visits_fit_the_budget_and_a_pause_counts() -> None:
    """Two subjects of 0.4 and 3 ms in ten rounds, with five discarded each."""
    keys = [SubjectKey(name, "onnx", "model_only", 1) for name in ("a", "b")]
    speed = dict(zip(keys, (0.4, 3.0), strict=True))

    def lengths(budget: float, pause: float = 0.0, timed: int = 100) -> list[int]:
        entries = [BenchEntry(key, TimedSubject("old", id, [0], timed, pause), "s") for key in keys]
        chosen = sized(entries, speed, 10, budget)
        assert [entry.subject.name for entry in chosen] == [str(key) for key in keys]
        assert {entry.subject.pause_s for entry in chosen} == {pause}
        return [entry.subject.timed for entry in chosen]

    whole = 10 * ((100 + DISCARD) * 0.4 + (66 + DISCARD) * 3.0) / 1000
    assert lengths(whole + 1e-9) == [100, 66]
    assert lengths(whole - 1e-6) == [100, 50]
    assert lengths(0.0) == [50, 50]
    assert lengths(whole + 1e-9, pause=0.001) == [50, 50]
    assert lengths(100.0, timed=8) == [8, 8]
    assert [visit_length(ms, 1.0) for ms in (1.0, 1.01, 1.25, 5.0)] == [100, 99, 80, 50]


@pytest.mark.parametrize("width", [200, 30])
def test_numbers_end_under_their_heads_and_no_row_takes_two_lines(width: int) -> None:
    rows = [row("a strategy of a long name", ms=0.9), row("b", ms=12.5), row("c", ms=123.5)]
    for content, rate in zip(rows, (9.0, 12_345.0, 123.0), strict=True):
        content["predicted_per_second"] = rate
    console = Console(file=io.StringIO(), width=width, color_system=None)
    facts = {"fingerprint": "f", "in_words": "m", "session_text": "s"}
    result = BenchResult(Recording.__new__(Recording), rows, facts)  # type: ignore[arg-type]
    console.print(bench_parts(result)[1])
    head, *lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 3
    if width == 200:
        for name, values in {
            "p50 ms": ("0.900", "12.500", "123.500"),
            "p99 ms": ("2.340", "177.500", "15462.200"),
            "busy": ("0/20",) * 3,
            "QPS": ("9", "12,345", "123"),
        }.items():
            end = head.index(name) + len(name)
            assert [line[:end].split()[-1] for line in lines] == list(values), name


@pytest.mark.parametrize(
    ("changes", "ended", "line"),
    [
        ({}, None, ""),
        ({}, "time", ", out of time"),
        ({}, "precise", ", precise enough"),
        ({}, "rounds", ", as many as asked for"),
        ({"between_p50": 0.01}, None, "; 3 sessions differ by 1.0% (sd) at p50"),
        (
            {"between_p50": 0.01, "between_p99": 0.05},
            "time",
            ", out of time; 3 sessions differ by 1.0% (sd) at p50 and 5.1% at p99",
        ),
    ],
)
def test_how_precise_and_how_repeatable_it_was_is_one_line(
    changes: dict[str, float], ended: str | None, line: str
) -> None:
    quality = {
        "sessions": 3, "rounds": 20, "visits": 60, "contended_visits": 7, "half_p50": 0.02,
        "half_p99": 5.5, "between_p50": None, "between_p99": None, **changes,
    }  # fmt: skip
    facts = {
        "fingerprint": "f00", "in_words": "a machine", "session_text": "one session",
        "quality": quality, "sessions": [{"ended": "rounds"}, {"ended": ended}] if ended else [],
    }  # fmt: skip
    lines = printed(BenchResult(Recording.__new__(Recording), [], facts))  # type: ignore[arg-type]
    text = " ".join(lines)
    start = text.index("what decides: ")
    assert text[start:] == (
        "what decides: 20 rounds, within 2.0% at p50 and no bound at p99, 7 of 60 visits waited"
        + line
    )
    quality["half_p99"] = 5.0
    again = printed(BenchResult(Recording.__new__(Recording), [], facts))  # type: ignore[arg-type]
    assert "and 14741.3% at p99, 7" in " ".join(again)


def test_a_graph_that_no_process_loads_says_the_end_of_its_error(tmp_path: Path) -> None:
    graph, feed = tmp_path / "scorer.onnx", tmp_path / "feed.npz"
    graph.write_bytes(b"no graph")
    with pytest.raises(RuntimeError, match="a fresh process cannot load it: ") as refused:
        cold_start(graph, feed)
    reason = str(refused.value).split("cannot load it: ")[1]
    assert len(reason) == 500
    assert "INVALID_PROTOBUF" in reason
    assert not reason.startswith("Traceback")
