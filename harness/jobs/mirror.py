"""Mirrors runs in a process of its own: trouble with a server, the network or wandb never stops a
study."""

import contextlib
import multiprocessing
import os
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fusefront.harness.processes import follow_parent, start
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.tracking import (
    QUIET,
    Account,
    Mode,
    TrackingCard,
    begin,
    finish,
    is_mirrored,
    mirror_study,
    mode_here,
    note,
)

PATIENCE_S = 60.0  # of silence, at the end of a command, before the mirror is given up
Tell = Callable[[str], None]
Event = tuple[str, dict[str, Any]]


class Mirror:
    """Sends events to the mirror's process; reports once, and only once, that mirroring fails."""

    def __init__(
        self, account: Account, study: str, tell: Tell, patience: float = PATIENCE_S
    ) -> None:
        self.account, self.study, self.tell, self.patience = account, study, tell, patience
        self.mode: Mode = mode_here()
        self.events: Any = None
        self.answers: Any = None
        self.process: multiprocessing.process.BaseProcess | None = None
        self.pending, self.missed, self.warned = 0, 0, False

    def epoch(self, cell: Cell, run: Path, line: dict[str, Json]) -> None:
        """Mirror an epoch when it ends; offline, epochs are mirrored together with their run."""
        if self.mode == "online" and not self.warned:
            self._send("epoch", run=run, card=self._card(cell), line=line)

    def complete(self, cell: Cell, run: Path) -> None:
        """Mirror a complete run."""
        if self.mode != "disabled" and not is_mirrored(run):
            self.send_run(run, self._card(cell))

    def send_run(self, run: Path, card: TrackingCard) -> None:
        """Mirror a complete run under a card that the caller gives."""
        self.pending += 1
        self._send("done", run=run, card=card)

    def decided(self, study: Path, page: Path) -> None:
        """Mirror a decided study with its report page."""
        if self.mode != "disabled" and (study / "decision.json").exists():
            self.pending += 1
            self._send("study", study=study, page=page)

    def close(self) -> int:
        """Wait until everything sent is mirrored, as long as there is progress; returns how many
        runs are not."""
        if self.process is None:
            return 0
        self.events.put(None)
        while self.pending and self._take(self.patience):
            pass
        if self.pending:
            self.missed, self.pending = self.missed + self.pending, 0
            self._warn(f"no answer for {self.patience:g} s")
            self.process.kill()
        self.process.join(self.patience)
        for pipe in (self.events, self.answers):
            pipe.cancel_join_thread()
            pipe.close()
        self.process = None
        missed, self.missed = self.missed, 0
        return missed

    def _card(self, cell: Cell) -> TrackingCard:
        return TrackingCard(cell.spec.run_id, cell.strategy, cell.role, cell.seed, self.study)

    def _send(self, kind: str, **content: Any) -> None:
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.events, self.answers = context.Queue(), context.Queue()
            mode = "offline" if self.warned else self.mode
            arguments = (self.events, self.answers, self.account, mode)
            self.process = context.Process(target=serve, args=arguments, daemon=True)
            start(self.process)
        self.events.put((kind, content))
        while self._take(0.0):
            pass

    def _take(self, seconds: float) -> bool:
        """Wait up to `seconds` for one answer; False if none came or the process has ended."""
        assert self.process is not None
        while True:
            try:
                kind, reason = self.answers.get(timeout=min(seconds, 1.0) or 0.001)
                break
            except queue.Empty:
                seconds -= 1.0
                if seconds <= 0 or not self.process.is_alive():
                    return False
        if reason:
            self._warn(reason)
        if kind != "warning":
            self.pending -= 1
            self.missed += kind == "missed"
        return True

    def _warn(self, reason: str) -> None:
        if not self.warned:
            self.tell(
                f"the Weights & Biases mirror does not get on ({reason}); the study goes on, "
                "`fusefront sync` sends what is missing later"
            )
        self.warned = True


def serve(events: Any, answers: Any, account: Account, mode: Mode) -> None:
    """The loop of the mirror's process: one event at a time; after a failure online it goes on
    offline."""
    follow_parent()
    os.environ.update(QUIET)
    opened: dict[Path, tuple[Any, int]] = {}  # live mirrors and the last epoch that was sent
    while (event := events.get()) is not None:
        kind, content = event
        try:
            _handle(kind, content, opened, account, mode)
        except BaseException as error:
            answers.put(("warning", _reason(error)))
            opened.clear()
            _end_service()
            online, mode = mode == "online", "offline"
            if kind != "epoch":  # it comes with its run
                answers.put(_again(kind, content, account) if online else ("missed", ""))
        else:
            if kind != "epoch":
                answers.put(("done", ""))


def _end_service() -> None:
    """End wandb's own service, which still holds the id of a run that failed."""
    with contextlib.suppress(Exception):
        import wandb

        wandb.teardown()


def _again(kind: str, content: dict[str, Any], account: Account) -> tuple[str, str]:
    """Mirror the same offline; returns its answer."""
    try:
        _handle(kind, content, {}, account, "offline")
    except BaseException as error:
        return "missed", _reason(error)
    return "done", ""


def _handle(
    kind: str,
    content: dict[str, Any],
    opened: dict[Path, tuple[Any, int]],
    account: Account,
    mode: Mode,
) -> None:
    if kind == "study":
        mirror_study(content["study"], content["page"], account, mode)
        return
    run, card = content["run"], content["card"]
    if kind == "epoch":
        if mode != "online":
            return
        line = content["line"]
        live = opened[run][0] if run in opened else begin(run, card, account, mode)
        live.log(line, step=line["epoch"])
        opened[run] = live, line["epoch"]
        return
    if is_mirrored(run):
        return
    mirrored, last = opened.pop(run, None) or (begin(run, card, account, mode), 0)
    finish(mirrored, run, last)
    note(run, card.run_id, synced=mode == "online")


def _reason(error: BaseException) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first[:160]
