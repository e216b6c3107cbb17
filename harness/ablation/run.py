"""`fusefront ablate`: plan, execute through the one run, deltas with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation.plan import AblatedStrategy, ablations
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
from fusefront.harness.training.run import find_record


@dataclass(frozen=True)
class Planned:
    """What an ablation is made of: every removal at every seed of the study."""

    plan: StudyPlan
    room: Room
    removed: list[AblatedStrategy]
    cells: list[Cell]

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

    def _on_record(self, cell: Cell) -> bool:
        """Whether its run is there, whole or damaged: a damaged one is not trained over."""
        try:
            return find_record(cell, self.room.root) is not None
        except DataContractError:
            return True


def plan_ablation(request: StudyRequest, of: str, console: Console) -> Planned:
    """The removals of a strategy and their runs; hyper-parameters stay those of its frozen
    winner.

    Raises:
        UsageError: the study has no strategy `of`.
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
    removed = ablations(of, parent, schema_of(plan.store), plan.parts)
    params = _winner(plan, room, of)
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
    return Planned(plan, room, removed, cells)


def ablate_study(request: StudyRequest, of: str, console: Console) -> list[AblationRow]:
    """Train what the ablation of `of` lacks; a row a removal: delta AUC with its interval.

    A delta is the ablated strategy minus the parent, so a part that earns its place has a negative
    one.
    """
    with at_work(request.out, console):
        return _ablate(request, of, console)


def _ablate(request: StudyRequest, of: str, console: Console) -> list[AblationRow]:
    planned = plan_ablation(request, of, console)
    plan, room, cells = planned.plan, planned.room, planned.cells
    path = room.folder / f"ablation-{of}.json"
    write_json(path, {"format": 1, "of": of, "cells": [cell.to_json() for cell in cells]})
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
    """The winner's parameters less those of the component that was taken out."""
    return {key: value for key, value in params.items() if key.split(".")[0] != removal.without}


def _rows(folder: StudyFolder, of: str, removed: list[AblatedStrategy]) -> list[AblationRow]:
    kinds = {removal.name: removal for removal in removed}
    deltas = paired_deltas(folder, parent=of, others=[removal.name for removal in removed])
    return [
        {**delta, "strategy": name, "kind": kinds[name].kind, "without": kinds[name].without}
        for name, delta in deltas.items()
    ]
