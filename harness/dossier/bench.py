"""The latency session of a study in the form that the decision reads: one row a strategy."""

import math
from collections.abc import Iterable

import numpy as np

from fusefront.harness.decision.inputs import Latency, Measured
from fusefront.harness.dossier.shown import interval
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.serving.latency.bench_record import (
    QUANTILE_NAMES,
    Bench,
    BenchFacts,
    BenchRow,
    QuantileOfRow,
    quantile_of,
    read_bench_file,
)
from fusefront.harness.serving.latency.pooling import pooled_difference
from fusefront.harness.serving.latency.quality import BACKEND, deciding, floor_of, quality_of
from fusefront.reports.evidence import (
    Arriving,
    AtOnce,
    Interval,
    ScopeGap,
    ServedBy,
    SessionQuality,
)

MOST_LOG = 50.0  # a larger log ratio counts as infinite
FILE = "bench/bench.json"


def read_bench(study: StudyFolder) -> Bench | None:
    """bench.json, None if nothing was timed; raises UsageError if it holds latencies of two
    machines."""
    path = study.path / FILE
    if not path.exists():
        return None
    bench = read_bench_file(path)
    fingerprints = {row["fingerprint"] for row in bench["rows"] if "fingerprint" in row}
    fingerprints |= {bench["fingerprint"]} if bench.get("fingerprint") else set()
    if len(fingerprints) > 1:
        raise UsageError(
            f"{path}: got latencies of {len(fingerprints)} machines "
            f"({', '.join(sorted(fingerprints))}), expected one: latencies of two machines "
            "are not compared; run `fusefront bench` again"
        )
    return bench


def timed_rows(bench: Bench | None, candidates: int) -> dict[str, BenchRow]:
    """Strategy -> its row for K candidates; end to end if that was timed for all strategies."""
    return deciding(bench["rows"] if bench else [], candidates)


def session_quality(bench: Bench | None, candidates: int) -> SessionQuality | None:
    """How reliable the sessions are, as shares; None if nothing that decides was timed."""
    if bench is None or not deciding(bench["rows"], candidates):
        return None
    quality = quality_of(bench["rows"], bench["facts"], candidates)
    sessions = bench["facts"].get("sessions", [])
    alone = bench["facts"].get("session_seconds")  # of a record of format 1
    seconds = sum(line["seconds"] for line in sessions) if sessions else alone
    return SessionQuality(
        sessions=quality["sessions"],
        rounds=quality["rounds"],
        visits=quality["visits"],
        contended_visits=quality["contended_visits"],
        samples=quality["samples"],
        floor_p50=_share(quality["floor_p50"]),
        floor_p99=_share(quality["floor_p99"]),
        half_p50=_share(quality["half_p50"]),
        half_p99=_share(quality["half_p99"]),
        between_p50=_share(quality["between_p50"]),
        between_p99=_share(quality["between_p99"]),
        seconds=seconds,
        ended=tuple(line["ended"] for line in sessions),
        disturbed=tuple(quality["disturbed"]),
    )


def _share(log: float | None) -> float | None:
    """A log ratio as a share; None if it is unknown or infinite."""
    return None if log is None or log > MOST_LOG else math.expm1(log)


def scope_gaps(bench: Bench | None, candidates: int) -> tuple[ScopeGap, ...]:
    """For every strategy the difference between the model alone and the whole request, if both were
    timed."""
    shipped = [
        row
        for row in (bench["rows"] if bench else [])
        if row["backend"] == BACKEND and row["candidates"] == candidates
    ]
    model = {row["strategy"]: row for row in shipped if row["scope"] == "model_only"}
    whole = {row["strategy"]: row for row in shipped if row["scope"] == "end_to_end"}
    return tuple(_gap(name, model[name], whole[name]) for name in whole if name in model)


def _gap(strategy: str, model: BenchRow, whole: BenchRow) -> ScopeGap:
    """The paired difference of both p50, in which rounds are the pairs."""
    inner, outer = latency_of(model), latency_of(whole)
    gap = Interval(outer.p50.value - inner.p50.value)
    if len(inner.log_p50) == len(outer.log_p50) > 1:
        paired = pooled_difference(
            np.exp(outer.log_p50).tolist(), np.exp(inner.log_p50).tolist(), outer.sessions
        )
        gap = Interval(paired.mean, paired.low, paired.high)
    return ScopeGap(
        strategy,
        interval(inner.p50),
        interval(outer.p50),
        gap,
        _interval(inner.p99),
        _interval(outer.p99),
    )


def arriving(bench: Bench | None) -> tuple[Arriving, ...]:
    """Every strategy at every load that was measured behind a queue."""
    lines = bench["facts"].get("server", []) if bench else []
    return tuple(
        Arriving(
            line["strategy"],
            line["load"],
            line["per_second"],
            Interval(line["late_share"], line["late_low"], line["late_high"]),
            line["p99_ms"],
            line["runs"],
            line["overloaded_runs"],
        )
        for line in sorted(lines, key=lambda line: (line["per_second"], line["strategy"]))
    )


def at_once(bench: Bench | None) -> tuple[AtOnce, ...]:
    """Predictions a second if many requests are scored in one call."""
    lines = bench["facts"].get("offline", []) if bench else []
    return tuple(
        AtOnce(
            line["strategy"],
            line["backend"],
            line["requests_at_once"],
            line["candidates"],
            line["predictions_per_second"],
        )
        for line in lines
    )


def served_by(bench: Bench | None, candidates: int) -> tuple[ServedBy, ...]:
    """Every strategy on every backend for K candidates; () if only the shipped backend was
    timed."""
    rows = [
        row
        for row in (bench["rows"] if bench else [])
        if row["scope"] == "model_only" and row["candidates"] == candidates
    ]
    if not any(row["backend"] != BACKEND for row in rows):
        return ()
    return tuple(
        ServedBy(
            row["strategy"],
            row["backend"],
            interval(latency_of(row).p50),
            _interval(latency_of(row).p99),
            row.get("parity_max_difference"),
            row.get("auc_change"),
        )
        for row in sorted(rows, key=lambda row: (row["strategy"], row["p50_ms"]))
    )


def _interval(measured: Measured | None) -> Interval | None:
    return None if measured is None else interval(measured)


def latency_of(row: BenchRow) -> Latency:
    """The quantiles with intervals, and their logarithms by round; p99 only from 1,000
    requests on."""
    p50, p95, p99 = (quantile_of(row, name) for name in QUANTILE_NAMES)
    assert p50 is not None
    assert p95 is not None

    def measured(quantile: QuantileOfRow) -> Measured:
        return Measured(quantile["ms"], quantile["low"], quantile["high"])

    return Latency(
        measured(p50),
        measured(p95),
        measured(p99) if p99 else None,
        tuple(p50["log"]),
        tuple(p99["log"]) if p99 else (),
        p99_open=bool(p99 and p99["at_least"]),
        sessions=tuple(row.get("rounds_by_session", ())),
    )


def floors_of(bench: Bench | None, rows: Iterable[BenchRow]) -> tuple[float, float]:
    """The log ratios at p50 and p99 within which repeated sessions differ; 0 if unknown."""
    facts, timed = bench["facts"] if bench else BenchFacts(), list(rows)
    return floor_of(facts, timed, "p50") or 0.0, floor_of(facts, timed, "p99") or 0.0


def cost_of(row: BenchRow) -> float | None:
    """Money a million predictions, at the load that keeps the queue short, else of a core that is
    always busy."""
    costs = (
        row.get("cost_per_million_served"),
        row.get("cost_per_million_offline"),
        row.get("cost_per_million"),
    )
    return next((cost for cost in costs if cost is not None), None)
