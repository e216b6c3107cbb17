"""One point of the report for each strategy: quality, latency, cost, verdict."""

from collections.abc import Mapping

import numpy as np

from fusefront.harness.decision.inputs import Inputs, Measured
from fusefront.harness.decision.latency import tail
from fusefront.harness.decision.policy import Policy, fits, limit_of
from fusefront.harness.dossier.inputs import parameters_of
from fusefront.harness.dossier.judged import Judged
from fusefront.harness.dossier.shown import interval, verdict
from fusefront.harness.runs.recipe import Training, in_words
from fusefront.harness.runs.records import RunSummary, SpecRecord, read_record
from fusefront.harness.runs.store import RunEntry
from fusefront.harness.serving.latency.bench_record import BenchRow, Costs
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.judging.table import in_words as needs_in_words
from fusefront.harness.statistics.power import Settle
from fusefront.harness.statistics.result_rows import Estimate, StrategyRow
from fusefront.reports.evidence import Interval, Point, Verdict
from fusefront.reports.words.verdicts import OPEN, WITHIN


def points(
    inputs: Inputs,
    policy: Policy,
    judged: Judged,
    comparison: Comparison,
    timed: Mapping[str, BenchRow],
    entries: list[RunEntry],
) -> tuple[Point, ...]:
    """The points in the order of the comparison; strategies without a completed run only appear
    among the runs."""
    runs: dict[str, list[RunEntry]] = {}
    for entry in entries:
        runs.setdefault(entry.strategy, []).append(entry)
    return tuple(
        _point(inputs, policy, judged, comparison, i, timed.get(c.name), runs.get(c.name, []))
        for i, c in enumerate(inputs.candidates)
    )


def _point(
    inputs: Inputs,
    policy: Policy,
    judged: Judged,
    comparison: Comparison,
    i: int,
    timed: BenchRow | None,
    runs: list[RunEntry],
) -> Point:
    costs: Costs = timed or Costs()
    candidate, front, outcome = inputs.candidates[i], judged.front, judged.outcome
    row = comparison.row(candidate.name)
    completed = [entry for entry in runs if entry.state == "completed"]
    summary = completed[0].summary if completed else RunSummary(run_id="")
    pivot = outcome.choice if outcome.choice is not None else outcome.subject
    reach = tail(candidate.latency, inputs.floor_p99) if candidate.latency else None
    word, against = standing(inputs, policy, i, inputs.today), standing(inputs, policy, i, pivot)
    needs = _needs(inputs, row, i, word, deciding=i == outcome.subject)
    return Point(
        strategy=candidate.name,
        family=candidate.family,
        auc=interval(inputs.auc[i]),
        gain=_gap(inputs, i, inputs.today),
        gain_vs_choice=_gap(inputs, i, pivot),
        role=_role(inputs, i),
        p50=interval(candidate.latency.p50) if candidate.latency else None,
        p99=interval(reach) if reach else None,
        p99_open=bool(candidate.latency and candidate.latency.p99_open),
        limit=limit_of(inputs, policy, i) if candidate.latency else None,
        mean_ms=timed["mean_ms"] if timed else None,
        feasible=fits(inputs, policy, i),
        on_front=front.on_front[i],
        on_frontier_probability=front.probability[i] if candidate.latency else None,
        in_best_set=row.in_best_set and bool(comparison.best_set),
        equivalent_to_choice=pivot == i or against in WITHIN,
        dominated_by=_name(inputs, front.dominated_by[i]),
        not_worth=_name(inputs, front.not_worth[i]),
        verdict=word,
        verdict_detail=_detail(needs, comparison.effect),
        verdict_vs_choice=against,
        rows_to_settle=needs.rows if needs else None,
        seeds_to_settle=needs.seeds if needs else None,
        effect_to_settle=comparison.effect if needs else None,
        seeds=len({entry.seed for entry in completed}),
        failed_seeds=sum(entry.state == "failed" for entry in runs),
        run_ids=tuple(entry.run_id for entry in completed),
        config_hash=completed[0].run_id if completed else "",
        parameters=parameters_of(summary),
        recipe=_recipe(completed[0]) if completed else "",
        macs_per_candidate=_whole(costs.get("macs_per_candidate")),
        bytes_per_item=_whole(costs.get("bytes_per_item")),
        bundle_bytes=_whole(costs.get("bundle_bytes")),
        cold_start_s=_seconds(costs.get("cold_start_ms")),
        cost_per_million=candidate.cost,
        metrics={
            name: estimate_interval(estimate)
            for name, estimate in row.metrics.items()
            if name != comparison.metric and np.isfinite(estimate.value)
        },
    )


def standing(inputs: Inputs, policy: Policy, i: int, other: int | None) -> Verdict:
    """The verdict that follows from the shown interval."""
    if other is None or other == i or not inputs.pairs.se[i, other] > 0:
        return ""
    return verdict(interval(inputs.pairs.shown(i, other, inputs.today)), policy.margin)


def estimate_interval(estimate: Estimate) -> Interval:
    """A metric with its interval, if it has one."""
    return interval(Measured(estimate.value, estimate.low, estimate.high))


def _gap(inputs: Inputs, i: int, other: int | None) -> Interval | None:
    if other is None:
        return None
    if i == other:
        return Interval(0.0, 0.0, 0.0)
    return interval(inputs.pairs.shown(i, other, inputs.today))


def _needs(
    inputs: Inputs, row: StrategyRow, i: int, word: Verdict, *, deciding: bool
) -> Settle | None:
    """What would decide between it and today's; computed again only for strategies that the
    decision names."""
    if word not in OPEN or inputs.today is None or inputs.today == i:
        return None
    if row.needs.rows is not None or row.needs.seeds is not None:
        return row.needs
    return inputs.settle(i, inputs.today) if deciding and inputs.settle else None


def _detail(needs: Settle | None, effect: float) -> str:
    """What would detect the declared effect; "" if neither rows nor seeds help, or if unknown."""
    return "" if needs is None else needs_in_words(needs, effect)


def _role(inputs: Inputs, i: int) -> str:
    candidate = inputs.candidates[i]
    if candidate.measuring_device:
        return "device"
    if i == inputs.today:
        return "baseline"
    return "control" if candidate.control else "candidate"


def _name(inputs: Inputs, i: int | None) -> str | None:
    return None if i is None else inputs.candidates[i].name


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _seconds(ms: float | None) -> Interval | None:
    return None if ms is None else Interval(ms / 1000)


def _recipe(entry: RunEntry) -> str:
    """The recipe that trained a run, in words; "" if the run has no spec."""
    path = entry.path / "model" / "spec.json"
    if not path.exists():
        return ""
    try:
        words = in_words(Training.model_validate(read_record(path, SpecRecord)["training"]))
    except ValueError:  # written by a version whose recipe had other keys
        return entry.recipe
    return words if entry.recipe in ("", "exact") else f"{entry.recipe}: {words}"
