"""The latency session of a study, as the decision reads it: one row a strategy."""

from collections.abc import Iterable

from fusefront.harness.decision.inputs import Latency, Measured
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json, read_json
from fusefront.harness.runs.store import StudyFolder

BACKEND = "onnx"  # what ships; other backends are shown by `bench`, not decided on
SCOPES = ("end_to_end", "model_only")  # the request as a caller sees it, where it was timed
QUANTILES = ("p50", "p95", "p99")
FILE = "bench/bench.json"


def read_bench(study: StudyFolder) -> dict[str, Json]:
    """bench.json, empty where nothing was timed; UsageError for two machines in one file."""
    path = study.path / FILE
    if not path.exists():
        return {}
    bench = read_json(path)
    seen = {str(row["fingerprint"]) for row in bench["rows"] if "fingerprint" in row}
    seen |= {str(bench["fingerprint"])} if bench.get("fingerprint") else set()
    if len(seen) > 1:
        raise UsageError(
            f"{path}: got latencies of {len(seen)} machines ({', '.join(sorted(seen))}), expected "
            "one: two fingerprints never share an axis; run `fusefront bench` again"
        )
    return bench


def timed_rows(bench: dict[str, Json], candidates: int) -> dict[str, dict[str, Json]]:
    """Strategy -> its row at K candidates, end to end if that was timed for all."""
    rows = [
        row
        for row in bench.get("rows", [])
        if row["backend"] == BACKEND and int(row["candidates"]) == candidates
    ]
    for scope in SCOPES:
        found = {str(row["strategy"]): row for row in rows if row["scope"] == scope}
        if found:
            return found
    return {}


def latency_of(row: dict[str, Json]) -> Latency:
    """Quantiles with intervals, and their logarithms by round."""
    p50, p95, p99 = (
        Measured(*(float(row[f"{name}_{end}"]) for end in ("ms", "low", "high")))
        for name in QUANTILES
    )
    logs = (tuple(float(v) for v in row.get(f"log_{name}") or ()) for name in ("p50", "p99"))
    return Latency(p50, p95, p99, *logs)


def floor_of(bench: dict[str, Json], rows: Iterable[dict[str, Json]]) -> float:
    """Log ratio at p50 within which equal sessions differ; the session's largest if in doubt."""
    facts = bench.get("facts", {})
    first = next(iter(rows), None)
    for line in facts.get("floors") or []:
        if first and (line["scope"], line["candidates"]) == (first["scope"], first["candidates"]):
            return float(line["floor_p50"])
    return float(facts.get("floor_p50") or 0.0)


def cost_of(row: dict[str, Json]) -> float | None:
    """Per million predictions at the load that keeps the queue short, else of a busy core."""
    for name in ("cost_per_million_served", "cost_per_million_offline", "cost_per_million"):
        if row.get(name) is not None:
            return float(row[name])
    return None
