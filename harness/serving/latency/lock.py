"""The host lock: trainings share it, a latency measurement holds it alone.

The kernel frees an flock when its process dies, so a kill leaves nothing behind.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fusefront.harness.errors import UsageError

VARIABLE = "FUSEFRONT_HOST_LOCK"  # another path, or empty to lock nothing


def lock_path() -> Path | None:
    """The one file that all of this host's sessions lock; None where the user turned it off."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given) if given else None
    return Path(tempfile.gettempdir()) / "fusefront-host.lock"


@contextmanager
def training_lock(
    tell: Callable[[str], None] | None = None, *, timeout: float | None = None
) -> Iterator[None]:
    """Hold the shared side: any number of trainings at once, none while a measurement runs."""
    waiting = "waiting for a latency measurement on this machine to end"
    with _held(fcntl.LOCK_SH, waiting, tell, timeout):
        yield


@contextmanager
def measuring_lock(
    tell: Callable[[str], None] | None = None, *, timeout: float | None = None
) -> Iterator[None]:
    """Hold the lock alone: no training and no other measurement of this host runs meanwhile."""
    waiting = "waiting for a training or another measurement on this machine to end"
    with _held(fcntl.LOCK_EX, waiting, tell, timeout):
        yield


@contextmanager
def _held(
    kind: int, waiting: str, tell: Callable[[str], None] | None, timeout: float | None
) -> Iterator[None]:
    path = lock_path()
    if path is None:
        yield
        return
    file = _open(path)
    try:
        _acquire(file, kind, waiting, tell, timeout)
        yield
    finally:
        os.close(file)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDONLY)  # another user's file may not be opened for creation
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


def _acquire(
    file: int, kind: int, waiting: str, tell: Callable[[str], None] | None, timeout: float | None
) -> None:
    begin, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if timeout is not None and time.monotonic() - begin >= timeout:
                raise UsageError(
                    f"still {waiting} after {timeout:.0f} s; let it finish, or stop it"
                ) from None
            if tell is not None and not told:
                tell(waiting)
                told = True
            time.sleep(0.2)
        else:
            return
