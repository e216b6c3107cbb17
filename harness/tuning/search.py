"""The search of one strategy: Optuna proposes trials, our records hold their results.

The parameters of trial n depend on the study's seed, the strategy, n, the records 0 .. n - lag and
the parameters of the trials in between; never on how many workers ran or how often they were
killed.
"""

import contextlib
import hashlib
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from fusefront.datasets.durable import forget
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.locks import HeldError, Wait, lock_file, locked
from fusefront.harness.errors import FusefrontError, UsageError
from fusefront.harness.runs.files import Json, digest, write_once
from fusefront.harness.runs.records import (
    Claim,
    Finalist,
    FrontPoint,
    Interruption,
    NewerFormatError,
    Record,
    RungRecord,
    RunningTrial,
    SearchIdentity,
    StepRecord,
    TimedTrial,
    Trial,
    WinnerRecord,
    read_record,
    winner_name,
    write_record,
)
from fusefront.harness.runs.study import Sampler
from fusefront.harness.training.trees import Leader, leader, reap
from fusefront.harness.tuning.budget import interruptions, lost_seconds
from fusefront.harness.tuning.ladder import IDLE, Known, Ladder, Step, next_step, paused
from fusefront.harness.tuning.latency_model import LatencyModel, RequestCost
from fusefront.harness.tuning.samplers import STATEFUL, make_sampler, quasi_random, refusal
from fusefront.harness.tuning.space import Space, constants, distributions
from fusefront.harness.tuning.timings import Timings, auc_of, nearest

# how often a trial is tried again after what came to no result, by what ended it; "budget" is the
# end of its search's seconds: only a larger cap lets it begin again
AGAIN = {"memory": 2, "died": 2, "killed": 5, "budget": math.inf}
DRAWS, OF_SAMPLER = 200, 20  # of a trial until the budget of MACs is kept; then at random
SLACK_S = 0.05  # below it nothing is left of the seconds: no trial ends so soon


class NoWinnerError(FusefrontError):
    """None of a strategy's trials has finished."""


@dataclass
class Search:
    """The claims, records and winner of one strategy's search, in `folder`.

    Any number of processes can search in one folder: a trial is locked by the process that runs it.
    """

    folder: Path
    strategy: str
    space: Space
    trials: int
    seed: int
    lag: int
    seconds: float | None = None  # cap on the process seconds of all trials together
    trial_seconds: float | None = None  # for one
    sampler: Sampler = "tpe"
    objectives: tuple[str, ...] = ("auc",)
    budget_macs: float | None = None  # MACs a candidate that no trial may exceed
    levels: tuple[int, ...] = ()  # epochs where a trial pauses, then all epochs; () without halving
    macs: Callable[[Mapping[str, Json]], float] | None = None  # counted, of parameters
    slo_ms: float | None = None  # ms; a trial with a higher predicted p99 is not trained
    latency: LatencyModel | None = None
    counted: Callable[[Mapping[str, Json]], RequestCost] | None = (
        None  # of a request, of parameters
    )
    timed: int = 0  # how many trials near the front are timed before the winner is frozen
    finalists: int = 0  # how many of the best trials are trained again before that
    running: dict[int, float] = field(default_factory=dict)  # here: number -> begin, s
    halted: str = ""  # why no further trial begins now: memory, disk or the like failed
    damaged: str = ""  # the frozen winner cannot be read; it was recomputed from the trials
    unsound: str = ""  # why this search is left out: a record that it needs is damaged

    def __post_init__(self) -> None:
        self.distributions = distributions(self.space)
        self.constants = constants(self.space)
        if not self.distributions:
            self.trials = min(self.trials, 1)  # nothing to search: the defaults win
            self.levels = ()
        if sentence := refusal(self.sampler, self.distributions, self.trials, len(self.objectives)):
            raise UsageError(f"strategy {self.strategy!r}: tuning.sampler: {sentence}")
        self.locks: dict[int, contextlib.ExitStack] = {}
        self.known: dict[int, Trial] = {}  # read once: a record never changes
        self.ladder = Ladder(self.folder, self.levels)
        self.timings = Timings(self.folder)
        self.until: dict[int, int] = {}  # running trial -> the epoch after which it pauses
        identity: SearchIdentity = {
            "format": 1,
            "seed": self.seed,
            "lag": self.lag,
            "space": {key: repr(value) for key, value in sorted(self.distributions.items())},
        }
        if self.constants:
            identity["constants"] = self.constants
        if self.sampler != "tpe":
            identity["sampler"] = self.sampler
        if self.objectives != ("auc",):
            identity["objectives"] = list(self.objectives)
        if self.levels:
            identity["rungs"] = list(self.levels)
        if self.budget_macs is not None:
            identity["budget_macs"] = self.budget_macs
        if self.slo_ms is not None and self.latency is not None:
            identity["slo_ms"], identity["latency"] = self.slo_ms, self.latency.to_json()
        path = self.folder / "search.json"
        if write_once(path, identity):
            return
        try:
            written = read_record(path, SearchIdentity)
        except DataContractError as error:
            self.unsound = str(error)
            return
        if {"format": 1, **written} != identity:
            raise UsageError(
                f"{path}: this search was begun with another seed, lag, space or sampler,"
                " or other objectives, budget_macs, slo_ms or halving;"
                " give the study another name or restore them"
            )

    def examine(self) -> list[str]:
        """A sentence for each unreadable record of this budget; a search with one begins no
        trial."""
        sentences = [self.unsound] if self.unsound else []
        files: list[tuple[Path, type[Record]]] = []
        for number in range(self.trials):
            files += [(self._claim(number), Claim), (self._trial(number), Trial)]
        for name, kind in (
            ("interrupted", Interruption),
            ("step", StepRecord),
            ("rung", RungRecord),
            ("timed", TimedTrial),
        ):
            files += [(path, kind) for path in sorted(self.folder.glob(f"{name}-*.json"))]
        for path, record_kind in files:
            try:
                if path.exists() or path.is_symlink():
                    read_record(path, record_kind)
            except DataContractError as error:
                sentences.append(str(error))
        self.unsound = next(iter(sentences), "")
        return sentences

    def frozen(self) -> WinnerRecord | None:
        """The recorded winner of this budget; None if there is none that can be read."""
        try:
            return read_record(self.winner, WinnerRecord) if self.winner.exists() else None
        except DataContractError:
            return None

    def next_trial(self) -> tuple[int, dict[str, Json]] | None:
        """Number and parameters of the next trial that may start now; None if none may.

        The trial stays locked until `tell`, `halt` or `release` is called for it.
        """
        if self.halted or self.unsound or self._nothing_left(self.spent + self.under_way):
            return None
        if self.levels:
            return self._next_leg()
        for number in range(self.trials):
            if number in self.running or self.record(number) is not None:
                continue
            if any(self.record(earlier) is None for earlier in range(number - self.lag + 1)):
                return None
            if not all(self._claim(earlier).exists() for earlier in range(number)):
                return None  # another process is about to claim it
            if not self._lock(number):
                continue
            if self.record(number) is not None:  # another process has recorded it meanwhile
                self.release(number)
                continue
            return number, self._claimed(number, number - self.lag + 1)
        return None

    def _claimed(self, number: int, known: int) -> dict[str, Json]:
        """The parameters of a trial that is locked and begins; those of a new trial are proposed
        from the results of the first `known` trials (or steps)."""
        self._reap(number)
        if not self._claim(number).exists():
            write_once(self._claim(number), {"format": 1, **self._propose(number, known)})
        self.running[number] = time.monotonic()
        return dict(read_record(self._claim(number), Claim)["params"])

    def _next_leg(self) -> tuple[int, dict[str, Json]] | None:
        """The same with halving: each step is recorded before it is carried out."""
        for k in itertools.count():
            step, known = self.ladder.step(k), max(0, k - self.lag + 1)
            if step is not None and (self._over(step) or step.number in self.running):
                continue
            if not all(self._over(earlier) for earlier in self.ladder.steps[:known]):
                return None
            if step is None:
                step = self._chosen(known)
                if step == IDLE and self.ladder.rests(self.lag):
                    return None
                step = self.ladder.add(k, step)
            if step.number is None:
                continue
            if not all(self._claim(earlier).exists() for earlier in range(step.number)):
                return None  # another process is about to claim it
            if not self._lock(step.number):
                continue
            if self._over(step):  # another process has ended it meanwhile
                self.release(step.number)
                continue
            self.until[step.number] = step.until
            return step.number, self._claimed(step.number, known)
        return None

    def _chosen(self, known: int) -> Step:
        """The step that follows the recorded ones, chosen from the results of the first `known`
        steps."""
        steps = self.ladder.steps
        return next_step(self._learnt(known), steps, self.levels, self.trials)

    def _learnt(self, known: int) -> dict[int, Known]:
        """What the first `known` steps revealed about their trials."""
        steps = self.ladder.steps[:known]
        records = {n: record for n in range(self.trials) if (record := self.record(n)) is not None}
        return self.ladder.known(steps, records)

    def _over(self, step: Step) -> bool:
        """Whether a step has its result."""
        if step.number is None or self.ladder.rung(step.number, step.until) is not None:
            return True
        return self.record(step.number) is not None

    @property
    def finished(self) -> bool:
        """Whether every trial has a record, or no further trial begins now."""
        if self.halted or self.unsound:
            return True
        if self.levels:
            steps = self.ladder.steps
            over = self.ladder.rests(self.lag) and all(self._over(step) for step in steps)
            if over and self._chosen(len(steps)) == IDLE:
                return True
        elif all(self.record(number) is not None for number in range(self.trials)):
            return True
        return self._nothing_left(self.spent) and not self.running and not self.elsewhere

    def _nothing_left(self, spent: float) -> bool:
        return self.seconds is not None and spent > self.seconds - SLACK_S

    @property
    def elsewhere(self) -> bool:
        """Whether another process runs a trial of this search."""
        if self.levels:
            open_steps = [step.number for step in self.ladder.steps if not self._over(step)]
            numbers = [number for number in open_steps if number is not None]
        else:
            numbers = [n for n in range(self.trials) if self.record(n) is None]
        for number in numbers:
            if self._claim(number).exists() and number not in self.running:
                if not self._lock(number):
                    return True
                self.release(number)
        return False

    @property
    def spent(self) -> float:
        """Recorded process seconds, attempts without a result included."""
        recorded = sum(record.get("seconds", 0.0) for record in self.records())
        return recorded + lost_seconds(self.folder)

    def left(self, number: int) -> float | None:
        """Seconds that a running trial may still take; None without a limit."""
        limits = []
        if self.trial_seconds is not None:
            before = self.seconds_before(number)
            limits.append(self.trial_seconds - before - (time.monotonic() - self.running[number]))
        if self.seconds is not None:
            limits.append(self.seconds - self.spent - self.under_way)
        return min(limits, default=None)

    def seconds_before(self, number: int) -> float:
        """Process seconds that a trial took until its last pause."""
        return sum(rung["seconds"] for rung in self.ladder.passed(number)) if self.levels else 0.0

    def ended_by(self, number: int, seconds: float) -> str:
        """What ended a trial after `seconds`: "time", its own limit, or "budget", the limit of the
        search."""
        seconds += self.seconds_before(number)
        own = self.trial_seconds is not None and seconds > self.trial_seconds - SLACK_S
        return "time" if own else "budget"

    @property
    def under_way(self) -> float:
        """Seconds so far of the running trials, here and in other processes of this machine."""
        now = time.monotonic()
        here = sum(now - begin for begin in self.running.values())
        if self.seconds is None:
            return here
        others = (self._running_record(n) for n in range(self.trials) if n not in self.running)
        return here + sum(
            now - record["begin"]
            for record in others
            if record is not None and leader(record["pid"]) == _leader(record)
        )

    def record(self, number: int) -> Trial | None:
        """The record of a trial, None before it has one."""
        if number not in self.known and self._trial(number).exists():
            self.known[number] = read_record(self._trial(number), Trial)
        return self.known.get(number)

    def begun(self, number: int, pid: int | None) -> None:
        """Record which process trains a trial, so that what it leaves after a kill can be ended
        later."""
        self.running[number] = now = time.monotonic()
        if pid is not None and (process := leader(pid)) is not None:
            write_record(self._process(number), {**process._asdict(), "begin": now})

    def tell(self, trial: Trial) -> None:
        """Record a finished trial; the first writer wins.

        `seconds` of the trial are those since its last pause; those before are added.
        """
        number, record = trial["number"], {"format": 1, **trial}
        if before := self.seconds_before(number):
            record["seconds"] = trial.get("seconds", 0.0) + before
        write_once(self._trial(number), record)
        self.release(number)

    def pause(self, number: int, run_id: str, reached: dict[str, float], seconds: float) -> None:
        """Record that a trial has reached a pause; `reached`: epoch -> best AUC so far."""
        until = self.until[number]
        record = RungRecord(
            number=number, until=until, run_id=run_id, rungs=reached, seconds=seconds
        )
        write_once(self.ladder.rung_file(number, until), {"format": 1, **record})
        self.release(number)

    def interrupt(self, number: int, cause: str, reason: str, seconds: float) -> bool:
        """Record an attempt that ended without a result; returns whether the trial may be tried
        again."""
        name = f"interrupted-{number:04d}-"
        before = sorted(self.folder.glob(f"{name}*.json"))
        record = {"number": number, "cause": cause, "reason": reason, "seconds": seconds}
        write_once(self.folder / f"{name}{len(before)}.json", {"format": 1, **record})
        same = [path for path in before if read_record(path, Interruption)["cause"] == cause]
        self.release(number)
        return len(same) < AGAIN[cause]

    def halt(self, number: int, reason: str) -> None:
        """Leave trial `number` without a record, to be tried by the next command: the failure was
        not its own."""
        self.release(number)
        self.halted = f"trial {number}: {reason}"

    def release(self, number: int) -> None:
        """Unlock the trial, so that another process can run it."""
        self.running.pop(number, None)
        self.until.pop(number, None)
        with contextlib.suppress(OSError):
            forget(self._process(number))
        if (lock := self.locks.pop(number, None)) is not None:
            lock.close()

    def _claim(self, number: int) -> Path:
        return self.folder / f"claim-{number:04d}.json"

    def _trial(self, number: int) -> Path:
        return self.folder / f"trial-{number:04d}.json"

    def _process(self, number: int) -> Path:
        return self.folder / f"running-{number:04d}.json"

    def _running_record(self, number: int) -> RunningTrial | None:
        """The recorded process of the trial; it only helps to count and to end processes, never to
        decide."""
        try:
            return read_record(self._process(number), RunningTrial)
        except DataContractError:  # missing, deleted meanwhile, or damaged
            return None

    def _lock(self, number: int) -> bool:
        """Take the trial's lock, unless another process holds it; the kernel frees the lock of a
        dead process.

        Raises:
            PlaceError: the file system has no locks.
        """
        lock = contextlib.ExitStack()
        try:
            path = lock_file(self.folder, "trial", f"{number:04d}")
            lock.enter_context(locked(path, Wait("waiting for the trial", limit=0.0)))
        except HeldError:
            return False
        self.locks[number] = lock
        return True

    def _reap(self, number: int) -> None:
        """End what a killed process of this trial has left running, since it holds the run's
        lock."""
        if (record := self._running_record(number)) is not None:
            reap(_leader(record))
        with contextlib.suppress(OSError):
            forget(self._process(number))

    def excess(self, params: Mapping[str, Json]) -> float:
        """MACs a candidate above the budget; 0 or less if the budget is kept or there is none."""
        if self.budget_macs is None or self.macs is None:
            return 0.0
        return self.macs(params) - self.budget_macs

    def lateness(self, params: Mapping[str, Json]) -> float:
        """Predicted ms of p99 above the limit; 0 or less if the limit is kept or there is none."""
        if self.slo_ms is None or self.latency is None or self.counted is None:
            return 0.0
        return self.latency.p99_ms(self.counted(params)) - self.slo_ms

    def _propose(self, number: int, known: int) -> Claim:
        """The claim of a trial; parameters that exceed the budget of MACs are drawn again, which
        trains nothing."""
        if number == 0:
            return {"params": dict(self.constants)}  # the defaults: no search ends below them
        records = self._records_for(number, known)
        claim = first = self._draw(number, 0, records)
        for attempt in range(1, DRAWS):
            if self.excess(claim["params"]) <= 0 and self.lateness(claim["params"]) <= 0:
                break
            claim = self._draw(number, attempt, records)
        if self.sampler == "nsga-ii":
            claim["system_attrs"] = first.get("system_attrs", {})  # its generation, whoever drew
        return claim

    def _records_for(self, number: int, known: int) -> dict[int, Trial]:
        """The records that a proposal may use: those of the first `known` trials (or steps)."""
        if not self.levels:
            return {n: record for n in range(known) if (record := self.record(n)) is not None}
        records: dict[int, Trial] = {}
        for n, of in self._learnt(known).items():
            record = self.record(n) if of.ended else None
            reached = {str(level): auc for level, auc in of.reached.items()}
            waits: Trial = {"number": n, "state": "pruned", "value": None, "rungs": reached}
            records[n] = waits if record is None else record
        return records

    def _draw(self, number: int, attempt: int, records: Mapping[int, Trial]) -> Claim:
        """What the sampler proposes for a trial from the `records`; `attempt` counts its draws from
        0."""
        of = f"{number}:{attempt}" if attempt else number
        if self.sampler == "qmc":
            at = number - 1 + attempt * self.trials
            point = quasi_random(self.distributions, self._seed("qmc"), at)
            return {"params": {**self.constants, **point}}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        drawn = self.sampler if attempt < OF_SAMPLER else "random"  # it does not know the budget
        sampler = make_sampler(drawn, self._seed(of), self.trials)
        study = optuna.create_study(directions=self.directions, sampler=sampler)
        for earlier in range(1, number):
            study.add_trial(self._frozen(earlier, records.get(earlier)))
        trial = study.ask(self.distributions)
        claim: Claim = {"params": {**self.constants, **trial.params}}
        if drawn in STATEFUL:
            claim["system_attrs"] = dict(study.trials[-1].system_attrs)
        return claim

    def _seed(self, of: int | str) -> int:
        key = f"{self.seed}:{self.strategy}:{of}".encode()
        return int.from_bytes(hashlib.sha256(key).digest()[:4])

    def _frozen(self, number: int, record: Trial | None) -> FrozenTrial:
        claim = read_record(self._claim(number), Claim)
        params = {k: value for k, value in claim["params"].items() if k in self.distributions}
        used: dict[str, BaseDistribution] = {key: self.distributions[key] for key in params}
        values = None if record is None else self.values_of(record)
        if record is None:  # still running, or too recent to be used: only its place is known
            state = TrialState.RUNNING
        else:
            state = TrialState.FAIL if values is None else TrialState.COMPLETE
        reached = {} if record is None else record.get("rungs", {})
        if record is not None and record["state"] == "pruned":
            state = TrialState.PRUNED
        return create_trial(
            state=state,
            values=values,
            params=params,
            distributions=used,
            intermediate_values={int(epoch): auc for epoch, auc in reached.items()},
            system_attrs=dict(claim.get("system_attrs", {})),
        )

    @property
    def directions(self) -> list[StudyDirection]:
        """Maximise the AUC; minimise the cost, if it is an objective."""
        return [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][: len(self.objectives)]

    def values_of(self, record: Trial) -> list[float] | None:
        """The trial's value of each objective; None if one is missing."""
        if record["state"] != "ok" or record["value"] is None:
            return None
        if len(self.objectives) == 1:
            return [record["value"]]
        return [record["value"], record["macs"]] if "macs" in record else None

    def front(self) -> list[FrontPoint]:
        """The trials that no other trial beats on both AUC and MACs, the cheapest first."""
        counted = [trial for trial in self.ranked() if "macs" in trial]
        front: list[FrontPoint] = []
        for trial in sorted(counted, key=lambda trial: trial["macs"]):  # of equals the best first
            if not front or auc_of(trial) > front[-1]["valid_auc"]:
                point: FrontPoint = {
                    "number": trial["number"],
                    "params": trial.get("params", {}),
                    "valid_auc": auc_of(trial),
                    "macs": trial["macs"],
                }
                if (timing := self.timings.of(trial)) and timing["p99_ms"] is not None:
                    point["p99_ms"] = timing["p99_ms"]
                front.append(point)
        return front

    def near_front(self) -> list[Trial]:
        """The `timed` trials nearest to the front of AUC and counted cost, of those within the
        limit; the cost is the predicted p99 if `slo_ms` is set, else MACs."""

        def cost(trial: Trial) -> float:
            if self.latency is None or self.counted is None:
                return trial.get("macs", 0.0)
            return self.latency.p99_ms(self.counted(trial.get("params", {})))

        return nearest(self.in_time(), cost, self.timed)

    def in_time(self) -> list[Trial]:
        """The trials that ended well, best first, without those whose measured p99 is above the
        limit."""
        return [t for t in self.ranked() if not self.timings.above(t, self.slo_ms)]

    def ranked(self) -> list[Trial]:
        """The trials that ended well, the best validation AUC first; on ties the lowest number
        first."""
        good = [trial for trial in self.records() if trial["state"] == "ok"]
        known = [trial for trial in good if trial["value"] is not None]
        return sorted(known, key=auc_of, reverse=True)

    @property
    def winner(self) -> Path:
        """The file that the winner is written to."""
        return self.folder / winner_name(self.trials, self.finalists, self.seconds, self.timed)

    def freeze(self, finalists: Sequence[Finalist] = ()) -> WinnerRecord:
        """The winner by validation AUC; written once, before test is opened.

        With `finalists` it is the one with the best mean over its seeds. Without them, if the
        search is to have some, it is the winner that was frozen from them before.

        Raises:
            NoWinnerError: no trial has finished.
        """
        if self.finalists and not finalists and self.winner.exists():
            return read_record(self.winner, WinnerRecord)
        records, good = self.records(), {trial["number"]: trial for trial in self.in_time()}
        means = [
            (-mean, finalist["number"])
            for finalist in finalists
            if (mean := finalist["mean"]) is not None
        ]
        if not good or (finalists and not means):
            failed = [r.get("reason", "") for r in records] + [f["reason"] for f in finalists]
            failed += [attempt["reason"] for attempt in interruptions(self.folder)]
            if len(self.in_time()) < len(self.ranked()):
                failed.append(f"p99 timed above {self.slo_ms:g} ms")
            reasons = "; ".join(sorted({*failed} - {""})) or "no trials"
            raise NoWinnerError(f"{self.strategy}: no trial finished, so no winner ({reasons})")
        best = good[min(means)[1]] if means else next(iter(good.values()))
        winner: WinnerRecord = {
            "format": 1,
            "strategy": self.strategy,
            "number": best["number"],
            "params": best.get("params", {}),
            "valid_auc": auc_of(best),
            "trials": len(records),
            "seconds": round(self.spent, 3),
            "evidence": digest([records, list(finalists)] if finalists else records),
        }
        if finalists:
            winner["finalists"] = list(finalists)
        if len(self.objectives) > 1:
            winner["front"] = self.front()
        if self.timed:
            winner["timed"] = [of for trial in self.ranked() if (of := self.timings.of(trial))]
        if not write_once(self.winner, dict(winner)):
            self._compare(winner)
        return winner

    def _compare(self, winner: WinnerRecord) -> None:
        """Compare a winner with the one frozen before; if that one cannot be read, `damaged` says
        so."""
        try:
            before = read_record(self.winner, WinnerRecord)
        except NewerFormatError:
            raise
        except DataContractError as error:
            self.damaged = str(error)
            return
        if {**before, "format": 1} != {**winner, "format": 1}:
            raise UsageError(
                f"{self.winner}: another winner was frozen from other records; delete neither"
            )

    def records(self) -> list[Trial]:
        """All records, by trial number; a trial that waits at a pause has the state pruned."""
        return [record for n in range(self.trials) if (record := self._record_so_far(n))]

    def _record_so_far(self, number: int) -> Trial | None:
        if (record := self.record(number)) is not None or not self.levels:
            return record
        if number in self.running or not (rungs := self.ladder.passed(number)):
            return None
        return paused(rungs, read_record(self._claim(number), Claim))


def _leader(record: RunningTrial) -> Leader:
    return Leader(record["pid"], record["start"], record["boot"])
