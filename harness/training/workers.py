"""Runs in worker processes: one thread each, ended with their parent; they share nothing but
files."""

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.errors import DataContractError, PlaceError
from fusefront.harness.processes import follow_parent, start
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training.allocator import give_freed_memory_back, keep_freed_memory
from fusefront.harness.training.halving import Leg
from fusefront.harness.training.trees import GRACE_S, end_tree, kill_tree, lead, oom_kills

Message = dict[str, Json]
TRIES = 2  # attempts at a run that lack of memory, a full disk or the like ended
POLL_S = 0.2  # between two checks of limits, dead workers and other processes' progress


def work(connection: Connection, root: Path, store_path: Path, include: Sequence[Path]) -> None:
    """The loop of a worker: trains one cell after the other until it receives None; ends with its
    parent.

    It leads a session of its own, so that everything it starts can be ended with it.
    """
    lead()
    follow_parent()
    keep_freed_memory()  # before anything big is made
    from fusefront.datasets.store import PreparedDataset
    from fusefront.harness.parts.plugins import load_parts
    from fusefront.harness.training.checkpoint import PausedError
    from fusefront.harness.training.run import run

    store, parts = PreparedDataset.open(store_path), load_parts(include)
    while (task := _receive(connection)) is not None:
        cell, until = task if isinstance(task, Leg) else (task, None)
        begin = time.monotonic()
        try:
            record = run(
                cell,
                root,
                store,
                parts,
                lambda message: connection.send(("epoch", message)),
                include,
                lambda line: connection.send(("waiting", {"line": line})),
                until,
            )
            here = record.summary.get("host_pid") == os.getpid()
            connection.send(("done", _seconds_since(begin) if here else {}))
        except PausedError:
            connection.send(("paused", _seconds_since(begin)))
        except Exception as error:  # the search and the study go on; the record says why
            detail = traceback.format_exc(limit=-3)
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            message = {"reason": reason, "detail": detail, "passing": is_passing(error)}
            sorted_ = {"cause": cause_of(error), **_seconds_since(begin)}
            connection.send(("failed", {**message, **sorted_}))
        give_freed_memory_back()


def _seconds_since(begin: float) -> Message:
    return {"seconds": round(time.monotonic() - begin, 3)}


def _receive(connection: Connection) -> Cell | Leg | None:
    try:
        task: Cell | Leg | None = connection.recv()
    except EOFError:
        return None
    return task


_OF_THE_PLACE = (
    "no space left",
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
)


def is_passing(error: BaseException) -> bool:
    """Whether memory, disk, a lock, a damaged file or the like failed, and not the run: a retry may
    succeed."""
    if isinstance(error, OSError | MemoryError | PlaceError | DataContractError):
        return True
    text = str(error).lower()
    return any(words in text for words in _OF_THE_PLACE)


def cause_of(error: BaseException) -> str:
    """What failed: "memory", "place" (disk, lock), "nan", "value" or "error"."""
    if isinstance(error, MemoryError) or any(w in str(error).lower() for w in _OF_THE_PLACE[1:]):
        return "memory"
    if is_passing(error):
        return "place"
    if isinstance(error, FloatingPointError):
        return "nan"
    return "value" if isinstance(error, ValueError | TypeError) else "error"


Limit = Callable[[Cell], float | None]
Until = Callable[[Cell], int | None]
Source = Callable[[], Cell | str | None]


_ENDS = ("done", "paused", "failed", "died")


class _Busy(NamedTuple):
    process: BaseProcess
    cell: Cell
    begin: float
    oom_kills: int | None  # of the machine when the cell began


class Workers:
    """A few worker processes that pull cells from a source, in order, until it is empty.

    `source()` returns the next cell, None when nothing is left, `WAIT` when what comes next
    depends on cells still running here, or `OTHERS` when it depends on other processes.
    """

    WAIT, OTHERS = "wait", "others"

    def __init__(self, jobs: int, root: Path, store_path: Path, include: Sequence[Path]) -> None:
        self.jobs, self.root, self.store_path, self.include = jobs, root, store_path, include
        self.idle: list[tuple[BaseProcess, Connection]] = []  # kept between two calls of execute
        self.ending = False  # begin no more cells; those that run end

    def close(self) -> None:
        """End the idle workers; the next `execute` starts new ones."""
        while self.idle:
            process, connection = self.idle.pop()
            connection.close()
            process.join(10)

    def execute(
        self,
        source: Source,
        limit: Limit | None = None,
        tries: int = TRIES,
        grace: float = GRACE_S,
        until: Until | None = None,
    ) -> Iterator[tuple[str, Cell, Message]]:
        """Yield (kind, cell, message) as it happens. The last kind of a cell is "done", "paused" or
        "failed"; before come "start", "epoch" and "waiting".

        A cell that failed for lack of memory, disk or the like is tried `tries` times. The message
        of "failed" says whether such a cause, which a retry may not meet, ended it ("passing":
        bool), what failed ("cause") and the seconds it took.

        `limit(cell)` is how many seconds a running cell has left: at 0 its whole process tree is
        asked to end, and killed after `grace` s. `until(cell)` is the epoch after which it pauses
        ("paused"), None to train it to its end.

        Raises:
            RuntimeError: nothing runs here, and the source still waits for a run.
        """
        context = multiprocessing.get_context("spawn")
        busy: dict[Connection, _Busy] = {}
        empty = waiting = False  # waiting: ask the source again once something has happened here
        again: list[Cell] = []
        failures: dict[str, int] = {}
        try:
            while True:
                others = False
                if self.ending:
                    empty, again = True, []
                while again or not (empty or waiting):
                    if not self.idle and len(busy) >= self.jobs:
                        break
                    cell = again.pop(0) if again else source()
                    if cell is None:
                        empty = True
                    if not isinstance(cell, Cell):
                        others, waiting = cell == self.OTHERS, cell == self.WAIT
                        break
                    process, connection = self.idle.pop() if self.idle else self._spawn(context)
                    last = until(cell) if until else None
                    with contextlib.suppress(BrokenPipeError):  # killed while idle: noticed below
                        connection.send(cell if last is None else Leg(cell, last))
                    busy[connection] = _Busy(process, cell, time.monotonic(), oom_kills())
                    yield "start", cell, {"pid": process.pid}
                    if self.ending:
                        break
                if not busy:
                    if empty or self.ending:
                        return
                    if not others:
                        raise RuntimeError("nothing is running and the next run waits for another")
                    time.sleep(POLL_S)
                    continue
                events = _events(busy, limit)
                waiting = waiting and not events
                for connection, kind, message in events:
                    of = busy[connection]
                    if kind in ("died", "late"):
                        _end(connection, of, grace if kind == "late" else None)
                        kind = "failed"
                    elif kind in ("done", "paused", "failed"):
                        self.idle.append((of.process, connection))
                    if kind in ("done", "paused", "failed"):
                        del busy[connection]
                    failed = failures.get(of.cell.spec.run_id, 0) + 1
                    if message.get("passing") and failed < tries:
                        failures[of.cell.spec.run_id] = failed
                        again.append(of.cell)
                    else:
                        yield kind, of.cell, message
        finally:
            for connection, of in busy.items():
                _end(connection, of, None)

    def _spawn(
        self, context: multiprocessing.context.SpawnContext
    ) -> tuple[BaseProcess, Connection]:
        ours, theirs = context.Pipe()
        arguments = (theirs, self.root, self.store_path, tuple(self.include))
        process = context.Process(target=work, args=arguments, daemon=True)
        start(process)
        theirs.close()
        return process, ours


def _events(
    busy: dict[Connection, _Busy], limit: Limit | None
) -> list[tuple[Connection, str, Message]]:
    """The workers' messages within `POLL_S` seconds; "died" for a dead worker, "late" for one at
    its limit."""
    ready = set(wait(list(busy), POLL_S))
    events: list[tuple[Connection, str, Message]] = []
    for connection, of in busy.items():
        left = limit(of.cell) if limit else None
        if connection in ready:
            events.append((connection, *_received(connection, of)))
        elif not of.process.is_alive():  # a child of it still holds the pipe open
            events.append((connection, "died", _death(of)))
        ended = events and events[-1][0] is connection and events[-1][1] in _ENDS
        if left is not None and left <= 0 and not ended:
            reason = f"ended at its limit after {time.monotonic() - of.begin:.1f} s"
            late: Message = {"reason": reason, "passing": False, "cause": "time"}
            events.append((connection, "late", {**late, **_seconds_since(of.begin)}))
    return events


def _received(connection: Connection, of: _Busy) -> tuple[str, Message]:
    """The next message of a worker; "died" where its pipe has ended."""
    assert of.process.pid
    if not of.process.is_alive():
        kill_tree(of.process.pid)  # else recv would wait for the rest of half a message
    try:
        kind, message = connection.recv()
        return kind, message
    except (EOFError, ConnectionResetError):
        of.process.join(GRACE_S)
        return "died", _death(of)


def _death(of: _Busy) -> Message:
    code, now = of.process.exitcode, oom_kills()
    short = now is None or of.oom_kills is None or now > of.oom_kills
    cause = "died" if code != -signal.SIGKILL else "memory" if short else "killed"
    reason = f"its process ended with code {code}"
    return {"reason": reason, "passing": True, "cause": cause, **_seconds_since(of.begin)}


def _end(connection: Connection, of: _Busy, grace: float | None) -> None:
    """End a worker and all it has started; with `grace` (s) it is asked first, else killed at
    once."""
    assert of.process.pid
    if grace is not None:
        end_tree(of.process.pid, grace)
    of.process.kill()  # it may not lead a session yet
    kill_tree(of.process.pid)
    of.process.join()
    connection.close()
