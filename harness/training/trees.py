"""Process trees: each worker leads a session of its own, so that all it has started can be ended
together."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

GRACE_S = 5.0  # between asking a tree to end and killing it
_PROC = Path("/proc")


class Leader(NamedTuple):
    """The first process of a session, with enough to recognise it after its pid is reused."""

    pid: int
    start: int  # clock ticks since boot
    boot: str  # id of the boot


def lead() -> None:
    """Called by a process itself: make it the leader of a new session."""
    with contextlib.suppress(PermissionError):  # it leads one already
        os.setsid()


def leader(pid: int) -> Leader | None:
    """What identifies the process `pid` as a leader; None if it is gone or the system does
    not say."""
    fields = _fields(pid)
    return Leader(pid, int(fields[19]), _boot()) if fields else None


def end_tree(session: int, grace: float = GRACE_S) -> None:
    """Ask every process of the session to end, then kill those that do not within `grace` s."""
    _signal(session, signal.SIGTERM)
    end = time.monotonic() + grace
    while members(session) and time.monotonic() < end:
        time.sleep(0.02)
    kill_tree(session)


def kill_tree(session: int) -> None:
    """Kill every process of the session, whatever group it put itself into."""
    for _ in range(3):  # one that forks while it is killed leaves a child to the next round
        _signal(session, signal.SIGKILL)
        if not members(session):
            return
        time.sleep(0.02)


def reap(of: Leader) -> None:
    """Kill what a dead leader left running; nothing if it lives, or if it ran before the last
    boot."""
    if of.boot != _boot() or leader(of.pid) is not None:
        return  # the leader lives, or its pid is another process now
    if all(int((_fields(pid) or _NONE)[19]) >= of.start for pid in members(of.pid)):
        kill_tree(of.pid)


def members(session: int) -> list[int]:
    """The processes of a session that still run, zombies left out."""
    pids = []
    for entry in _PROC.glob("[0-9]*"):
        fields = _fields(int(entry.name))
        if fields and int(fields[3]) == session:
            pids.append(int(entry.name))
    return pids


def oom_kills() -> int | None:
    """How many processes the kernel has killed for lack of memory since boot; None if it does not
    say."""
    counts = []
    for path in (_PROC / "vmstat", Path("/sys/fs/cgroup/memory.events")):
        with contextlib.suppress(OSError):
            for line in path.read_text().splitlines():
                word, _, number = line.partition(" ")
                if word == "oom_kill":
                    counts.append(int(number))
    return sum(counts) if counts else None


_NONE = ["0"] * 20


def _fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the name, from the state on; None if the process is
    gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields


def _signal(session: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)
    for pid in members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _boot() -> str:
    with contextlib.suppress(OSError):
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return ""
