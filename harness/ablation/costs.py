"""What a part adds to the cost of the whole strategy: counted, and measured if a session
timed it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fusefront.baselines.contract import Parts, Schema
from fusefront.harness.dossier.bench import latency_of
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.records import PairedDelta, PartCost, RunSummary, TimedDifference
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.serving.latency.bench_record import Bench, BenchRow, read_bench_file
from fusefront.harness.serving.latency.intervals import Difference
from fusefront.harness.serving.latency.pooling import pooled_difference
from fusefront.harness.serving.latency.quality import deciding, floor_of
from fusefront.harness.statistics.ratio import fieller
from fusefront.harness.testing.shapes import built_of

BYTES = 2  # bytes a number of an item's code, as it is served


@dataclass(frozen=True)
class StrategyCost:
    """The counted and the measured costs of one strategy."""

    summary: RunSummary
    code_bytes: float | None = None
    timed: BenchRow | None = None

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return sum(int(n) for key, n in self.summary.items() if key.startswith("parameters_"))  # type: ignore[call-overload]


def code_bytes(baseline: str, settings: Mapping[str, Json], schema: Schema, parts: Parts) -> float:
    """Bytes of an item's codes, as candidate and in histories (there one for each kind of event),
    at two bytes a number; counted without training."""
    model = built_of(parts.baselines[baseline], parts, settings, schema)
    places = (numbers.device for numbers in model.state_dict().values())
    with torch.no_grad(), next(places, torch.device("meta")):
        codes = model.encode_items(torch.arange(1))
    return float(BYTES * (codes.history.values.numel() + codes.candidate.values.numel()))


def session_of(folder: StudyFolder, place: str) -> Bench | None:
    """The session that timed the parts; None if none did."""
    path = folder.path / place / "bench.json"
    return read_bench_file(path) if path.exists() else None


def timed_rows(session: Bench | None, candidates: int) -> dict[str, BenchRow]:
    """Strategy -> its row for K candidates a request."""
    return deciding(session["rows"], candidates) if session else {}


def floors(session: Bench | None, timed: Sequence[BenchRow]) -> tuple[float, float]:
    """The log ratios at p50 and p99 within which repeated sessions differ; 0 if unknown."""
    if session is None:
        return 0.0, 0.0
    p50, p99 = (floor_of(session["facts"], timed, name) for name in ("p50", "p99"))
    return p50 or 0.0, p99 or 0.0


def part_cost(
    whole: StrategyCost, without: StrategyCost, gain: PairedDelta, floor: tuple[float, float]
) -> PartCost:
    """The cost of the whole strategy minus that without the part; AUC per millisecond only where
    the milliseconds are measurable."""
    cost: PartCost = {}
    macs = [each.summary.get("macs_per_candidate") for each in (whole, without)]
    if macs[0] is not None and macs[1] is not None:
        cost["macs"] = macs[0] - macs[1]
    cost["parameters"] = whole.parameters - without.parameters
    if whole.code_bytes is not None and without.code_bytes is not None:
        cost["code_bytes"] = whole.code_bytes - without.code_bytes
    if whole.timed is None or without.timed is None:
        return cost
    bundles = [row.get("bundle_bytes") for row in (whole.timed, without.timed)]
    if bundles[0] is not None and bundles[1] is not None:
        cost["bundle_bytes"] = bundles[0] - bundles[1]
    a, b = latency_of(whole.timed), latency_of(without.timed)
    p50 = _difference(a.log_p50, b.log_p50, a.sessions)
    if p50 is not None:
        cost["p50"] = _timed(p50, a.log_p50, b.log_p50, floor[0])
        if cost["p50"]["measurable"]:
            cost["auc_per_ms"] = _per_ms(gain, p50)
    p99 = _difference(a.log_p99, b.log_p99, a.sessions)
    if p99 is not None:
        cost["p99"] = _timed(p99, a.log_p99, b.log_p99, floor[1])
    return cost


def _difference(
    a: Sequence[float], b: Sequence[float], sessions: Sequence[int]
) -> Difference | None:
    """The difference in ms, paired by round; None if the rounds are not the same."""
    if len(a) != len(b) or len(a) < 2:
        return None
    return pooled_difference(np.exp(a).tolist(), np.exp(b).tolist(), sessions)


def _timed(
    change: Difference, a: Sequence[float], b: Sequence[float], floor: float
) -> TimedDifference:
    """The difference; measurable if its interval excludes 0 and it exceeds what repeated sessions
    differ by."""
    log = float(np.mean(a) - np.mean(b))
    apart = not change.low <= 0 <= change.high and abs(log) > floor
    low, high = change.low, change.high
    return {"ms": change.mean, "low": low, "high": high, "measurable": apart}


def _per_ms(gain: PairedDelta, change: Difference) -> dict[str, Json]:
    """Fieller's interval of the AUC gained per millisecond added."""
    se, df = gain.get("se"), gain.get("df")
    if se is None:
        return {}
    freedom = min(df if df is not None else math.inf, change.rounds - 1)
    ratio = fieller(-gain["delta"], change.mean, se**2, change.error**2, df=freedom)
    ends = [end if math.isfinite(end) else None for end in (ratio.low, ratio.high)]
    value = ratio.value if math.isfinite(ratio.value) else None
    return {"value": value, "low": ends[0], "high": ends[1], "shape": ratio.shape}
