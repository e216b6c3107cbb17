"""Times the trials near the front of every search in the latency lab, before a winner is frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.locks import Wait, lock_file, locked
from fusefront.harness.errors import GateError
from fusefront.harness.jobs.matrix import StudyPlan
from fusefront.harness.runs.hashes import WEIGHTS, damage, read_summary
from fusefront.harness.runs.records import TimedTrial, Trial
from fusefront.harness.runs.store import RunEntry, StudyFolder, run_index
from fusefront.harness.serving.latency.bench import BenchResult
from fusefront.harness.serving.latency.bench_record import BenchRow, quantile_of
from fusefront.harness.serving.latency.quality import deciding
from fusefront.harness.serving.latency.study import QUICK_ROUNDS, BenchOptions, Tell, bench_runs
from fusefront.harness.tuning.search import Search


@dataclass(frozen=True)
class SearchedFolder(StudyFolder):
    """A study's folder during its search, when no matrix names the store yet."""

    store: Path

    @property
    def store_path(self) -> Path:
        return self.store


def time_trials(
    plan: StudyPlan, root: Path, folder: Path, searches: Sequence[Search], say: Tell
) -> None:
    """Time the trials near the front of each search that are not timed yet, in one session alone on
    the machine; repeat if the times show that other trials are nearer.

    Searches with a frozen winner or damaged records are left unchanged. If two processes search one
    study, one of them times.

    Raises:
        GateError: other work disturbed the session; its times are discarded.
        DataContractError: the weights of a trial's run are not those recorded.
    """
    why = f"waiting for another process that times the trials of {plan.study.name}"
    with locked(lock_file(root, "timing", plan.study.name), Wait(why, say)):
        open_searches = [s for s in searches if not s.unsound and s.frozen() is None]
        while near := _untimed(open_searches):
            _session(plan, root, folder, near, say)


def _untimed(searches: Sequence[Search]) -> dict[str, tuple[Search, Trial]]:
    """The trials to be timed, by a name made of strategy and trial number."""
    return {
        f"{search.strategy}-{trial['number']}": (search, trial)
        for search in searches
        for trial in search.near_front()
        if search.timings.of(trial) is None
    }


def _session(
    plan: StudyPlan,
    root: Path,
    folder: Path,
    near: Mapping[str, tuple[Search, Trial]],
    say: Tell,
) -> None:
    number = len(list(folder.glob("timed-*")))
    spec = plan.study.latency
    options = BenchOptions(
        rounds=max(QUICK_ROUNDS, spec.rounds),
        candidates=(),
        decide_at=spec.decide_at,
        end_to_end=False,
        paced=False,
        server=False,
        as_trained=False,
        cold=False,
        at_once=(),
        place=f"timed-{number}",
    )
    searched = SearchedFolder(root, folder, plan.study, plan.store.path)
    entries = _entries(plan, root, near)
    say(f"timing {len(entries)} trials near the front, alone on this machine")
    result = bench_runs(searched, lambda _: entries, options, tell=say)
    if disturbed := result.facts["quality"]["disturbed"]:
        raise GateError(
            f"the session that timed {len(entries)} trials was disturbed "
            f"({' and '.join(disturbed)}); measure again on a quiet machine: the same command does"
        )
    _note(near, result, spec.decide_at, options.place)


def _entries(
    plan: StudyPlan, root: Path, near: Mapping[str, tuple[Search, Trial]]
) -> list[RunEntry]:
    """The runs of trials, each under its own name."""
    where = run_index(root, plan.store.name)
    entries = []
    for name, (search, trial) in near.items():
        cell = plan.trial(search.strategy, trial.get("params", {}))
        path = where.get(trial["run_id"])
        if path is None:
            raise DataContractError(
                f"{search.strategy} trial {trial['number']}: run {trial['run_id']} is not under "
                f"{root}; `fusefront verify --repair`, then the same command"
            )
        summary = read_summary(path)
        if sentence := damage(path, WEIGHTS, summary):
            raise DataContractError(sentence)
        state, family = "completed", str(summary.get("family", ""))
        entries.append(
            RunEntry(trial["run_id"], name, family, "trial", cell.seed, state, path, summary)
        )
    return entries


def _note(
    near: Mapping[str, tuple[Search, Trial]], result: BenchResult, decide_at: int, session: str
) -> None:
    """Record each trial's times beside it; no times where its exported graph scores differently
    from the model."""
    rows = deciding(result.rows, decide_at)
    for name, (search, trial) in near.items():
        search.timings.note(_timing(trial, rows.get(name), session))


def _timing(trial: Trial, row: BenchRow | None, session: str) -> TimedTrial:
    p50, p99 = (None if row is None else quantile_of(row, name) for name in ("p50", "p99"))
    return {
        "number": trial["number"],
        "run_id": trial["run_id"],
        "p50_ms": p50["ms"] if p50 else None,
        "p99_ms": p99["ms"] if p99 else None,
        "low": p99["low"] if p99 else None,
        "high": None if p99 is None or p99["at_least"] else p99["high"],
        "session": session,
    }
