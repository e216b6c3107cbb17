"""One strategy's search: Optuna proposes, our records are the truth.

Parameters of trial n depend on the study's seed, the strategy, n, the records 0 .. n - lag and the
parameters of the trials between; never on how many workers ran or how often they were killed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import FusefrontError, UsageError
from fusefront.harness.runs.files import Json, digest, write_once
from fusefront.harness.runs.records import (
    Claim,
    Finalist,
    NewerFormatError,
    SearchIdentity,
    Trial,
    WinnerRecord,
    read_record,
    winner_name,
)
from fusefront.harness.runs.study import Sampler
from fusefront.harness.tuning.samplers import make_sampler, quasi_random, refusal
from fusefront.harness.tuning.space import Space, distributions


class NoWinnerError(FusefrontError):
    """None of a strategy's trials finished."""


@dataclass
class Search:
    """The claims, records and winner of one strategy, under `folder`."""

    folder: Path
    strategy: str
    space: Space
    trials: int
    seed: int
    lag: int
    sampler: Sampler = "tpe"
    finalists: int = 0  # so many of the best are trained again before one is frozen
    running: set[int] = field(default_factory=set)
    halted: str = ""  # why no more trials are begun now: memory, disk or the like gave out
    damaged: str = ""  # the frozen winner cannot be read: it was found again in the trials
    unsound: str = ""  # why this search is left out: a record that it stands on is damaged

    def __post_init__(self) -> None:
        self.distributions = distributions(self.space)
        if not self.distributions:
            self.trials = min(self.trials, 1)  # nothing to search: the defaults are the winner
        if sentence := refusal(self.sampler, self.distributions, self.trials):
            raise UsageError(f"strategy {self.strategy!r}: tuning.sampler: {sentence}")
        identity: SearchIdentity = {
            "format": 1,
            "seed": self.seed,
            "lag": self.lag,
            "space": {key: repr(value) for key, value in sorted(self.distributions.items())},
        }
        if self.sampler != "tpe":
            identity["sampler"] = self.sampler
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
                f"{path}: this search was begun with another seed, lag, space or sampler;"
                " give the study another name or restore them"
            )

    def examine(self) -> list[str]:
        """A sentence for each record of the budget that cannot be read; such a search begins no
        trial."""
        sentences = [self.unsound] if self.unsound else []
        for number in range(self.trials):
            for name, kind in ((f"claim-{number:04d}", Claim), (f"trial-{number:04d}", Trial)):
                path = self.folder / f"{name}.json"
                try:
                    if path.exists() or path.is_symlink():
                        read_record(path, kind)
                except DataContractError as error:
                    sentences.append(str(error))
        self.unsound = next(iter(sentences), "")
        return sentences

    def frozen(self) -> WinnerRecord | None:
        """The winner of this budget that is on record; None without one that can be read."""
        try:
            return read_record(self.winner, WinnerRecord) if self.winner.exists() else None
        except DataContractError:
            return None

    def next_trial(self) -> tuple[int, dict[str, Json]] | None:
        """Number and parameters of the next trial that may start now, None if none may."""
        if self.halted or self.unsound:
            return None
        for number in range(self.trials):
            if number in self.running or self.record(number) is not None:
                continue
            if any(self.record(earlier) is None for earlier in range(number - self.lag + 1)):
                return None
            claim = self.folder / f"claim-{number:04d}.json"
            if not claim.exists():
                write_once(claim, {"format": 1, "params": self._propose(number)})
            self.running.add(number)
            return number, dict(read_record(claim, Claim)["params"])
        return None

    @property
    def finished(self) -> bool:
        """Every trial has its record, or no more of them are begun now."""
        return bool(self.halted or self.unsound) or all(
            self.record(number) is not None for number in range(self.trials)
        )

    def record(self, number: int) -> Trial | None:
        """The record of a trial, None before it has one."""
        path = self.folder / f"trial-{number:04d}.json"
        return read_record(path, Trial) if path.exists() else None

    def tell(self, trial: Trial) -> None:
        """Keep a finished trial's record; the first writer wins."""
        write_once(self.folder / f"trial-{trial['number']:04d}.json", {"format": 1, **trial})
        self.running.discard(trial["number"])

    def halt(self, number: int, reason: str) -> None:
        """Leave trial `number` without a record, for the next command: it is not the trial's
        fault."""
        self.running.discard(number)
        self.halted = f"trial {number}: {reason}"

    def _propose(self, number: int) -> dict[str, Json]:
        if number == 0:
            return {}  # the defaults, so that no search ends below them on validation
        if self.sampler == "qmc":
            return quasi_random(self.distributions, self._seed("qmc"), number - 1)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = make_sampler(self.sampler, self._seed(number), self.trials)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for earlier in range(1, number):
            study.add_trial(self._frozen(earlier, known=earlier <= number - self.lag))
        return dict(study.ask(self.distributions).params)

    def _seed(self, of: int | str) -> int:
        key = f"{self.seed}:{self.strategy}:{of}".encode()
        return int.from_bytes(hashlib.sha256(key).digest()[:4])

    def _frozen(self, number: int, *, known: bool) -> FrozenTrial:
        params = dict(read_record(self.folder / f"claim-{number:04d}.json", Claim)["params"])
        used: dict[str, BaseDistribution] = {key: self.distributions[key] for key in params}
        record = self.record(number) if known else None
        if record is None:  # still running, or too recent to be used: only its place is known
            return create_trial(state=TrialState.RUNNING, params=params, distributions=used)
        if record["state"] != "ok" or record["value"] is None:
            return create_trial(state=TrialState.FAIL, params=params, distributions=used)
        return create_trial(value=record["value"], params=params, distributions=used)

    def ranked(self) -> list[Trial]:
        """The trials that ended well, best on validation first, the lowest number on ties."""
        good = [trial for trial in self.records() if trial["state"] == "ok"]
        known = [(value, trial) for trial in good if (value := trial["value"]) is not None]
        ranked = sorted(known, key=lambda pair: (-pair[0], pair[1]["number"]))
        return [trial for _, trial in ranked]

    @property
    def winner(self) -> Path:
        """Where the winner is frozen."""
        return self.folder / winner_name(self.trials, self.finalists)

    def freeze(self, finalists: Sequence[Finalist] = ()) -> WinnerRecord:
        """The winner by validation AUC; written once, before test is opened.

        Of `finalists`, the one with the best mean over its seeds; without them, where the search is
        to have some, the winner that was frozen from them.

        Raises:
            NoWinnerError: no trial finished.
        """
        if self.finalists and not finalists and self.winner.exists():
            return read_record(self.winner, WinnerRecord)
        records, good = self.records(), {trial["number"]: trial for trial in self.ranked()}
        means = [
            (-mean, finalist["number"])
            for finalist in finalists
            if (mean := finalist["mean"]) is not None
        ]
        if not good or (finalists and not means):
            failed = [r.get("reason", "") for r in records] + [f["reason"] for f in finalists]
            reasons = "; ".join(sorted({*failed} - {""})) or "no trials"
            raise NoWinnerError(f"{self.strategy}: no trial finished, so no winner ({reasons})")
        best = good[min(means)[1]] if means else next(iter(good.values()))
        winner: WinnerRecord = {
            "format": 1,
            "strategy": self.strategy,
            "number": best["number"],
            "params": best.get("params", {}),
            "valid_auc": best["value"] or 0.0,
            "trials": len(records),
            "seconds": round(sum(record.get("seconds", 0.0) for record in records), 3),
            "evidence": digest([records, list(finalists)] if finalists else records),
        }
        if finalists:
            winner["finalists"] = list(finalists)
        if not write_once(self.winner, dict(winner)):
            self._compare(winner)
        return winner

    def _compare(self, winner: WinnerRecord) -> None:
        """Hold a winner to the one frozen before; where it cannot be read, `damaged` says so."""
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
        """The records that there are, by number."""
        return [record for n in range(self.trials) if (record := self.record(n)) is not None]
