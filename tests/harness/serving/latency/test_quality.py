"""What a session says of its own quality, from planted rows; and records of format 1."""

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest

from fusefront.harness.dossier.bench import (
    floors_of,
    latency_of,
    scope_gaps,
    session_quality,
    timed_rows,
)
from fusefront.harness.runs.records import NewerFormatError
from fusefront.harness.serving.latency.bench_record import (
    Bench,
    BenchFacts,
    BenchRow,
    quantile_of,
    read_bench_file,
)
from fusefront.harness.serving.latency.quality import (
    deciding,
    disturbances,
    floor_of,
    half_width,
    quality_of,
)
from fusefront.reports.evidence import Interval, SessionQuality


def row(strategy: str = "a", scope: str = "end_to_end", **values: Any) -> BenchRow:
    """p50 2 [1.8, 2.5], p99 4 [3.2, 6] of 20 rounds of 100."""
    known: dict[str, Any] = {
        "subject": f"{strategy}|onnx|{scope}|10", "strategy": strategy, "backend": "onnx",
        "scope": scope, "candidates": 10, "rounds": 20, "samples": 2000, "contended_visits": 3,
        "mean_ms": 2.1, "p50_ms": 2.0, "p50_low": 1.8, "p50_high": 2.5, "p95_ms": 3.0,
        "p95_low": 2.9, "p95_high": 3.1, "p99_ms": 4.0, "p99_low": 3.2, "p99_high": 6.0,
        "p99_at_least": False, "log_p50": [0.6, 0.7], "log_p99": [1.3, 1.4],
    }  # fmt: skip
    return cast(BenchRow, known | values)


def facts(**values: Any) -> BenchFacts:
    floors = [
        {"scope": "model_only", "candidates": 10, "floor_p50": 0.01, "floor_p99": 0.02},
        {"scope": "end_to_end", "candidates": 10, "floor_p50": 0.03, "floor_p99": 0.04},
    ]
    return cast(BenchFacts, {"floors": floors, "floor_p50": 0.3, "floor_p99": 0.4} | values)


def test_what_decides_is_end_to_end_on_what_ships_at_the_k_that_decides() -> None:
    rows = [
        row("a", "model_only"),
        row("a"),
        row("b", backend="eager"),
        row("c", candidates=50),
        row("d", "twin-end_to_end"),
    ]
    assert [r["scope"] for r in deciding(rows, 10).values()] == ["end_to_end"]
    assert list(deciding(rows, 50)) == ["c"]
    assert list(deciding(rows[:1], 10)) == ["a"]
    assert deciding(rows, 7) == {}


def test_the_floor_is_that_of_the_scope_or_else_the_largest() -> None:
    assert floor_of(facts(), [row()], "p50") == 0.03
    assert floor_of(facts(), [row("a", "model_only")], "p99") == 0.02
    assert floor_of(facts(), [row(candidates=50)], "p99") == 0.4
    assert floor_of(facts(), [], "p50") == 0.3
    old = facts(floors=[{"scope": "end_to_end", "candidates": 10, "floor_p50": 0.03}])
    assert floor_of(old, [row()], "p99") == 0.4  # of a record without one at p99
    assert floor_of(BenchFacts(), [row()], "p99") is None
    assert floors_of(None, []) == (0.0, 0.0)


def test_quality_counts_what_decides_and_nothing_else() -> None:
    rows = [
        row("a", rounds_by_session=[10, 10], between_p50=0.02, between_p99=None),
        row("b", samples=1500, contended_visits=8, between_p50=0.01),
        row("c", "model_only", samples=5, contended_visits=20),
    ]
    quality = quality_of(rows, facts(), 10)
    assert quality == {
        "sessions": 2,
        "rounds": 20,
        "samples": 1500,
        "visits": 40,
        "contended_visits": 11,
        "contended_share": pytest.approx(11 / 40),
        "floor_p50": 0.03,
        "floor_p99": 0.04,
        "half_p50": pytest.approx(math.log(2.5 / 2.0)),
        "half_p99": pytest.approx(math.log(6.0 / 4.0)),
        "between_p50": 0.02,
        "between_p99": None,
        "disturbed": [],
    }
    old = cast(dict[str, Any], row())
    del old["contended_visits"]  # of a record without them
    assert quality_of([cast(BenchRow, old)], facts(), 10)["contended_visits"] == 0
    bare = quality_of([], BenchFacts(), 10)
    assert (bare["sessions"], bare["visits"], bare["contended_share"]) == (0, 0, 0.0)
    assert (bare["samples"], bare["half_p50"]) == (None, None)


def test_an_open_end_or_too_few_requests_have_no_width() -> None:
    assert half_width([row(), row(p99_at_least=True)], "p99") == math.inf
    assert half_width([row(samples=999)], "p99") == math.inf
    assert half_width([row(samples=999)], "p50") == pytest.approx(math.log(1.25))
    assert half_width([row(p50_low=1.0)], "p50") == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("values", "reasons"),
    [
        ({}, []),
        ({"contended_visits": 10}, []),
        ({"contended_visits": 11}, ["11 of 20 visits waited for a core"]),
        ({"floor_p50": math.log(1.5)}, []),
        (
            {"floor_p50": math.log(1.6)},
            ["equal sessions differ by a factor of up to 1.6 at p50"],
        ),
        ({"floor_p99": math.log(2.0)}, []),
        (
            {"floor_p99": math.log(2.02)},
            ["equal sessions differ by a factor of up to 2.02 at p99"],
        ),
        ({"floor_p99": 7.8}, ["equal sessions differ by a factor of up to 2.44e+03 at p99"]),
        ({"floor_p99": 1e4}, ["equal sessions differ by a factor of up to 1e+06 at p99"]),
        ({"floor_p99": None, "floor_p50": None}, []),
    ],
)
def test_a_session_is_disturbed_by_waiting_or_by_twins_apart(
    values: dict[str, Any], reasons: list[str]
) -> None:
    known = facts(floors=[], floor_p50=values.get("floor_p50", 0.0),
                  floor_p99=values.get("floor_p99", 0.0))  # fmt: skip
    quality = quality_of([row(contended_visits=values.get("contended_visits", 0))], known, 10)
    assert quality["disturbed"] == disturbances(quality) == reasons


def test_under_a_thousand_requests_there_is_no_p99() -> None:
    assert quantile_of(row(samples=999), "p99") is None
    assert quantile_of(row(samples=1000), "p99") is not None
    assert quantile_of(row(samples=999), "p95") is not None
    short = latency_of(row(samples=300))
    assert (short.p99, short.log_p99, short.p50.value) == (None, (), 2.0)
    whole = latency_of(row(p99_at_least=True, rounds_by_session=[1, 1]))
    assert whole.p99 == (4.0, 3.2, 6.0)
    assert (whole.p99_open, whole.sessions) == (True, (1, 1))


def bench(rows: list[BenchRow], **values: Any) -> Bench:
    return cast(Bench, {"format": 1, "facts": facts(**values), "rows": rows})


def test_the_page_reads_quality_as_shares() -> None:
    lines = [
        {"session": "s", "started": "", "seconds": seconds, "rounds": 20, "visits": 40,
         "contended_visits": 1, "others": [], "ended": ended}
        for seconds, ended in ((30.0, "time"), (12.0, "precise"))
    ]  # fmt: skip
    own = session_quality(bench([row()], sessions=lines), 10)
    assert own == SessionQuality(
        1, 20, 20, 3, 2000, pytest.approx(math.expm1(0.03)), pytest.approx(math.expm1(0.04)),
        pytest.approx(0.25), pytest.approx(0.5), None, None, 42.0, ("time", "precise"), (),
    )  # fmt: skip
    old = session_quality(bench([row(p99_at_least=True)], session_seconds=88.0), 10)
    assert old is not None
    assert (old.seconds, old.half_p99, old.ended) == (88.0, None, ())
    assert session_quality(None, 10) is None
    assert session_quality(bench([row()]), 11) is None


def test_both_scopes_stand_beside_each_other_with_the_paired_gap() -> None:
    model = row("a", "model_only", log_p50=[math.log(1.0), math.log(2.0)])
    whole = row("a", log_p50=[math.log(1.5), math.log(2.7)], samples=10)
    (gap,) = scope_gaps(bench([model, whole, row("b")]), 10)
    # .5 and .7: mean .6, sd .1414, t(1) 12.706 / sqrt(2)
    half = 12.7062047 * 0.1 * math.sqrt(2) / math.sqrt(2)
    assert gap.gap == Interval(*(pytest.approx(v) for v in (0.6, 0.6 - half, 0.6 + half)))
    assert gap.model_only_p99 == Interval(4.0, 3.2, 6.0)
    assert gap.end_to_end_p99 is None
    bare = scope_gaps(bench([row("a", "model_only", log_p50=[], p50_ms=1.5), row("a")]), 10)
    assert bare[0].gap == Interval(0.5)
    assert scope_gaps(None, 10) == ()


def test_records_of_both_formats_are_read_and_a_newer_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for version in (None, 1, 2):
        record: dict[str, Any] = dict(bench([row()]))
        record |= {"format": version} if version else {}
        path.write_text(json.dumps({k: v for k, v in record.items() if v is not None}))
        assert timed_rows(read_bench_file(path), 10)["a"]["p50_ms"] == 2.0
    path.write_text(json.dumps({**bench([row()]), "format": 3}))
    with pytest.raises(NewerFormatError, match="format 3"):
        read_bench_file(path)
    without = row(p99_ms=None, p99_low=None, p99_high=None, log_p99=None)
    path.write_text(json.dumps(bench([without])))
    assert quantile_of(read_bench_file(path)["rows"][0], "p99") is None
