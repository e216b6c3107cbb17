"""`fusefront ablate`: plan, execute through the one run, deltas with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation.factors import AblationDesign, design_of
from fusefront.harness.ablation.forecast import AblationForecast, forecast
from fusefront.harness.ablation.plan import AblatedStrategy, Workbench
from fusefront.harness.data.tables import schema_of
from fusefront.harness.dossier.comparison import paired_deltas
from fusefront.harness.errors import FusefrontError, NothingToDoError, UsageError
from fusefront.harness.jobs.matrix import StudyPlan
from fusefront.harness.jobs.pipeline import StudyRequest, at_work, begin, end
from fusefront.harness.jobs.recipes import recipe_name
from fusefront.harness.jobs.train import Room, fill
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.records import (
    AblationRecord,
    AblationRow,
    Matrix,
    PlannedRemoval,
    read_record,
)
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.study import Strategy
from fusefront.harness.training.run import find_record
from fusefront.harness.tuning.space import apply


@dataclass(frozen=True)
class Planned:
    """What an ablation is made of: every removal at every seed of the study."""

    plan: StudyPlan
    room: Room
    removed: list[AblatedStrategy]
    cells: list[Cell]
    name: str = "minimal"  # of the plan
    crossed: bool = False  # whether the removals are the cells of a factorial plan

    def matrix(self) -> list[PlannedRemoval]:
        """A row a removal: what is taken out, its seeds, and how many are to be trained still."""
        missing = [c.strategy for c in self.cells if not self._on_record(c)]
        return [
            {
                "strategy": removal.name,
                "kind": removal.kind,
                "without": removal.without,
                "seeds": len(self.plan.study.seeds),
                "to_train": missing.count(removal.name),
            }
            for removal in self.removed
        ]

    def forecast(self, of: str) -> AblationForecast:
        """What it costs and what it can resolve; validation alone is read."""
        folder = StudyFolder(self.room.root, self.room.folder, self.plan.study)
        runs = {c.spec.run_id for c in self.cells if not self._on_record(c)}
        jobs = self.room.workers.jobs
        return forecast(folder, of, self.name, len(runs), len(self.removed), jobs)

    def _on_record(self, cell: Cell) -> bool:
        """Whether its run is there, whole or damaged: a damaged one is not trained over."""
        try:
            return find_record(cell, self.room.root) is not None
        except DataContractError:
            return True


def plan_ablation(
    request: StudyRequest, of: str, console: Console, design: str = "minimal"
) -> Planned:
    """The removals of a strategy and their runs; hyper-parameters stay those of its frozen
    winner. `design` is minimal, full, factorial or a YAML file.

    Raises:
        UsageError: the study has no strategy `of`, or the plan is none.
        NothingToDoError: the study was not run yet.
        DataContractError: the study was run on other data than are prepared now.
    """
    plan, room = begin(request, console)
    if of not in plan.strategies:
        known = ", ".join(plan.strategies)
        raise UsageError(f"--of {of!r} is not a strategy of this study; known: {known}")
    matrix = room.folder / "matrix.json"
    if not matrix.exists():
        raise NothingToDoError(f"study {plan.study.name!r} has no runs; `fusefront run` it first")
    ran_on, now = read_record(matrix, Matrix)["fingerprint"], plan.store.fingerprint
    if ran_on != now:
        raise DataContractError(
            f"study {plan.study.name!r} was run on data {ran_on}, what is prepared now is {now}: "
            "their runs cannot be compared; `fusefront run` the study on this data first"
        )
    parent = plan.strategies[of]
    recipe = recipe_name(plan.study, parent, plan.parts.baselines[parent.baseline])
    parent = parent.model_copy(update={"recipe": recipe})
    params = _winner(plan, room, of)
    designed, removed = _designed(plan, of, parent, params, design)
    wider = StudyPlan(
        plan.study,
        plan.store,
        {**plan.strategies, **{removal.name: removal.strategy for removal in removed}},
        plan.parts,
    )
    cells = [
        wider.cell(removal.name, _applicable(params, removal), seed)
        for removal in removed
        for seed in plan.study.seeds
    ]
    return Planned(plan, room, removed, cells, designed.name, designed.crossed)


def _designed(
    plan: StudyPlan, of: str, parent: Strategy, params: Mapping[str, Json], design: str
) -> tuple[AblationDesign, list[AblatedStrategy]]:
    """The plan and its strategies; levels are beside what the parent's search chose."""
    fitted, _ = apply(params, parent.settings, parent.training)
    workbench = Workbench.open(of, parent, schema_of(plan.store), plan.parts, fitted)
    designed = design_of(design, workbench)
    return designed, designed.strategies(workbench)


def record_name(of: str, design: str) -> str:
    """The file in the study's folder that an ablation is written to.

    >>> record_name("late_fusion", "minimal"), record_name("late_fusion", "full")
    ('ablation-late_fusion.json', 'ablation-late_fusion-full.json')
    """
    return f"ablation-{of}.json" if design == "minimal" else f"ablation-{of}-{design}.json"


def ablate_study(
    request: StudyRequest, of: str, console: Console, design: str = "minimal"
) -> list[AblationRow]:
    """Train what the ablation of `of` lacks; a row a removal: delta AUC with its interval.

    A delta is the ablated strategy minus the parent, so a part that earns its place has a negative
    one.
    """
    with at_work(request.out, console):
        return _ablate(request, of, console, design)


def _ablate(request: StudyRequest, of: str, console: Console, design: str) -> list[AblationRow]:
    planned = plan_ablation(request, of, console, design)
    plan, room, cells = planned.plan, planned.room, planned.cells
    path = room.folder / record_name(of, planned.name)
    cells_json = [cell.to_json() for cell in cells]
    write_json(path, {"format": 1, "of": of, "plan": planned.name, "cells": cells_json})
    try:
        failed = fill(plan, room, cells, "ablation run")
    finally:
        end(room)
    rows = _rows(StudyFolder(room.root, room.folder, plan.study), of, planned.removed)
    write_json(
        path,
        {
            **read_record(path, AblationRecord),
            "hyper_parameters": "frozen at the parent's",
            "rows": rows,
        },
    )
    if failed:
        raise FusefrontError(f"{len(failed)} ablation runs failed; first reason: {failed[0][1]}")
    return rows


def _winner(plan: StudyPlan, room: Room, of: str) -> dict[str, Json]:
    """The parameters of a strategy's winner; of a damaged search the one that was frozen before.

    Raises:
        DataContractError: the search is damaged, and no winner was frozen.
    """
    for search in plan.searches(room.folder):
        if search.strategy != plan.searched_as(of):
            continue
        for sentence in search.examine():
            room.console.print(f"damaged: {sentence}", markup=False)
        if search.unsound:
            if (winner := search.frozen()) is None:
                raise DataContractError(search.unsound)
            return dict(winner["params"])
        if search.finished:
            return dict(search.freeze()["params"])
    return {}


def _applicable(params: Mapping[str, Json], removal: AblatedStrategy) -> dict[str, Json]:
    """The winner's parameters less those of what was changed: a part's with it."""
    changed = removal.changed or (removal.without,)
    return {
        key: value
        for key, value in params.items()
        if not any(key == name or key.startswith(f"{name}.") for name in changed)
    }


def _rows(folder: StudyFolder, of: str, removed: list[AblatedStrategy]) -> list[AblationRow]:
    kinds = {removal.name: removal for removal in removed}
    deltas = paired_deltas(folder, parent=of, others=[removal.name for removal in removed])
    return [
        {**delta, "strategy": name, "kind": kinds[name].kind, "without": kinds[name].without}
        for name, delta in deltas.items()
    ]
