"""The host lock: trainings share it, a latency measurement holds it alone.

The kernel frees an flock when its process dies, so a kill leaves nothing behind. Whoever waits is
told once for whom, and waits no longer than FUSEFRONT_HOST_LOCK_WAIT_S, if that is set.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fusefront.harness.errors import UsageError
from fusefront.harness.serving.latency.holders import in_words

VARIABLE = "FUSEFRONT_HOST_LOCK"  # another path, or empty to lock nothing
LIMIT = "FUSEFRONT_HOST_LOCK_WAIT_S"  # seconds to wait for it; without it there is no limit


def lock_path() -> Path | None:
    """The one file that all of this host's sessions lock; None where the user turned it off."""
    text = os.environ.get(VARIABLE)
    if text is not None:
        return Path(text) if text else None
    return Path(tempfile.gettempdir()) / "fusefront-host.lock"


def wait_limit() -> float | None:
    """Seconds to wait at most; None where the user set no limit."""
    text = os.environ.get(LIMIT, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{LIMIT}: got {text!r}, expected a number of seconds, 0 or more")
    return seconds


@contextmanager
def training_lock(
    tell: Callable[[str], None] | None = None, *, timeout: float | None = None
) -> Iterator[None]:
    """Hold the shared side: any number of trainings at once, none while a measurement runs."""
    waiting = "waiting for a latency measurement on this machine to end"
    with _locked(fcntl.LOCK_SH, waiting, tell, timeout):
        yield


@contextmanager
def measuring_lock(
    tell: Callable[[str], None] | None = None, *, timeout: float | None = None
) -> Iterator[None]:
    """Hold the lock alone: no training and no other measurement of this host runs meanwhile."""
    waiting = "waiting for a training or another measurement on this machine to end"
    with _locked(fcntl.LOCK_EX, waiting, tell, timeout):
        yield


@contextmanager
def _locked(
    kind: int, waiting: str, tell: Callable[[str], None] | None, timeout: float | None
) -> Iterator[None]:
    path = lock_path()
    if path is None:
        yield
        return
    limit = wait_limit() if timeout is None else timeout
    file = _open(path)
    try:
        _acquire(path, file, kind, waiting, tell, limit)
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
    path: Path,
    file: int,
    kind: int,
    waiting: str,
    tell: Callable[[str], None] | None,
    limit: float | None,
) -> None:
    begin, first = time.monotonic(), True
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if limit is not None and time.monotonic() - begin >= limit:
                raise UsageError(
                    f"still {_with_holders(waiting, path)} after {limit:g} s ({path});"
                    " let it finish, or stop it"
                ) from None
            if tell is not None and first:
                tell(_with_holders(waiting, path))
            first = False
            time.sleep(0.2)
        else:
            return


def _with_holders(waiting: str, path: Path) -> str:
    names = in_words(path)
    return f"{waiting}: {names}" if names else waiting
