"""Runs in their own processes: one thread each, ended with the parent, nothing shared but files."""

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from fusefront.datasets.errors import DataContractError, PlaceError
from fusefront.harness.processes import follow_parent, start
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.spec import Cell

Message = dict[str, Json]


def work(connection: Connection, root: Path, store_path: Path, include: Sequence[Path]) -> None:
    """A worker: one cell at a time until told None; dies with its parent."""
    follow_parent()
    from fusefront.datasets.store import PreparedDataset
    from fusefront.harness.parts.plugins import load_parts
    from fusefront.harness.training.run import run

    store, parts = PreparedDataset.open(store_path), load_parts(include)
    while (cell := _receive(connection)) is not None:
        try:
            run(
                cell,
                root,
                store,
                parts,
                lambda message: connection.send(("epoch", message)),
                include,
                lambda line: connection.send(("waiting", {"line": line})),
            )
            connection.send(("done", {}))
        except Exception as error:  # the search and the study go on; the record says why
            detail = traceback.format_exc(limit=-3)
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            message = {"reason": reason, "detail": detail, "passing": is_passing(error)}
            connection.send(("failed", message))


def _receive(connection: Connection) -> Cell | None:
    try:
        cell: Cell | None = connection.recv()
    except EOFError:
        return None
    return cell


_OF_THE_PLACE = (
    "no space left",
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
)


def is_passing(error: BaseException) -> bool:
    """Whether memory, disk, a lock, a damaged file or the like failed and not the run: it may go
    well another time."""
    if isinstance(error, OSError | MemoryError | PlaceError | DataContractError):
        return True
    text = str(error).lower()
    return any(words in text for words in _OF_THE_PLACE)


class Workers:
    """A few worker processes that pull cells from a source, in order, until it is empty.

    `source()` returns the next cell, None when nothing is left, or `WAIT` when what comes next
    depends on cells still running.
    """

    WAIT = "wait"

    def __init__(self, jobs: int, root: Path, store_path: Path, include: Sequence[Path]) -> None:
        self.jobs, self.root, self.store_path, self.include = jobs, root, store_path, include
        self.idle: list[tuple[BaseProcess, Connection]] = []  # kept between two calls of execute

    def close(self) -> None:
        """End the idle workers; the next `execute` starts new ones."""
        while self.idle:
            process, connection = self.idle.pop()
            connection.close()
            process.join(10)

    def execute(
        self, source: Callable[[], Cell | str | None]
    ) -> Iterator[tuple[str, Cell, Message]]:
        """Yield ("start" | "epoch" | "waiting" | "done" | "failed", cell, message) as it happens.

        A cell that failed for want of memory, disk or the like is tried once more; a message of
        "failed" then says whether that, which may pass, was the reason ("passing").
        """
        context = multiprocessing.get_context("spawn")
        idle = self.idle
        busy: dict[Connection, tuple[BaseProcess, Cell]] = {}
        started = len(idle)
        empty = False
        again: list[Cell] = []
        repeated: set[str] = set()
        try:
            while True:
                while (again or not empty) and (idle or started < self.jobs):
                    cell = again.pop(0) if again else source()
                    if cell is None:
                        empty = True
                    if not isinstance(cell, Cell):
                        break
                    if not idle:
                        idle.append(self._spawn(context))
                        started += 1
                    process, connection = idle.pop()
                    connection.send(cell)
                    busy[connection] = (process, cell)
                    yield "start", cell, {}
                if not busy:
                    if empty:
                        return
                    raise RuntimeError("nothing is running and the next run waits for another")
                for ready in wait(list(busy)):
                    assert isinstance(ready, Connection)
                    process, cell = busy[ready]
                    try:
                        kind, message = ready.recv()
                    except (EOFError, ConnectionResetError):
                        process.join()
                        started -= 1
                        reason = f"its process ended with code {process.exitcode}"
                        kind, message = "failed", {"reason": reason, "passing": True}
                    else:
                        if kind in ("done", "failed"):
                            idle.append((process, ready))
                    if kind in ("done", "failed"):
                        del busy[ready]
                    if message.get("passing") and cell.spec.run_id not in repeated:
                        repeated.add(cell.spec.run_id)
                        again.append(cell)
                    else:
                        yield kind, cell, message
        finally:
            for process, _ in busy.values():
                process.kill()
                process.join(10)

    def _spawn(
        self, context: multiprocessing.context.SpawnContext
    ) -> tuple[BaseProcess, Connection]:
        ours, theirs = context.Pipe()
        arguments = (theirs, self.root, self.store_path, tuple(self.include))
        process = context.Process(target=work, args=arguments, daemon=True)
        start(process)
        theirs.close()
        return process, ours
