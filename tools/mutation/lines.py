"""Which lines of one tree run, without a package: for tests and for the processes they start.

Only the standard library: this file is also loaded at the start of every Python process that a
recorded test starts (see `tree.py`), which writes its lines when it ends.
"""

import atexit
import json
import os
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Optional

FOLDER = "MUTATION_LINES"  # where a started process leaves its lines
TREE = "MUTATION_TREE"
OWNER = "MUTATION_OWNER"  # who started it: a number of the recording

Trace = Callable[[FrameType, str, object], Optional["Trace"]]
Covered = dict[str, set[int]]


class Lines:
    """Adds every line of the tree that runs to `covered`, which may be exchanged at any time."""

    def __init__(self, tree: Path) -> None:
        self.tree = str(tree.resolve()) + os.sep
        self.covered: Covered = {}
        self._names: dict[str, str | None] = {}

    def start(self) -> None:
        threading.settrace(self._call)
        sys.settrace(self._call)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def name(self, filename: str) -> str | None:
        if filename not in self._names:
            real = os.path.realpath(filename)
            inside = real.startswith(self.tree) and real.endswith(".py")
            self._names[filename] = real.removeprefix(self.tree) if inside else None
        return self._names[filename]

    def _call(self, frame: FrameType, event: str, argument: object) -> Trace | None:
        name = self.name(frame.f_code.co_filename)
        if name is None:
            return None
        add = self.covered.setdefault(name, set()).add
        add(frame.f_lineno)

        def line(frame: FrameType, event: str, argument: object) -> Trace:
            if event == "line":
                add(frame.f_lineno)
            return line

        return line


def record_this_process() -> None:
    """Record if a recorded test started this process; the lines are written at its end."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return
    lines, owner = Lines(Path(os.environ[TREE])), os.environ.get(OWNER, "")

    def write() -> None:
        lines.stop()
        covered = {name: sorted(numbers) for name, numbers in lines.covered.items()}
        path = Path(folder) / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps({"owner": owner, "covered": covered}), encoding="utf-8")

    atexit.register(write)
    lines.start()
