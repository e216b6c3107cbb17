"""Which processes hold a locked file: the kernel's list, so that a kill leaves no stale name."""

import os
import textwrap
from pathlib import Path

import psutil

LOCKS = Path("/proc/locks")  # Linux; elsewhere holders have no names


def holders(path: Path) -> list[int]:
    """Process ids that hold an flock on `path`; [] where the system does not tell."""
    try:
        status, lines = path.stat(), LOCKS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:2237346 0 EOF; "->" before FLOCK is one that waits
    locks = [words for words in map(str.split, lines) if len(words) == 8 and words[1] == "FLOCK"]
    file = f"{device}:{status.st_ino}"
    return sorted({int(words[4]) for words in locks if words[5] == file and int(words[4]) > 0})


def in_words(path: Path) -> str:
    """Who holds it, as `process 4711 (fusefront bench movielens)`; "" where nobody can be named."""
    return ", ".join(f"process {pid} ({_command(pid)})" for pid in holders(path))


def _command(pid: int) -> str:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:  # it has ended meanwhile, or is another user's
        return "its command cannot be read"
    if len(words) > 1 and Path(words[0]).name.startswith("python"):
        words = words[1:]
    text = " ".join([Path(word).name for word in words[:1]] + words[1:])
    return textwrap.shorten(text, 60, placeholder="…") or "its command cannot be read"
