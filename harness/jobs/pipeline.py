"""`fusefront run`: prepare, audit, search, train, measure, compare, decide, report."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console

from fusefront.datasets.audit.report import refuse_severe
from fusefront.datasets.durable import make_folder, sweep
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.integrity import check_store
from fusefront.datasets.locks import Tell, Wait, lock_file, locked
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import FusefrontError, GateError, NothingToDoError, UsageError
from fusefront.harness.jobs.audited import audited
from fusefront.harness.jobs.data_source import described, note_origin, origin_of, prepared
from fusefront.harness.jobs.latency_fit import latency_of
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.jobs.mirror import Mirror
from fusefront.harness.jobs.outdated_runs import reidentified
from fusefront.harness.jobs.train import Tuned, Workspace, fill, tune, write_matrix
from fusefront.harness.parts.included import RecordedPart, included, remember, uses
from fusefront.harness.parts.kinds import BACKEND, DATA_KINDS, METRIC, Kind
from fusefront.harness.parts.origins import used_by
from fusefront.harness.parts.outside_parts import Own, files_with_parts, own_parts
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.files import Json, write_json, write_text
from fusefront.harness.runs.recipe import spelled
from fusefront.harness.runs.records import WinnerRecord
from fusefront.harness.runs.seal import WHY
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.study import Study, load_study
from fusefront.harness.runs.tracking import USUAL, Account
from fusefront.harness.runs.unneeded import at_work_file
from fusefront.harness.training.capacity import measured_capacity
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning.budget import SearchBudget, budgets, study_budgets, unequal
from fusefront.harness.tuning.optuna_export import export_trials
from fusefront.harness.tuning.search import NoWinnerError


@dataclass(frozen=True)
class StudyRequest:
    """What the user asked for."""

    study_file: Path
    out: Path
    data: Path | None = None
    overrides: tuple[str, ...] = ()
    include: Sequence[Path] = ()
    jobs: int = 2  # 0: measured
    wandb: bool = True
    limit: int | None = None  # the first strategies only
    allow_outside: bool = False  # the data set's paths may point out of the data folder
    verify: bool = False  # hash all of the prepared store now, not only once a day
    account: Account = USUAL  # where the mirror lies


@dataclass(frozen=True)
class Conclusion:
    """The result of a study."""

    page: Path
    sentence: str


def begin(request: StudyRequest, console: Console) -> tuple[StudyPlan, Workspace]:
    """Read the study, prepare and audit its data, check every strategy, write study.yaml."""
    origin = origin_of(request.study_file, request.data, request.out)
    study = _limited(load_study(origin.file, request.overrides), request.limit)
    folder = request.out / "studies" / study.name
    make_folder(request.out)
    of_data = {kind.word for kind in DATA_KINDS}
    recorded = included(folder, (), lambda _: False, lambda part: part.kind in of_data)
    data = described(
        study,
        origin.beside,
        origin.data,
        request.out,
        list(dict.fromkeys((*request.include, *recorded))),
        outside=request.allow_outside,
    )
    encoders = {file for part in data.own for file in part.files}
    files = files_with_parts(request.include, encoders)
    include = included(folder, files, must=_needed(study))
    parts, own = load_parts(include), own_parts(include)
    _check_beside(study, own)
    store = prepared(data, request.out, _plain(console))
    check_store(store, whole=request.verify)
    plan = make_plan(study, store, parts, own)
    plan.searches(folder, begun=True)  # raises, before study.yaml changes, on other settings
    findings = audited(store)
    with locked(lock_file(request.out, "study", study.name), Wait(WHY, _plain(console))):
        for part in (folder, *folder.glob("tuning/*")):
            sweep(part)
        write_json(folder / "audit.json", findings.to_json(data.spec.accept))
        refuse_severe(findings, data.spec.accept)
        write_text(folder / "study.yaml", _spelled(study))
        note_origin(folder, origin)
        remember(folder, (*_of_the_study(own, study), *data.own))
    if sentence := reidentified(StudyFolder(request.out, folder, study), store, parts):
        console.print(sentence, markup=False)
    predicted = [latency_of(plan, folder).sentence] if study.tuning.slo_ms is not None else []
    for sentence in (*plan.without.values(), *plan.unsearched, *predicted):
        console.print(sentence, markup=False)
    workers = Workers(_jobs(request, store, console), request.out, store.path, include)
    mirror = Mirror(request.account, study.name, _plain(console)) if request.wandb else None
    return plan, Workspace(request.out, folder, workers, console, mirror)


def _jobs(request: StudyRequest, store: PreparedDataset, console: Console) -> int:
    """How many trainings to run at a time, measured if the request leaves it open, and not while
    latency is measured."""
    if request.jobs:
        return request.jobs
    from fusefront.harness.serving.latency.lock import training_lock

    tell = _plain(console)
    with training_lock(tell):
        capacity = measured_capacity(store)
    tell(capacity.sentence())
    return capacity.workers


@contextlib.contextmanager
def at_work(out: Path, console: Console) -> Iterator[None]:
    """Keep `fusefront gc` from removing what a command is about to use; any number of commands
    share this lock."""
    wait = Wait(f"waiting for `fusefront gc` under {out} to end", _plain(console))
    with locked(at_work_file(out), wait, shared=True):
        yield


def _plain(console: Console) -> Tell:
    return lambda line: console.print(line, markup=False)


def _beside(study: Study) -> dict[Kind, tuple[str, ...]]:
    """The user's own parts that a study names outside its strategies; no training uses them."""
    return {METRIC: study.comparison.metrics, BACKEND: study.latency.backends}


def _needed(study: Study) -> Callable[[RecordedPart], bool]:
    """Whether a recorded part is one that the study names."""
    trained = uses(_baselines(study))
    beside = {(kind.word, name) for kind, names in _beside(study).items() for name in names}
    return lambda part: trained(part) or (part.kind, part.name) in beside


def _check_beside(study: Study, own: Sequence[Own]) -> None:
    """Refuse an unknown part before anything is trained, not when it is needed at the end."""
    for kind, names in _beside(study).items():
        known = [part.name for part in own if part.kind is kind]
        for name in names:
            if name not in known and name not in kind.zoo():
                listed = ", ".join([*kind.zoo(), *known])
                raise UsageError(
                    f"{kind.word} {name!r} is not known; known: {listed}; give its file with "
                    "--include-path"
                )


def _of_the_study(own: Sequence[Own], study: Study) -> list[Own]:
    """The user's own parts that matter here: all those from files, and the installed ones that the
    study names."""
    used = {(kind, name) for kind, names in _beside(study).items() for name in names} | {
        (part.kind, part.name)
        for baseline, settings in _baselines(study)
        for part in used_by(own, baseline, settings)
    }
    return [part for part in own if not part.package or (part.kind, part.name) in used]


def _baselines(study: Study) -> list[tuple[str, dict[str, Json]]]:
    """Each strategy's baseline and settings, also with the values that a search may try."""
    common = list(study.tuning.space.values())
    return [
        (strategy.baseline, {**strategy.settings, "searched": [*common, *strategy.space.values()]})
        for strategy in study.strategies.values()
    ]


def _spelled(study: Study) -> str:
    """The study with its defaults written out; of recipe and search only the keys that were given,
    because a missing key there has a meaning."""
    raw = study.model_dump(mode="json")
    for key in ("training", "tuning"):
        raw[key] = getattr(study, key).model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)


def _limited(study: Study, limit: int | None) -> Study:
    if limit is None:
        return study
    first = dict(list(study.strategies.items())[:limit])
    first.setdefault(study.baseline, study.strategies[study.baseline])
    return study.model_copy(update={"strategies": first})


class SearchOutcome(NamedTuple):
    """The result of the searches, with the budgets that were spent."""

    winners: dict[str, WinnerRecord]
    left_out: dict[str, str]  # strategy -> the sentence on the record that is damaged
    without: list[str]  # a sentence on each strategy none of whose trials finished
    spent: list[SearchBudget]
    unequal: str  # why not every strategy got the same; "" where it did, or less is accepted


def tune_study(
    request: StudyRequest, console: Console, export: Path | None = None
) -> SearchOutcome:
    """Run the searches alone; `export` is written even if they end in an error.

    Raises:
        NothingToDoError: the study sets `tuning.trials` to 0.
    """
    with at_work(request.out, console):
        plan, workspace = begin(request, console)
        if not plan.study.tuning.trials:
            raise NothingToDoError("the study's tuning.trials is 0; give --trials N")
        try:
            tuned = tune(plan, workspace)
        finally:
            end(workspace)
            if export is not None:  # export the trials there are, also after an error
                export_trials(
                    plan.searches(workspace.folder), plan.study.name, workspace.root, export
                )
    without = []
    for search in plan.searches(workspace.folder):
        if search.strategy not in tuned.winners | tuned.left_out:
            try:
                search.freeze()
            except NoWinnerError as error:  # it says why there is none
                without.append(str(error))
    tuning = plan.study.tuning
    spent = budgets(workspace.folder, tuning, plan.searched())
    return SearchOutcome(*tuned, without, spent, unequal(spent, tuning.accept))


def run_study(request: StudyRequest, console: Console) -> Conclusion:
    """Run the whole study, to its decision and report.

    Raises:
        FusefrontError: some runs failed; decision and report were written without them.
    """
    with at_work(request.out, console):
        plan, workspace = begin(request, console)
        trained = train(plan, workspace)
        folder = StudyFolder(workspace.root, workspace.folder, plan.study)
        try:
            conclusion = conclude(folder, workspace)
        except (FusefrontError, DataContractError) as error:
            if not trained.failed:
                raise
            what, first = trained.lacks(folder) or ("", "")
            raise FusefrontError(f"{what}; {first}; so nothing is concluded: {error}") from error
        lacks = trained.lacks(folder)
        less = unequal(study_budgets(folder), plan.study.tuning.accept)
    if lacks:
        raise FusefrontError(f"{lacks[0]}; the others are in {conclusion.page}; {lacks[1]}")
    if less:
        raise GateError(f"{less}; the page is {conclusion.page}")
    return conclusion


class FilledMatrix(NamedTuple):
    """A study's matrix, its failed runs, and the strategies that were left out because a search is
    damaged."""

    cells: list[Cell]
    failed: list[tuple[Cell, str]]
    left_out: dict[str, str]

    def lacks(self, folder: StudyFolder) -> tuple[str, str] | None:
        """What is missing in the study and the first reason, each as part of a sentence; None if it
        is complete."""
        reasons = {f"{cell.strategy} seed {cell.seed}": reason for cell, reason in self.failed}
        others = range(len(folder.matrix().get("sensitivity", [])))
        entries = [e for other in (None, *others) for e in folder.checked_entries(other=other)]
        damaged = {f"{e.strategy} seed {e.seed}": e.damage for e in entries if e.damage}
        if not (reasons or damaged or self.left_out):
            return None
        parts = []
        if runs := sorted(reasons | damaged):
            what = "failed or are damaged" if damaged else "failed"
            parts.append(f"{len(runs)} of {len(self.cells)} runs {what} ({', '.join(runs)})")
        if self.left_out:
            parts.append(f"left out for a damaged search: {', '.join(sorted(self.left_out))}")
        first = next(iter([*(reasons | damaged).values(), *self.left_out.values()]))
        return " and ".join(parts), f"first reason: {first}"


def train(plan: StudyPlan, workspace: Workspace) -> FilledMatrix:
    """Search, freeze the winners, then train the matrix with seeds that the search has not used."""
    try:
        tuned = tune(plan, workspace) if plan.study.tuning.trials else Tuned({}, {})
        plan, winners = plan.lacking(tuned.left_out), tuned.params
        cells = plan.final(winners)
        others = {
            spelled(recipe): plan.under(recipe).final(winners) for recipe in plan.study.sensitivity
        }
        write_matrix(plan, workspace, cells, others)
        every = [*cells, *(cell for some in others.values() for cell in some)]
        return FilledMatrix(every, fill(plan, workspace, every, "run"), tuned.left_out)
    finally:
        end(workspace)  # no process of this command may run beside the latency measurement


def end(workspace: Workspace) -> None:
    """End the workers and the mirror; they start again when they are needed."""
    workspace.workers.close()
    if workspace.mirror is not None:
        workspace.mirror.close()


def conclude(folder: StudyFolder, workspace: Workspace) -> Conclusion:
    """Latency, comparison, decision and report, each computed from recorded files and written
    anew."""
    from fusefront.harness.dossier.comparison import compare_study
    from fusefront.harness.dossier.decide import decide_study, report_study
    from fusefront.harness.serving.latency.study import bench_study

    include = tuple(workspace.workers.include)
    tell = _plain(workspace.console)
    bench_study(folder, tell=tell, include=include)
    compare_study(folder, include=include)
    try:
        sentence = decide_study(folder, tell=tell)
    except GateError as error:  # the report shows why nothing can be decided
        sentence = str(error)
    page = report_study(folder, folder.root / "reports" / folder.name)
    if workspace.mirror is not None:
        workspace.mirror.decided(folder.path, page)
        workspace.mirror.close()
    return Conclusion(page, sentence)
