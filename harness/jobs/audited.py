"""The audit of a study's data: that of a large store in a process of its own, so that the memory it
took is free before trainings begin."""

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

from fusefront.datasets.audit.finding import AuditReport
from fusefront.datasets.audit.report import audit
from fusefront.datasets.errors import PlaceError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.processes import follow_parent, start

APART = 500_000  # rows from which on a process is worth its start
POLL_S = 0.2


def audited(store: PreparedDataset) -> AuditReport:
    """Every finding of a store.

    Raises:
        DataContractError: the store holds values that `prepare` cannot have written.
        PlaceError: the process that audits it was killed.
    """
    if sum(part.rows for part in store.manifest.counts.values()) < APART:
        return audit(store)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, store.path), daemon=True)
    start(process)
    theirs.close()
    try:
        while not ours.poll(POLL_S):  # a read would go on after Ctrl-C until the audit has ended
            pass
        result: AuditReport | Exception = ours.recv()
    except EOFError:
        process.join()
        result = PlaceError(
            f"the audit of {store.name!r} ended with code {process.exitcode} before it was done; "
            "free memory and run the same command again"
        )
    finally:  # after Ctrl-C nobody waits for it
        process.kill()
        process.join()
    if isinstance(result, Exception):
        raise result
    return result


def _work(connection: Connection, path: Path) -> None:
    follow_parent()
    try:
        connection.send(audit(PreparedDataset.open(path)))
    except Exception as error:
        connection.send(error)
