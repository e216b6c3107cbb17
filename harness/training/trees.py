"""Trees of processes: each worker leads a session of its own, and all of it ends together."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

GRACE_S = 5.0  # between asking a tree to end and killing it
_PROC = Path("/proc")


class Leader(NamedTuple):
    """The first process of a session, known again after its pid was given to another."""

    pid: int
    start: int  # clock ticks since boot
    boot: str  # id of the boot


def lead() -> None:
    """Said by a process itself: it and all that it starts are one session, to end together."""
    with contextlib.suppress(PermissionError):  # it leads one already
        os.setsid()


def leader(pid: int) -> Leader | None:
    """The process `pid` as a leader to be remembered; None where it is gone or nothing says."""
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
    """Kill what a dead leader left behind; nothing where it lives, or another boot ran it."""
    if of.boot != _boot() or leader(of.pid) is not None:
        return  # a living process of that pid is the leader itself, or another's
    if all(int((_fields(pid) or _NONE)[19]) >= of.start for pid in members(of.pid)):
        kill_tree(of.pid)


def members(session: int) -> list[int]:
    """The processes of a session that still run; zombies do not."""
    pids = []
    for entry in _PROC.glob("[0-9]*"):
        fields = _fields(int(entry.name))
        if fields and int(fields[3]) == session:
            pids.append(int(entry.name))
    return pids


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory; None where it does not say."""
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
    """Of /proc/PID/stat what follows the name, from the state on; None of a dead process."""
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
