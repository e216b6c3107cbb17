"""The strategies and runs of an ablation, and which of them are recorded."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from rich.console import Console

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation.factors import AblationDesign, design_of
from fusefront.harness.ablation.forecast import AblationForecast, forecast
from fusefront.harness.ablation.path import NO_PATH, PathRuns
from fusefront.harness.ablation.plan import AblatedStrategy, Workbench, belongs
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.jobs.matrix import StudyPlan
from fusefront.harness.jobs.pipeline import StudyRequest, begin
from fusefront.harness.jobs.recipes import recipe_name
from fusefront.harness.jobs.train import Workspace
from fusefront.harness.jobs.trial_builds import check_spaces
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.records import Matrix, PlannedRemoval, read_record
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.training.run import find_record
from fusefront.harness.tuning.search import NoWinnerError
from fusefront.harness.tuning.space import apply


@dataclass(frozen=True)
class Planned:
    """An ablation: every removal at every seed of the study."""

    plan: StudyPlan
    workspace: Workspace
    removed: list[AblatedStrategy]
    designed: AblationDesign
    workbench: Workbench
    params: Mapping[str, Json]  # the winner's
    retuned: bool = False  # every removal is searched with the study's budget
    winners: dict[str, Mapping[str, Json]] = field(default_factory=dict)  # of finished searches

    def cells_of(self, strategies: Sequence[AblatedStrategy]) -> list[Cell]:
        """The cells of the strategies at every seed, with the parameters of their own winners, or
        the parent's as far as they still apply."""
        plan = self.plan
        strategies_by_name = {each.name: each.strategy for each in strategies}
        wider = StudyPlan(
            plan.study, plan.store, {**plan.strategies, **strategies_by_name}, plan.parts
        )
        own = {each.name: applicable(self.params, each) for each in strategies}
        return [
            wider.cell(each.name, self.winners.get(each.name, own[each.name]), seed)
            for each in strategies
            for seed in plan.study.seeds
        ]

    def retuning(self, strategies: Sequence[AblatedStrategy]) -> tuple[StudyPlan, Workspace]:
        """A study of `strategies`, each searched with the study's budget, and its folder.

        Raises:
            UsageError: the study has no budget to search with.
        """
        study = self.plan.study
        if not study.tuning.trials:
            raise UsageError(
                f"study {study.name!r} has tuning.trials 0, so there is no budget to tune again "
                "with; give trials, or leave --retune out"
            )
        searched = {each.name: each.strategy for each in strategies}
        parent = {self.workbench.of: self.plan.strategies[self.workbench.of]}
        plan = StudyPlan(study, self.plan.store, {**parent, **searched}, self.plan.parts)
        plan = replace(plan, unfit=check_spaces(plan, ()))
        folder = self.workspace.folder / record_name(self.workbench.of, self.name).removesuffix(
            ".json"
        )
        workspace = replace(self.workspace, folder=folder)
        return replace(plan, strategies=searched), workspace

    def _recall(self, strategies: Sequence[AblatedStrategy]) -> dict[str, set[str]]:
        """Learn the winners of finished searches; of the others a word for each trial that
        lacks."""
        lacking: dict[str, set[str]] = {}
        if not self.retuned:
            return lacking
        plan, workspace = self.retuning(strategies)
        for search in plan.searches(workspace.folder):
            name = search.strategy
            search.examine()
            if search.unsound:
                winner = search.frozen()
            elif search.finished:
                with suppress(NoWinnerError):  # no trial ended well: its runs try the defaults
                    self.winners[name] = dict(search.freeze()["params"])
                continue
            else:
                trials = [n for n in range(search.trials) if search.record(n) is None]
                lacking[name] = {f"{name} trial {n}" for n in trials}
                continue
            if winner is not None:
                self.winners[name] = dict(winner["params"])
        return lacking

    @property
    def name(self) -> str:
        """The plan's name, and whether every removal is tuned again."""
        if not self.retuned:
            return self.designed.name
        return "retuned" if self.designed.name == "minimal" else f"{self.designed.name}-retuned"

    @property
    def cells(self) -> list[Cell]:
        """The cells of the removals."""
        return self.cells_of(self.removed)

    @property
    def parent_cells(self) -> list[Cell]:
        """The cells of the strategy that is ablated."""
        of = self.workbench.of
        return [self.plan.cell(of, self.params, seed) for seed in self.plan.study.seeds]

    def lacking(self, strategies: Sequence[AblatedStrategy]) -> set[str]:
        """A word for each training that the strategies lack: the ids of runs that are not there,
        intact or damaged; of an unfinished search its trials, and a run at each seed."""
        searching = self._recall(strategies)
        lacking: set[str] = set()
        for each in strategies:
            if trials := searching.get(each.name):
                seeds = self.plan.study.seeds
                lacking |= trials | {f"{each.name} seed {seed}" for seed in seeds}
            else:
                cells = [cell for cell in self.cells_of([each]) if not self._on_record(cell)]
                lacking |= {cell.spec.run_id for cell in cells}
        return lacking

    def matrix(self) -> list[PlannedRemoval]:
        """One row a removal: what is left out, its seeds, and how many trainings are missing."""
        return [
            {
                "strategy": removal.name,
                "kind": removal.kind,
                "without": removal.without,
                "seeds": len(self.plan.study.seeds),
                "to_train": len(self.lacking([removal])),
            }
            for removal in self.removed
        ]

    def forecast(self, of: str, path: PathRuns = NO_PATH) -> AblationForecast:
        """The cost and the resolution; reads validation only."""
        folder = StudyFolder(self.workspace.root, self.workspace.folder, self.plan.study)
        jobs = self.workspace.workers.jobs
        trainings = len(self.lacking(self.removed))
        return forecast(folder, of, self.name, trainings, len(self.removed), jobs, path)

    def _on_record(self, cell: Cell) -> bool:
        """Whether the cell's run exists, intact or damaged: a damaged one is not trained over."""
        try:
            return find_record(cell, self.workspace.root) is not None
        except DataContractError:
            return True


def plan_ablation(
    request: StudyRequest,
    of: str,
    console: Console,
    design: str = "minimal",
    *,
    retuned: bool = False,
) -> Planned:
    """The removals of a strategy and their runs, with the hyper-parameters of its frozen winner
    unless each removal is tuned again. `design` is minimal, full, factorial, modalities or a YAML
    file.

    Raises:
        UsageError: the study has no strategy `of`, or the plan is not valid.
        NothingToDoError: the study was not run yet.
        DataContractError: the study was run on other data than are prepared now.
    """
    plan, workspace = begin(request, console)
    if of not in plan.strategies:
        known = ", ".join(plan.strategies)
        raise UsageError(f"--of {of!r} is not a strategy of this study; known: {known}")
    matrix = workspace.folder / "matrix.json"
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
    params = _winner(plan, workspace, of)
    fitted, _ = apply(params, parent.settings, parent.training)  # levels are beside these
    schema = schema_of(plan.store)
    workbench = Workbench.open(of, parent, schema, plan.parts, fitted, retuned=retuned)
    designed = design_of(design, workbench)
    return Planned(
        plan, workspace, designed.strategies(workbench), designed, workbench, params, retuned
    )


def record_name(of: str, design: str) -> str:
    """The name of an ablation's record in the study's folder.

    >>> record_name("late_fusion", "minimal"), record_name("late_fusion", "full")
    ('ablation-late_fusion.json', 'ablation-late_fusion-full.json')
    """
    return f"ablation-{of}.json" if design == "minimal" else f"ablation-{of}-{design}.json"


def _winner(plan: StudyPlan, workspace: Workspace, of: str) -> dict[str, Json]:
    """The winning parameters of a strategy; if its search is damaged, those of the winner frozen
    before.

    Raises:
        DataContractError: the search is damaged, and no winner was frozen.
    """
    for search in plan.searches(workspace.folder):
        if search.strategy != plan.searched_as(of):
            continue
        for sentence in search.examine():
            workspace.console.print(f"damaged: {sentence}", markup=False)
        if search.unsound:
            if (winner := search.frozen()) is None:
                raise DataContractError(search.unsound)
            return dict(winner["params"])
        if search.finished:
            with suppress(NoWinnerError):  # no trial ended well: the strategy runs by its defaults
                return dict(search.freeze()["params"])
    return {}


def applicable(params: Mapping[str, Json], removal: AblatedStrategy) -> dict[str, Json]:
    """The winning parameters without those of the settings that the removal changes."""
    changed = removal.changed or (removal.without,)
    return {key: value for key, value in params.items() if not belongs(key, changed)}
