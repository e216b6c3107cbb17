"""Locks between processes: one file for each guarded thing, which says who holds it.

The kernel frees an flock when its process dies, so that a kill leaves nothing locked. A waiting
process is told once for whom it waits, and waits no longer than the limit, if there is one.
"""

import contextlib
import fcntl
import json
import os
import platform
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.durable import FILE_MODE, FOLDER_MODE, NO_LOCKS, hold, is_still
from fusefront.datasets.errors import PlaceError

LIMIT = "FUSEFRONT_LOCK_WAIT_S"  # seconds to wait for a lock; without it there is no limit
FOLDER = ".locks"  # under the output folder
_PAUSE = 0.1  # seconds between two tries

Tell = Callable[[str], None]


class Wait(NamedTuple):
    """How to wait for a lock: the reason in words, the function to tell, the most seconds."""

    why: str
    tell: Tell | None = None
    limit: float | None = None  # None: the environment variable, else no limit


class HeldError(PlaceError):
    """Another process still holds the lock."""


class Holder(NamedTuple):
    """A process that holds a lock."""

    pid: int
    host: str
    command: str
    since: str  # UTC, seconds

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command}, since {self.since})"


def wait_limit() -> float | None:
    """The most seconds to wait; None if the user set no limit.

    Raises:
        PlaceError: the limit that the user set is no number of seconds.
    """
    text = os.environ.get(LIMIT, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise PlaceError(f"{LIMIT}: got {text!r}, expected a number of seconds, 0 or more")
    return seconds


def lock_file(out: Path, kind: str, name: str) -> Path:
    """The lock file for something of an output folder: a run, a store, a world, a report."""
    return out / FOLDER / f"{kind}-{name}"


@contextlib.contextmanager
def locked(path: Path, wait: Wait, *, shared: bool = False, keep: bool = False) -> Iterator[None]:
    """Hold the lock of a file, exclusively or shared; the file is deleted afterwards unless `keep`.

    Raises:
        HeldError: the limit has passed.
        PlaceError: the file system has no locks.
    """
    handle = _acquire(path, wait, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        if not shared:
            _sign(handle)
        yield
    finally:
        if not keep and hold(handle) is True:  # this process is the last that shares it
            with contextlib.suppress(OSError):
                path.unlink()
                if path.parent.name == FOLDER:
                    path.parent.rmdir()  # where it was the last lock
        os.close(handle)


def _acquire(path: Path, wait: Wait, kind: int) -> int:
    limit = wait_limit() if wait.limit is None else wait.limit
    begin, first = time.monotonic(), True
    while True:
        handle = _open(path)
        if _try(path, handle, kind):
            if is_still(path, handle):
                return handle
            os.close(handle)  # the holder deleted the file: the name is another lock now
            continue
        os.close(handle)
        if limit is not None and time.monotonic() - begin >= limit:
            raise HeldError(
                f"still {_with_holders(wait.why, path)} after {limit:g} s ({path}); let it "
                "finish, or stop it"
            )
        if wait.tell is not None and first:
            wait.tell(_with_holders(wait.why, path))
        first = False
        time.sleep(_PAUSE)


def _open(path: Path) -> int:
    while True:
        try:
            path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        except FileNotFoundError:  # the folder was deleted with another lock
            continue
        except FileExistsError:
            if path.parent.exists() and not path.parent.is_dir():
                raise
        except PermissionError:
            if not path.exists():
                raise
            return os.open(path, os.O_RDONLY)  # another user's: not for creation, not for writing


def _try(path: Path, handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(handle)
        if error.errno not in NO_LOCKS:
            raise
        raise PlaceError(
            f"{path}: this file system has no locks ({(error.strerror or 'refused').lower()}), and "
            "without them two commands damage each other's files; give a folder on another disk"
        ) from None
    return True


def _sign(handle: int) -> None:
    """Write down who holds the lock; without permission to write, the holder stays unnamed."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(os.getpid(), platform.node(), command_line(sys.argv), since)
    record = {"format": 1, **holder._asdict()}
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(record).encode(), 0)


def command_line(words: list[str]) -> str:
    """A command in a few words: the program's name without its folder.

    >>> command_line(["/usr/bin/fusefront", "run", "shop.yaml"])
    'fusefront run shop.yaml'
    """
    if len(words) > 1 and Path(words[0]).name.startswith("python"):
        words = words[1:]
    text = " ".join([Path(word).name for word in words[:1]] + words[1:])
    return textwrap.shorten(text, 60, placeholder="…") or "its command cannot be read"


def _signed(path: Path) -> Holder | None:
    """The holder written in a lock file; None if there is none or it cannot be read."""
    try:
        record = json.loads(path.read_bytes())
        return Holder(*(record[name] for name in Holder._fields))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def holders(path: Path) -> list[int]:
    """Process ids on this machine that hold an flock on `path`; [] if the system does not say."""
    try:
        status, lines = path.stat(), _LOCKS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:2237346 0 EOF; "->" before FLOCK is one that waits
    entries = [words for words in map(str.split, lines) if len(words) == 8 and words[1] == "FLOCK"]
    file = f"{device}:{status.st_ino}"
    return sorted({int(words[4]) for words in entries if words[5] == file and int(words[4]) > 0})


_LOCKS = Path("/proc/locks")  # Linux; elsewhere only who wrote himself into a lock has a name


def in_words(path: Path) -> str:
    """Who holds a lock, in words; "" if it is unknown.

    What a killed holder wrote is ignored if the kernel lists other holders.
    """
    here, written = holders(path), _signed(path)
    if written is not None and (not here or written.pid in here):
        return str(written)
    return ", ".join(_process(pid) for pid in here)


def _process(pid: int) -> str:
    import psutil

    try:
        process = psutil.Process(pid)
        command, since = command_line(process.cmdline()), process.create_time()
    except psutil.Error:  # it has ended meanwhile, or is another user's
        return f"process {pid} on {platform.node()} (its command cannot be read)"
    began = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
    return str(Holder(pid, platform.node(), command, began))


def _with_holders(why: str, path: Path) -> str:
    names = in_words(path)
    return f"{why}: {names}" if names else why
