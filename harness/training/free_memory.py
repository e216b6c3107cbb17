"""How much memory processes may still take: the machine's, or what a container's limit leaves."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil


class _Words(NamedTuple):
    """Where a version of Linux control groups keeps its numbers."""

    limit: str
    used: str
    droppable: str  # in memory.stat: pages of files that are dropped when memory is short


_SECOND = _Words("memory.max", "memory.current", "inactive_file")
_FIRST = _Words("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory(own: Path = Path("/proc/self"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes; the least of what the machine has and of what every control group above this process
    leaves, whichever version of them the system has."""
    left = [_left(folder, words) for folder, words in _groups(own / "cgroup", groups)]
    machine: int = psutil.virtual_memory().available
    return max(0, min([machine, *(n for n in left if n is not None)]))


def _groups(listed: Path, groups: Path) -> Iterator[tuple[Path, _Words]]:
    """The folders of the groups that hold this process, each with those above it."""
    try:
        lines = listed.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, words = groups, _SECOND
        elif "memory" in controllers.split(","):
            top, words = groups / "memory", _FIRST
        else:
            continue
        folder = top / path.strip("/")
        yield from ((part, words) for part in (folder, *folder.parents) if part.is_relative_to(top))


def _left(folder: Path, words: _Words) -> int | None:
    """What a group may still take; None without a limit."""
    try:
        limit = (folder / words.limit).read_text(encoding="utf-8").strip()
        used = int((folder / words.used).read_text(encoding="utf-8"))
        stat = (folder / "memory.stat").read_text(encoding="utf-8").split()
    except OSError:  # the topmost group has no such files
        return None
    if limit == "max":
        return None
    droppable = dict(zip(stat[::2], stat[1::2], strict=True)).get(words.droppable, "0")
    return int(limit) - used + int(droppable)
