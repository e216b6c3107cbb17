"""`fusefront ablate`: train the missing runs, then report what each part is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from rich.console import Console

from fusefront.datasets.locks import Tell, Wait, lock_file, locked
from fusefront.harness.ablation.costs import (
    StrategyCost,
    code_bytes,
    floors,
    part_cost,
    session_of,
    timed_rows,
)
from fusefront.harness.ablation.deltas import AblationScores
from fusefront.harness.ablation.findings import surest_first, takes_over_limit
from fusefront.harness.ablation.path import BuildPath
from fusefront.harness.ablation.plan import OWN, AblatedStrategy
from fusefront.harness.ablation.planned import Planned, plan_ablation, record_name
from fusefront.harness.ablation.routes import crossed_path, ordered_path, trained_path
from fusefront.harness.dossier.sections import ablation_of
from fusefront.harness.errors import FusefrontError
from fusefront.harness.jobs.pipeline import StudyRequest, at_work, end
from fusefront.harness.jobs.train import fill, tune
from fusefront.harness.runs.files import digest, write_json
from fusefront.harness.runs.records import (
    AblationRecord,
    AblationRow,
    PairedDelta,
    PartCost,
    PathChoice,
    read_record,
)
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.serving.latency.bench_record import BenchRow
from fusefront.harness.training.build import read_spec
from fusefront.reports.words.building import build_first, removals

FROZEN = "frozen at the parent's"
RETUNED = "tuned again, each with the study's budget"
ROLES = ("strategy", "control", "ablation")


@dataclass(frozen=True)
class AblationOptions:
    """Which plan is trained, and what is done besides."""

    design: str = "minimal"  # or full, factorial, a YAML file
    path: bool | None = None  # also train a path from the plainest strategy, one part a step
    # None: in the frozen mode; re-tuned, every strategy on it is searched, too
    greedy: bool = False  # each step of the path adds the part with the largest gain
    retune: bool = False  # search again for every removal, with the study's budget
    bench: bool = False  # also time the whole and each strategy without a part, in one session

    def has_path(self, *, crossed: bool) -> bool:
        """Whether a path is wanted; that of `crossed` parts costs no training."""
        if self.path is None:
            return crossed or self.greedy or not self.retune
        return self.path


def ablate_study(
    request: StudyRequest, of: str, console: Console, options: AblationOptions | None = None
) -> AblationRecord:
    """Train the runs that the ablation of `of` lacks; returns its record, one row a removal.

    A delta is the ablated strategy minus the parent: that of a useful part is negative in AUC.
    """
    options = options or AblationOptions()
    with at_work(request.out, console):
        planned = plan_ablation(request, of, console, options.design, retuned=options.retune)
        name = digest([planned.plan.study.name, record_name(of, planned.name)])
        wait = Wait(f"waiting for another {planned.name} ablation of {of} to end", _plain(console))
        with locked(lock_file(request.out, "ablation", name), wait):
            return _ablate(planned, request, of, console, options)


def _ablate(
    planned: Planned, request: StudyRequest, of: str, console: Console, options: AblationOptions
) -> AblationRecord:
    plan, workspace = planned.plan, planned.workspace
    file = workspace.folder / record_name(of, planned.name)
    way = BuildPath([], [])
    try:
        _search(planned, planned.removed)
        cells = planned.cells_of(planned.removed)
        _write_cells(planned, of, cells)
        failed = fill(plan, workspace, cells, "ablation run")
        if options.has_path(crossed=planned.designed.crossed):
            way, lost = _way(planned, of, cells, greedy=options.greedy)
            failed += lost
    finally:
        end(workspace)
    folder = StudyFolder(workspace.root, workspace.folder, plan.study, ablation=file.name)
    if options.bench:
        _time(folder, planned, of, request, console)
    record: AblationRecord = {
        **read_record(file, AblationRecord),
        "hyper_parameters": RETUNED if options.retune else FROZEN,
    }
    scores = AblationScores.open(folder, of)
    record["rows"] = _rows(scores, planned, of)
    record["first"] = surest_first(record["rows"])
    if way.parts and not (way.open or _lacking(folder, way)):
        names = [*(each.name for each in way.strategies), of]
        record["path"] = {**scores.path(names, way.parts, way.base), **_choice(way)}
    if planned.designed.crossed:
        factors, levels = _crossed(planned, {row["strategy"] for row in record["rows"]})
        record["effects"], record["auc"] = scores.effects(factors, {of: (), **levels})
    if planned.designed.name == "modalities":
        measured = {row["strategy"] for row in record["rows"]}
        out = {
            each.name: frozenset(word for _, word in each.levels if word != OWN)
            for each in planned.removed
            if each.name in measured
        }
        record["shares"] = scores.shares(
            planned.workbench.modalities, {of: frozenset[str](), **out}
        )
    ablation = ablation_of(record, plan.study.margin)
    if ablation is not None and removals(ablation):  # cells of a factorial plan do not rank parts
        record["sentences"] = [sentence.text for sentence in build_first(ablation, "en")]
    write_json(file, record)
    if failed:
        raise FusefrontError(f"{len(failed)} ablation runs failed; first reason: {failed[0][1]}")
    return record


def _plain(console: Console) -> Tell:
    return lambda line: console.print(line, markup=False)


def _write_cells(planned: Planned, of: str, cells: list[Cell]) -> None:
    written = [cell.to_json() for cell in cells]
    name = planned.name
    path = planned.workspace.folder / record_name(of, name)
    write_json(path, {"format": 1, "of": of, "plan": name, "cells": written})


def _search(planned: Planned, strategies: Sequence[AblatedStrategy]) -> None:
    """Search each of them with the study's budget, if the ablation is re-tuned."""
    if planned.retuned and strategies:
        planned.winners.update(tune(*planned.retuning(strategies)).params)


def _way(
    planned: Planned, of: str, cells: list[Cell], *, greedy: bool
) -> tuple[BuildPath, list[tuple[Cell, str]]]:
    """The path, trained and recorded beside `cells`, and its runs that failed."""
    if planned.designed.crossed:
        return crossed_path(planned), []
    failed: list[tuple[Cell, str]] = []
    every = list(cells)

    def train(strategies: list[AblatedStrategy]) -> None:
        _search(planned, strategies)
        present = {(cell.strategy, cell.seed) for cell in every}
        added = planned.cells_of(strategies)
        every.extend(c for c in added if (c.strategy, c.seed) not in present)
        _write_cells(planned, of, every)
        failed.extend(fill(planned.plan, planned.workspace, added, "path run"))

    if greedy:
        return trained_path(planned, train), failed
    way = ordered_path(planned)
    train(way.strategies)
    return way, failed


def _choice(way: BuildPath) -> PathChoice:
    """How the order of the path was chosen."""
    if not way.greedy:
        return {"choice": "order"}
    rivals = [dict(each) for each in way.rivals]
    return {"choice": "greedy", "rivals": rivals, "untrained": way.untrained}


def _lacking(folder: StudyFolder, way: BuildPath) -> bool:
    complete = {entry.strategy for entry in folder.completed(roles=ROLES)}
    return not {each.name for each in way.strategies} <= complete


def _crossed(
    planned: Planned, measured: set[str]
) -> tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]:
    """The levels of every factor, the parent's first, and the levels of each cell that was
    measured."""
    factors = {
        factor.name: [OWN, *(level.word for level in factor.levels)]
        for factor in planned.designed.factors
    }
    cells = {
        each.name: tuple(level for _, level in each.levels)
        for each in planned.removed
        if each.name in measured
    }
    return factors, cells


def _place(of: str, planned: Planned) -> str:
    """The folder of the session that times the parts."""
    return "bench-" + record_name(of, planned.name).removesuffix(".json")


def _time(
    folder: StudyFolder, planned: Planned, of: str, request: StudyRequest, console: Console
) -> None:
    from fusefront.harness.serving.latency.study import BenchOptions, bench_study

    latency = folder.spec.latency
    options = BenchOptions(
        rounds=latency.rounds,
        candidates=(latency.decide_at,),
        decide_at=latency.decide_at,
        end_to_end=False,
        server=False,
        as_trained=False,
        include=tuple(request.include),
        strategies=(of, *(each.name for each in planned.removed)),
        place=_place(of, planned),
    )
    bench_study(folder, options=options, tell=_plain(console))


def _rows(scores: AblationScores, planned: Planned, of: str) -> list[AblationRow]:
    """The differences with their costs, in the plan's order."""
    removed = {each.name: each for each in planned.removed}
    complete = {e.strategy: e for e in reversed(scores.folder.completed(roles=ROLES))}
    session = session_of(scores.folder, _place(of, planned))
    timed = timed_rows(session, scores.folder.spec.latency.decide_at)
    floor = floors(session, list(timed.values()))
    costs = {
        name: _cost(planned, complete[name], timed.get(name))
        for name in (of, *removed)
        if name in complete
    }
    rows: list[AblationRow] = []
    for name, delta in scores.deltas([n for n in removed if n in complete]).items():
        each = removed[name]
        about = {"strategy": name, "kind": each.kind, "without": each.without}
        cost = _part(costs, of, name, delta, floor)
        row = cast(AblationRow, {**delta, **about, "cost": cost})
        if each.levels:
            row["levels"] = dict(each.levels)
        p99 = [at["p99_ms"] if (at := timed.get(n)) else None for n in (of, name)]
        if takes_over_limit(p99[0], p99[1], scores.folder.spec.slo_ms):
            row["over_limit"] = True
        rows.append(row)
    return rows


def _part(
    costs: Mapping[str, StrategyCost],
    of: str,
    name: str,
    delta: PairedDelta,
    floor: tuple[float, float],
) -> PartCost:
    if of not in costs or name not in costs:
        return {}
    return part_cost(costs[of], costs[name], delta, floor)


def _cost(planned: Planned, entry: RunEntry, timed: BenchRow | None) -> StrategyCost:
    spec, plan = read_spec(entry.path), planned.plan
    size = None
    if spec.baseline in plan.parts.baselines:
        size = code_bytes(spec.baseline, spec.settings, planned.workbench.schema, plan.parts)
    return StrategyCost(entry.summary, size, timed)
