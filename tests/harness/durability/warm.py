"""Commands in processes that are forked from a warm interpreter: real processes and real kills
without five seconds of imports each.

Trainings run in the command's own process, so that one signal 9 ends both at once, as it does for a
process group. The latency session is replayed from a recorded one: nothing here is about
its numbers. The parent must use no polars and no tensors before it forks: their threads do not
survive.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fusefront.harness.cli import app as program
from fusefront.harness.dossier import comparison, decide  # noqa: F401  (warm)
from fusefront.harness.jobs import pipeline
from fusefront.harness.runs.spec import Cell
from fusefront.harness.serving.latency import study as latency
from fusefront.harness.training import run as training
from fusefront.harness.training.workers import Message, Workers, is_passing
from fusefront.reports import render  # noqa: F401  (warm)


class OwnProcess(Workers):
    """Trains one cell after the other in the process of the command."""

    def execute(
        self, source: Callable[[], Cell | str | None], *_: object, **__: object
    ) -> Iterator[tuple[str, Cell, Message]]:
        from fusefront.datasets.store import PreparedDataset
        from fusefront.harness.parts.plugins import load_parts

        store, parts = PreparedDataset.open(self.store_path), load_parts(self.include)
        while (cell := source()) is not None:
            if not isinstance(cell, Cell):  # another command runs what comes next
                time.sleep(0.05)
                continue
            yield "start", cell, {}
            try:
                training.run(cell, self.root, store, parts)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                yield "failed", cell, {"reason": reason, "passing": is_passing(error)}
            else:
                yield "done", cell, {}


def start(
    folder: Path,
    words: list[str],
    before: Callable[[], None] = lambda: None,
    session: Path | None = None,
) -> int:
    """Fork a command in a group of its own; its process id. What it writes is in PID.log."""
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    code = 99
    try:
        os.setpgid(0, 0)
        log = os.open(folder / f"{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ["FUSEFRONT_HOST_LOCK"] = str(folder / "host.lock")
        pipeline.Workers = OwnProcess  # type: ignore[misc]
        if session is not None:
            latency._measure = lambda *_: _replayed(session)  # type: ignore[assignment]
        _note_trainings(folder)
        before()
        sys.argv = ["fusefront", *words]
        program.app.registered_commands.clear()
        code = program.run() or 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _note_trainings(folder: Path) -> None:
    """A line for each training that begins: run id and process."""
    fit = training._train

    def noted(cell: Cell, *arguments: Any) -> Any:
        with (folder / "trainings").open("a") as log:
            log.write(f"{cell.spec.run_id} {os.getpid()}\n")
        return fit(cell, *arguments)

    training._train = noted


def _replayed(session: Path) -> Any:
    """The latency session that was recorded in a study's bench folder."""
    import polars as pl

    record = json.loads((session / "bench.json").read_text())
    tables = {name: pl.read_parquet(session / f"{name}.parquet") for name in ("samples", "visits")}
    recording = SimpleNamespace(**tables)
    return SimpleNamespace(facts=record["facts"], rows=record["rows"], recording=recording)


def end(pid: int) -> int:
    """Wait for a command: its exit code, -9 where it was killed."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


STEP = 0.005  # seconds between two looks at a command


def kill(pid: int, after: float) -> int:
    """Signal 9 to the command's group after some seconds, unless it has ended: its exit code."""
    for _ in range(round(after / STEP)):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(STEP)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return end(pid)
