"""The latency session of a study, as the decision reads it: one row a strategy."""

from collections.abc import Iterable

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
from fusefront.reports.evidence import ServedBy

BACKEND = "onnx"  # what ships; other backends are shown by `bench`, not decided on
SCOPES = ("end_to_end", "model_only")  # the request as a caller sees it, where it was timed
FILE = "bench/bench.json"


def read_bench(study: StudyFolder) -> Bench | None:
    """bench.json, None where nothing was timed; UsageError for two machines in one file."""
    path = study.path / FILE
    if not path.exists():
        return None
    bench = read_bench_file(path)
    fingerprints = {row["fingerprint"] for row in bench["rows"] if "fingerprint" in row}
    fingerprints |= {bench["fingerprint"]} if bench.get("fingerprint") else set()
    if len(fingerprints) > 1:
        raise UsageError(
            f"{path}: got latencies of {len(fingerprints)} machines "
            f"({', '.join(sorted(fingerprints))}), expected one: two fingerprints never share an "
            "axis; run `fusefront bench` again"
        )
    return bench


def timed_rows(bench: Bench | None, candidates: int) -> dict[str, BenchRow]:
    """Strategy -> its row at K candidates, end to end if that was timed for all."""
    rows = [
        row
        for row in (bench["rows"] if bench else [])
        if row["backend"] == BACKEND and row["candidates"] == candidates
    ]
    for scope in SCOPES:
        timed = {row["strategy"]: row for row in rows if row["scope"] == scope}
        if timed:
            return timed
    return {}


def served_by(bench: Bench | None, candidates: int) -> tuple[ServedBy, ...]:
    """Every strategy on every backend at K candidates, () where what ships is the only one."""
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
            interval(latency_of(row).p99),
            row.get("parity_max_difference"),
            row.get("auc_change"),
        )
        for row in sorted(rows, key=lambda row: (row["strategy"], row["p50_ms"]))
    )


def latency_of(row: BenchRow) -> Latency:
    """Quantiles with intervals, and their logarithms by round."""
    p50, p95, p99 = (quantile_of(row, name) for name in QUANTILE_NAMES)

    def measured(quantile: QuantileOfRow) -> Measured:
        return Measured(quantile["ms"], quantile["low"], quantile["high"])

    logs = tuple(p50["log"]), tuple(p99["log"])
    return Latency(measured(p50), measured(p95), measured(p99), *logs)


def floor_of(bench: Bench | None, rows: Iterable[BenchRow]) -> float:
    """Log ratio at p50 within which equal sessions differ; the session's largest if in doubt."""
    facts = bench["facts"] if bench else BenchFacts()
    first = next(iter(rows), None)
    for line in facts.get("floors", []):
        if first and (line["scope"], line["candidates"]) == (first["scope"], first["candidates"]):
            return line["floor_p50"]
    return float(facts.get("floor_p50") or 0.0)


def cost_of(row: BenchRow) -> float | None:
    """Money per million predictions at the load that keeps the queue short, else of a busy core."""
    costs = (
        row.get("cost_per_million_served"),
        row.get("cost_per_million_offline"),
        row.get("cost_per_million"),
    )
    return next((cost for cost in costs if cost is not None), None)
