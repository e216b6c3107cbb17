"""Scenarios beside the closed loop: offline throughput, and a server under fixed loads."""

from collections.abc import Callable, Sequence

import numpy as np

from fusefront.harness.serving.export.request import joined
from fusefront.harness.serving.latency.bench import BenchResult, SubjectKey
from fusefront.harness.serving.latency.bench_record import OfflineLine, ServedLoad, ServerLine
from fusefront.harness.serving.latency.parity_gate import Gated
from fusefront.harness.serving.latency.plan import BenchPlan, end_to_end
from fusefront.harness.serving.latency.server import open_loop, overloaded, poisson_schedule
from fusefront.harness.serving.latency.session import TimedSubject, visit

LOADS = (0.3, 0.5, 0.7)  # shares of the closed loop's capacity
REPEATS = 5  # runs at each load; runs are the clusters of the interval
LATEST_S = 0.5  # seconds of a run at a share of the capacity
OWN_S = 2.0  # seconds of a run at a rate that the user gave
OFFLINE_REQUESTS = 16  # at a time


def offline(
    plan: BenchPlan,
    gated: Sequence[Gated],
    at_once: Sequence[int] = (OFFLINE_REQUESTS,),
    rounds: int = 7,
) -> list[OfflineLine]:
    """Predictions a second if many requests are scored in one call; median over rounds."""
    lines: list[OfflineLine] = []
    for scorer in gated:
        if scorer.way != "onnx":
            continue
        arrived = plan.requests[plan.decide_at]
        for number in at_once:
            chosen = [arrived[i % len(arrived)] for i in range(number)]
            feed = joined([plan.lookup.feed(request) for request in chosen])
            subject = TimedSubject("offline", scorer.call, [scorer.select(feed)], timed=1)  # type: ignore[arg-type]
            took = [np.diff(visit(subject, 0, discard=1).times[-1])[0] for _ in range(rounds)]
            count = int(feed["candidates"].size)
            lines.append(
                {
                    "strategy": scorer.trained.name,
                    "backend": scorer.way,
                    "requests_at_once": number,
                    "candidates": plan.decide_at,
                    "predictions_per_second": float(count / (np.median(took) / 1e9)),
                }
            )
    return lines


def serve_loads(
    plan: BenchPlan,
    gated: Sequence[Gated],
    result: BenchResult,
    slo_ms: float,
    say: Callable[[str], None],
    loads: Sequence[float] = LOADS,
    qps: Sequence[float] = (),
) -> list[ServerLine]:
    """The baseline and the candidates for the operating point under fixed loads, several runs each.

    `loads` are shares of the closed loop's capacity, `qps` arrivals a second given by the user. The
    share of requests later than the limit decides; no quantile is given if the queue grew.
    """
    lines = []
    rng = np.random.default_rng(1)
    requests = plan.requests[plan.decide_at]
    for scorer in gated:
        if scorer.way != "onnx" or scorer.trained.name not in (
            plan.baseline,
            *plan.leaders,
        ):
            continue
        row = result.row(SubjectKey(scorer.trained.name, "onnx", "end_to_end", plan.decide_at))
        capacity = 1000 / row["mean_ms"]
        rates = [(load, load * capacity, LATEST_S, 200) for load in loads]
        rates += [(rate / capacity, rate, OWN_S, 5) for rate in qps]
        words = [*(f"{load}" for load in loads), *(f"{rate:g} a second" for rate in qps)]
        say(f"server: {scorer.trained.name} at loads {', '.join(words)}")
        for load, rate, seconds, fewest in rates:
            count = int(np.clip(rate * seconds, fewest, 2000))
            runs = []
            for _ in range(REPEATS):
                schedule = poisson_schedule(rate, count, rng)
                runs.append(
                    open_loop(end_to_end(scorer, plan.lookup), requests, schedule).latency_ms
                )
            lines.append(
                ServerLine(
                    strategy=scorer.trained.name,
                    load=load,
                    per_second=rate,
                    requests=count,
                    **served(runs, slo_ms),
                )
            )
    return lines


def served(
    runs: Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]], slo_ms: float
) -> ServedLoad:
    """The share of late requests with its interval over runs of latencies [requests] in ms, and the
    p99 (ms) of the runs whose queue did not grow."""
    from scipy import stats

    late = np.array([(run > slo_ms).mean() for run in runs])
    half = float(stats.t.ppf(0.975, len(runs) - 1) * late.std(ddof=1) / len(runs) ** 0.5)
    grown = sum(overloaded(run) for run in runs)
    p99 = [float(np.quantile(run, 0.99)) for run in runs]
    return {
        "late_share": float(late.mean()),
        "late_low": max(float(late.mean()) - half, 0.0),
        "late_high": min(float(late.mean()) + half, 1.0),
        "runs": len(runs),
        "overloaded_runs": grown,
        "p99_ms": None if grown * 2 > len(runs) else float(np.median(p99)),
        "p99_runs_ms": p99,
    }
