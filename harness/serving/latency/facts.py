"""Facts beside the quantiles: costs of the strategies, and a description of the session."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import torch

from fusefront.datasets.durable import temporary_folder
from fusefront.harness.runs.study import Study
from fusefront.harness.serving.export.online import eager_request
from fusefront.harness.serving.latency.bench import TWIN, BenchResult, SubjectKey
from fusefront.harness.serving.latency.bench_record import BenchFacts, BenchRow, Costs
from fusefront.harness.serving.latency.cost import cold_start, multiplications, per_million
from fusefront.harness.serving.latency.fingerprint import Machine, fingerprint, in_words
from fusefront.harness.serving.latency.kernel_counters import State
from fusefront.harness.serving.latency.parity_gate import Gated
from fusefront.harness.serving.latency.plan import BenchPlan
from fusefront.harness.serving.latency.server import predicted_ceiling
from fusefront.harness.serving.latency.session import DISCARD

_SHOWN = ("p50", "p99")


def attach_costs(
    result: BenchResult,
    plan: BenchPlan,
    gated: Sequence[Gated],
    first: Mapping[str, float],
    study: Study,
    *,
    cold: bool,
) -> None:
    """Add cost columns to the rows: bytes, multiplications, cold start, ceiling, money, parity."""
    rng = np.random.default_rng(0)
    for scorer in gated:
        facts = strategy_facts(plan, scorer, cold=cold)
        facts["first_call_ms"] = first.get(f"{scorer.trained.name}|{scorer.way}")
        for row in result.rows:
            same = row["strategy"] == scorer.trained.name and row["backend"] == scorer.way
            if same and not row["scope"].startswith(TWIN):
                row.update(cast(BenchRow, facts))
                row.update(cast(BenchRow, _money(result, row, study, rng)))
    _as_trained(result, plan)


def strategy_facts(plan: BenchPlan, scorer: Gated, *, cold: bool) -> Costs:
    """The costs that do not depend on K."""
    trained = scorer.trained
    feed = plan.lookup.feed(plan.requests[plan.decide_at][0])
    request = eager_request(trained.codes, feed)
    items = trained.schema.items + 1
    facts: Costs = {
        "parity_max_difference": scorer.parity.max_difference,
        "auc_change": scorer.parity.auc_change,
        "macs_per_candidate": multiplications(lambda: trained.model.score(request))
        / plan.decide_at,
        "macs_per_item_offline": multiplications(
            lambda: trained.model.encode_items(torch.tensor([1, min(2, items - 1)]))
        )
        / 2,
    }
    folder = trained.folder / f"{scorer.way}-{trained.rows}"
    if folder.is_dir():
        facts["bundle_bytes"] = sum(path.stat().st_size for path in folder.iterdir())
        tables = sum(path.stat().st_size for path in folder.glob("*.bin"))
        facts["bytes_per_item"] = tables / items
        graph = folder / "scorer.onnx"
        if cold and graph.exists():  # a plug-in backend may write other files there
            facts.update(_cold(graph, scorer.select(feed)))
    return facts


def _cold(graph: Path, feed: Mapping[str, np.ndarray]) -> Costs:
    with temporary_folder("cold-start") as folder:
        path = Path(folder) / "feed.npz"
        np.savez(path, **feed)  # type: ignore[arg-type]
        started = cold_start(graph, path)
    return {
        "cold_start_ms": started.total_s * 1000,
        "cold_load_ms": started.load_s * 1000,
        "cold_first_ms": started.first_s * 1000,
        "peak_rss_bytes": started.peak_bytes,
    }


def _money(result: BenchResult, row: BenchRow, study: Study, rng: np.random.Generator) -> Costs:
    """The undisturbed ceiling from pitches, and the money for a million predictions at that
    load."""
    if row["scope"] not in ("model_only", "end_to_end"):
        return {}
    pitches = pitches_ms(result, row["subject"])
    limit = study.slo_ms
    ceiling = predicted_ceiling(pitches, limit, rng, block=100)
    mean, k = float(pitches.mean()), row["candidates"]
    price = study.money.price_per_core_hour
    return {
        "predicted_load": ceiling.load,
        "predicted_per_second": ceiling.per_second,
        "predicted_limit_ms": limit,
        "core_ms": mean,
        "cost_per_million_offline": per_million(price, mean, k, 1.0),
        "cost_per_million_served": per_million(price, mean, k, ceiling.load)
        if ceiling.load > 0
        else None,
    }


def pitches_ms(result: BenchResult, subject: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """[pitches] ms from one start to the next within visits: the service time that a server
    sees."""
    own = result.recording.samples.filter(pl.col("subject") == subject)
    own = own.sort("session", "round", "position")
    pitch = own.with_columns(
        (pl.col("start_ns").shift(-1).over("session", "round") - pl.col("start_ns")).alias("pitch")
    ).filter((pl.col("position") >= DISCARD) & pl.col("pitch").is_not_null())
    return pitch["pitch"].to_numpy() / 1e6


def _as_trained(result: BenchResult, plan: BenchPlan) -> None:
    """The p50 with items encoded within the request, beside the p50 with cached codes."""
    k = plan.decide_at
    by_strategy = {row["strategy"]: row for row in result.rows if row["scope"] == "as_trained"}
    for row in result.rows:
        same = row["backend"] == "onnx" and row["scope"] == "model_only" and row["candidates"] == k
        if same and row["strategy"] in by_strategy:
            row["as_trained_p50_ms"] = by_strategy[row["strategy"]]["p50_ms"]


def describe_session(
    result: BenchResult,
    machine: Machine,
    before: State,
    after: State,
    seconds: float,
    busy: list[str],
    plan: BenchPlan,
) -> None:
    """Describe the session: machine, duration, other processes."""
    facts = result.facts
    samples = result.recording.samples  # of the last session: other sessions have other clocks
    last = samples["session"][-1] if len(samples) else ""
    loop = samples.filter(pl.col("session") == last)["start_ns"]
    spread = (int(loop.max()) - int(loop.min())) / 1e9 if len(loop) else 0.0  # type: ignore[arg-type]
    words = in_words(machine)
    floor = next((row["p50_ms"] for row in result.rows if row["scope"] == "floor"), None)
    stalled = _since(before.stalled_us, after.stalled_us)
    described: BenchFacts = {
        "fingerprint": fingerprint(machine),
        "identity": machine,
        "in_words": words,
        "hardware": words.split(", ONNX")[0],
        "runtime": "ONNX" + words.split(", ONNX")[-1],
        "seconds": seconds,
        "session_seconds": spread,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "decide_at": plan.decide_at,
        "baseline": plan.baseline,
        "mean_history": plan.mean_history,
        "call_floor_ms": floor,
        "others": busy,
        "stalled_share": None if stalled is None else stalled / 1e6 / seconds,
        "steal_s": _since(before.steal_s, after.steal_s),
        "load_average": after.load,
    }
    facts.update(described)
    key = str(SubjectKey(plan.baseline, "onnx", "model_only", plan.decide_at))
    own = next((row for row in result.rows if row["subject"] == key), None)  # None: not timed
    facts["load"] = None if own is None else own.get("predicted_load")
    facts["session_text"] = session_text(facts)


def _pair(facts: BenchFacts, kind: str) -> str:
    """A log ratio at p50 and at p99, as text; the second only if a p99 is given."""
    half, tail = (cast(dict[str, float | None], facts)[f"{kind}_{name}"] for name in _SHOWN)
    assert half is not None
    first = "" if kind == "smallest" else " at p50"
    last = "" if kind == "smallest" else " at p99"
    return f"{half:.1%}{first}" + ("" if tail is None else f" and {tail:.1%}{last}")


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def session_text(facts: BenchFacts) -> str:
    """What the intervals cover, in one or two sentences."""
    lines = facts.get("sessions", [])
    during = f"one session of {facts['session_seconds']:.0f} s"
    if len(lines) > 1:
        during = f"{len(lines)} sessions of {sum(line['seconds'] for line in lines):.0f} s"
    text = (
        f"this machine during {during};"
        f" {facts['contended_visits']} of {facts['visits']} visits waited for a core"
    )
    if facts["floor_p50"] is not None:
        kinds = [_pair(facts, kind) for kind in ("floor", "smallest")]
        text += (
            f"; equal sessions differ by up to {kinds[0]}, the smallest differences it could have"
            f" found are {kinds[1]}"
        )
    busy = facts["others"]
    return text + (f"; beside it ran {', '.join(busy[:5])}" if busy else "; nothing else ran")
