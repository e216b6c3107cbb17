"""How reliable latency sessions are, and when they are too disturbed for a decision.

Only the subjects that a decision uses count: the shipped backend, at the K and in the scope that
decide. Ratios are natural logarithms.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from fusefront.harness.serving.latency.bench_record import (
    BenchFacts,
    BenchRow,
    Quality,
    Quantile,
    floor_of_line,
    quantile_of,
)

BACKEND = "onnx"  # ships; other backends are shown and do not decide
SCOPES = ("end_to_end", "model_only")  # the whole request, if it was timed
CONTENDED = 0.5  # share of visits that waited for a core; above it the median visit waited
APART: Mapping[Quantile, float] = {"p50": 1.5, "p99": 2.0}  # factors between equal sessions


def deciding(rows: Iterable[BenchRow], candidates: int) -> dict[str, BenchRow]:
    """Strategy -> its row for K candidates; end to end if that was timed for any strategy."""
    shipped = [r for r in rows if r["backend"] == BACKEND and r["candidates"] == candidates]
    for scope in SCOPES:
        timed = {row["strategy"]: row for row in shipped if row["scope"] == scope}
        if timed:
            return timed
    return {}


def floor_of(facts: BenchFacts, rows: Iterable[BenchRow], name: Quantile) -> float | None:
    """How far equal sessions differ in the scope of the rows; the largest known value if in
    doubt."""
    first = next(iter(rows), None)
    for line in facts.get("floors", []):
        same = first and (line["scope"], line["candidates"]) == (
            first["scope"],
            first["candidates"],
        )
        if same and floor_of_line(line, name) is not None:
            return floor_of_line(line, name)
    return cast(dict[str, float | None], facts).get(f"floor_{name}")


def quality_of(rows: Sequence[BenchRow], facts: BenchFacts, candidates: int) -> Quality:
    """The quality of the sessions for deciding; also works for records of format 1."""
    timed = list(deciding(rows, candidates).values())
    visits = sum(row["rounds"] for row in timed)
    contended = sum(row.get("contended_visits", 0) for row in timed)
    samples = [row["samples"] for row in timed if "samples" in row]
    quality: Quality = {
        "sessions": max((len(row.get("rounds_by_session", [0])) for row in timed), default=0),
        "rounds": max((row["rounds"] for row in timed), default=0),
        "samples": min(samples) if len(samples) == len(timed) and samples else None,
        "visits": visits,
        "contended_visits": contended,
        "contended_share": contended / visits if visits else 0.0,
        "floor_p50": floor_of(facts, timed, "p50"),
        "floor_p99": floor_of(facts, timed, "p99"),
        "half_p50": half_width(timed, "p50"),
        "half_p99": half_width(timed, "p99"),
        "between_p50": _largest(row.get("between_p50") for row in timed),
        "between_p99": _largest(row.get("between_p99") for row in timed),
        "disturbed": [],
    }
    quality["disturbed"] = disturbances(quality)
    return quality


def half_width(rows: Iterable[BenchRow], name: Quantile) -> float | None:
    """The widest half width of the rows' intervals; infinite if an end is open, None without
    intervals."""
    widths = []
    for row in rows:
        if (own := quantile_of(row, name)) is None:
            return math.inf
        ends = math.log(own["high"] / own["ms"]), math.log(own["ms"] / own["low"])
        widths.append(math.inf if own["at_least"] else max(ends))
    return max(widths, default=None)


def disturbances(quality: Quality) -> list[str]:
    """Why the sessions cannot support a decision, in words; [] if they can."""
    reasons = []
    if quality["contended_share"] > CONTENDED:
        reasons.append(
            f"{quality['contended_visits']} of {quality['visits']} visits waited for a core"
        )
    for name, most in APART.items():
        floor = cast(dict[str, float | None], quality)[f"floor_{name}"]
        if floor is not None and floor > math.log(most):
            factor = min(math.exp(min(floor, 50.0)), 1e6)
            reasons.append(f"equal sessions differ by a factor of up to {factor:.3g} at {name}")
    return reasons


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
