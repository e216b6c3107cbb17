"""Rows, floors and facts of a bench from planted samples; visit lengths; the server's summary."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fusefront.harness.serving.latency.bench import (
    BenchEntry,
    SubjectKey,
    paired,
    session_facts,
    sized,
    summarise,
    visit_length,
)
from fusefront.harness.serving.latency.intervals import difference
from fusefront.harness.serving.latency.scenarios import served
from fusefront.harness.serving.latency.session import (
    DISCARD,
    SAMPLES,
    VISITS,
    Recording,
    TimedSubject,
)

TODAY = SubjectKey("today", "onnx", "model_only", 100)
TWIN = SubjectKey("today", "onnx", "twin-model_only", 100)
FASTER = SubjectKey("faster", "onnx", "model_only", 100)


def _planted(scale: dict[SubjectKey, float], rounds: int = 20, timed: int = 100) -> Recording:
    """Log-normal latencies around a scale in ms; the discarded positions are a hundred times
    slower."""
    rng = np.random.default_rng(0)
    samples, visits = [], []
    for round_ in range(rounds):
        for order, (key, center) in enumerate(scale.items()):
            latency = center * 1e6 * rng.lognormal(0, 0.05, DISCARD + timed)
            latency[:DISCARD] *= 100
            start = np.cumsum(latency)
            samples.append(
                pl.DataFrame(
                    {
                        "session": "s",
                        "fingerprint": "f",
                        "subject": str(key),
                        "round": round_,
                        "order": order,
                        "position": np.arange(DISCARD + timed),
                        "start_ns": start.astype(np.int64),
                        "latency_ns": latency.astype(np.int64),
                        "scheduled_ns": None,
                        "request_id": 0,
                    },
                    schema=SAMPLES,
                )
            )
            busy = order == 0 and round_ < 3
            visits.append(("s", str(key), round_, order, 1, 0, 0, 0, 0, busy))
    return Recording(pl.concat(samples), pl.DataFrame(visits, schema=VISITS, orient="row"))


@pytest.fixture(scope="module")
def rows():
    scale = {TODAY: 1.0, TWIN: 1.0, FASTER: 0.8}
    return summarise(_planted(scale), scale)


def test_a_row_holds_the_planted_quantiles_and_their_intervals(rows):
    row = next(row for row in rows if row["strategy"] == "faster")
    for name, p in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        truth = 0.8 * stats.lognorm(0.05).ppf(p)
        assert row[f"{name}_low"] <= row[f"{name}_ms"] <= row[f"{name}_high"]
        assert row[f"{name}_ms"] == pytest.approx(truth, rel=0.02)
        assert len(row[f"log_{name}"]) == 20
    assert row["samples"] == 2000
    assert row["mean_ms"] == pytest.approx(0.8, rel=0.02)  # without the slow discarded ones


def test_contended_visits_are_counted_by_subject(rows):
    assert {row["subject"]: row["contended_visits"] for row in rows}[str(TODAY)] == 3
    assert sum(row["contended_visits"] for row in rows) == 3


def test_the_floor_is_that_of_the_twins(rows):
    facts = session_facts(rows, 100)
    results = {row["subject"]: row for row in rows}
    expected = difference(results[str(TODAY)]["log_p50"], results[str(TWIN)]["log_p50"]).floor
    assert facts["floor_p50"] == pytest.approx(expected)
    assert facts["smallest_p50"] > facts["floor_p50"]
    assert facts["visits"] == 60
    assert facts["contended_visits"] == 3


def test_a_planted_difference_is_found_by_pairs_of_rounds(rows):
    result = paired(rows, FASTER, TODAY)
    assert result.low <= np.log(0.8) <= result.high
    assert result.high < -session_facts(rows, 100)["floor_p50"]


def test_visits_of_slow_subjects_are_shorter_and_never_too_short_for_a_p99():
    assert [visit_length(ms) for ms in (0.1, 2.0, 2.5, 4.0, 100.0)] == [100, 100, 80, 50, 50]


def test_a_budget_shortens_visits_down_to_fifty():
    keys = [SubjectKey(str(i), "onnx", "model_only", 500) for i in range(10)]
    entries = [BenchEntry(key, TimedSubject(str(key), id, [0]), "s") for key in keys]
    speed = dict.fromkeys(keys, 1.5)
    rich = sized(entries, speed, 20, budget_s=1000.0)
    poor = sized(entries, speed, 20, budget_s=21.0)
    assert {entry.subject.timed for entry in rich} == {100}
    assert {entry.subject.timed for entry in poor} == {66}
    assert {entry.subject.timed for entry in sized(entries, speed, 20, 0.0)} == {50}


def test_a_server_tells_late_shares_over_runs_and_no_p99_of_a_growing_queue():
    rng = np.random.default_rng(0)
    calm = [rng.exponential(1.0, 1000) for _ in range(5)]
    result = served(calm, slo_ms=3.0)
    share = np.array([(run > 3.0).mean() for run in calm])
    oracle = stats.ttest_1samp(share, 0).confidence_interval(0.95)
    assert (result["late_low"], result["late_high"]) == pytest.approx((oracle.low, oracle.high))
    assert result["p99_ms"] == pytest.approx(np.median([np.quantile(run, 0.99) for run in calm]))
    growing = [np.linspace(1, 100, 1000) for _ in range(5)]
    assert served(growing, slo_ms=3.0)["p99_ms"] is None
    assert served(growing, slo_ms=3.0)["overloaded_runs"] == 5
