"""Turns a study's comparison, bench and runs into the inputs of a decision."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusefront.datasets.errors import DataContractError
from fusefront.harness.decision.inputs import Candidate, Inputs, Measured, Pairs
from fusefront.harness.dossier.bench import (
    cost_of,
    floors_of,
    latency_of,
    session_quality,
    timed_rows,
)
from fusefront.harness.dossier.load import is_device
from fusefront.harness.errors import NothingToDoError
from fusefront.harness.runs.records import (
    NewerFormatError,
    RunSummary,
    read_record,
    starting_with,
)
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.serving.latency.bench_record import Bench, BenchRow
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.power import Settle, settle
from fusefront.harness.statistics.record_types import ComparisonRecord

COMPARISON = "comparison.json"


def read_comparison(study: StudyFolder, entries: list[RunEntry]) -> Comparison:
    """comparison.json if it is of the completed runs, else a new comparison (opens test, recorded).

    If the baseline has no completed run, the first complete strategy takes its place. An unreadable
    comparison.json is made again, and a note says so.
    """
    path = study.path / COMPARISON
    runs, damaged = by_strategy(entries), ""
    if path.exists():
        try:
            comparison = stored_comparison(path)
        except NewerFormatError:
            raise
        except DataContractError as error:
            damaged = f"Damaged: {error}; it was made again."
        else:
            if {row.name: row.seeds for row in comparison.strategies if row.seeds} == {
                name: len(completed) for name, completed in runs.items()
            }:
                return comparison
    from fusefront.harness.dossier.comparison import compare_study, study_options

    options = study_options(study)
    if options.baseline not in runs and runs:
        options = replace(options, baseline=next(iter(runs)))
    comparison = compare_study(study, options)
    return replace(comparison, warnings=(*comparison.warnings, *filter(None, [damaged])))


def stored_comparison(path: Path) -> Comparison:
    """comparison.json as written; raises DataContractError, which says what is wrong."""
    record = read_record(path, ComparisonRecord)
    try:
        return Comparison.from_dict(record)
    except ValueError as error:
        raise DataContractError(
            f"{path}: not a comparison as it was written ({error}); delete it and compare again"
        ) from None


def by_strategy(entries: list[RunEntry]) -> dict[str, list[RunEntry]]:
    """The completed runs of each strategy, in the order of the study."""
    runs: dict[str, list[RunEntry]] = defaultdict(list)
    for entry in entries:
        if entry.state == "completed":
            runs[entry.strategy].append(entry)
    return dict(runs)


def study_inputs(
    study: StudyFolder, comparison: Comparison, bench: Bench | None, entries: list[RunEntry]
) -> Inputs:
    """The inputs; their axes follow the comparison's strategies, so strategies without a completed
    run are missing.

    Raises:
        NothingToDoError: no strategy of the study can be compared.
    """
    model = comparison.model
    if not model.names:
        raise NothingToDoError(
            f"study {study.name!r} has no comparable strategy; `fusefront run` it"
        )
    runs, rows = by_strategy(entries), timed_rows(bench, study.spec.latency.decide_at)
    baseline = study.spec.baseline
    today = model.index(baseline) if baseline in model.names else None
    floor, floor_p99 = floors_of(bench, rows.values())
    quality = session_quality(bench, study.spec.latency.decide_at)
    return Inputs(
        candidates=tuple(
            _candidate(study, name, int(model.n[i]), runs.get(name, []), rows.get(name))
            for i, name in enumerate(model.names)
        ),
        auc=tuple(_auc(comparison, name) for name in model.names),
        pairs=pairs_of_comparison(comparison),
        today=today,
        clusters=comparison.mc,
        floor=floor,
        floor_p99=floor_p99,
        disturbed=quality.disturbed if quality else (),
        bench=bool(rows),
        bench_command=study.command("bench"),
        settle=_settler(comparison),
        controlled=study.spec.controlled,
    )


def pairs_of(model: JointModel, c_all: float, c_base: float) -> Pairs:
    """The differences as the policy reads them; errors are NaN where there is no interval."""
    se = model.se if model.has_intervals else np.full(model.K.shape, np.nan)
    df = np.nan_to_num(np.minimum(model.dfs, 1e9), nan=1.0)
    return Pairs(model.diff, se, df, c_all, c_base, model.seed_part, model.level)


def pairs_of_comparison(comparison: Comparison) -> Pairs:
    """The differences, each with the interval that the comparison shows."""
    model = comparison.model
    return replace(
        pairs_of(model, comparison.c_all, comparison.c_base),
        controls=np.array([comparison.row(name).family == "controls" for name in model.names]),
        c_controls=comparison.c_controls,
        c_strategies=comparison.c_strategies,
    )


def parameters_of(summary: RunSummary) -> dict[str, int]:
    """Role -> number of parameters.

    Raises:
        DataContractError: a number is missing in the run's summary.
    """
    counts = starting_with(summary, "parameters_")
    if wrong := [role for role, count in counts.items() if not np.isfinite(count)]:
        raise DataContractError(
            f"run {summary['run_id']}: got no number for 'parameters_{wrong[0]}' in its "
            "summary.json; delete the run's folder and run the study again"
        )
    return {role: int(count) for role, count in counts.items()}


def _candidate(
    study: StudyFolder,
    name: str,
    seeds: int,
    runs: list[RunEntry],
    row: BenchRow | None,
) -> Candidate:
    first = runs[0] if runs else None
    sizes = parameters_of(first.summary) if first else {}
    return Candidate(
        name=name,
        family=first.family if first else "",
        control=first is not None and first.role == "control",
        measuring_device=is_device(study, name),
        seeds=seeds,
        parameters=sum(sizes.values()),
        latency=latency_of(row) if row else None,
        cost=cost_of(row) if row else None,
        core_ms=row.get("core_ms") or row["mean_ms"] if row else None,
    )


def _auc(comparison: Comparison, name: str) -> Measured:
    estimate = comparison.row(name).metrics[comparison.metric]
    return Measured(estimate.value, estimate.low, estimate.high)


def _settler(comparison: Comparison) -> Callable[[int, int], Settle]:
    """A function that gives the rows or seeds with which the interval of a pair would detect the
    declared effect."""

    def needed(a: int, b: int) -> Settle:
        row = comparison.row(comparison.model.names[a])
        if row.needs.rows is not None or row.needs.seeds is not None:
            return row.needs
        model = comparison.model
        alpha = model.alone_alpha(a, b, comparison.critical(model.names[a], model.names[b]))
        return settle(model, comparison.rows, a, b, comparison.effect, alpha)

    return needed
