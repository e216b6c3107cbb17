"""One copy of the tree with its warm server: records the baseline and tries changes."""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mutation.baseline import CoverageMap, CoverageRecording
from mutation.changes import Mutation
from mutation.server import Answer, TestRequest
from mutation.tree import Tree, TreeError

RECORDING_SECONDS = 3600.0
LIVED, KILLED, KILLED_BY_TIME, NOT_COVERED = "LIVED", "killed", "killed (time)", "not covered"


@dataclass(frozen=True)
class WorkerOptions:
    mark: str
    wall: float  # seconds that the tests of one change may take
    full: bool  # the whole folder after the tests that cover the change


@dataclass(frozen=True)
class Verdict:
    change: Mutation
    kind: str
    seconds: float
    tests: int  # how many were chosen
    by: str = ""  # the first test that failed

    @property
    def lived(self) -> bool:
        return self.kind in (LIVED, NOT_COVERED)


class Worker:
    def __init__(self, root: Path, folder: Path, python: Path, options: WorkerOptions) -> None:
        folder.mkdir(parents=True)
        self.folder, self.options = folder, options
        self.tree = Tree(root, folder, python)
        self.touched = 0  # changes made so far: no two have the same modification time
        command = [str(python), str(Path(__file__).with_name("server.py")), *self.tree.warm()]
        self.server = subprocess.Popen(
            command,
            cwd=self.tree.copy,
            env=self.tree.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self.server.stdin
        self.server.stdin.close()
        self.server.wait()

    def _ask(self, request: TestRequest) -> Answer:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        row = self.server.stdout.readline()
        if not row:
            raise TreeError(f"the server of {self.tree.copy} ended with {self.server.wait()}")
        return cast(Answer, json.loads(row))

    def _request(self, tests: list[str], order: list[str]) -> TestRequest:
        return TestRequest(
            tests=tests,
            mark=self.options.mark,
            order=order,
            known=[],
            record="",
            traced=False,
            wall=RECORDING_SECONDS,
            cpu=RECORDING_SECONDS,
            log=str(self.folder / "log"),
        )

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-3000:]

    def record(self, tests: list[str]) -> CoverageRecording:
        """Run `tests` once with every line noted; what fails so is tried again without."""
        out = self.folder / "recording.json"
        out.unlink(missing_ok=True)
        request = self._request(tests, [])
        request["record"], request["traced"] = str(out), True
        answer = self._ask(request)
        if answer["end"] not in ("exit 0", "exit 1") or not out.exists():
            raise TreeError(
                f"the unchanged tests of {' '.join(tests)} end with {answer['end']}:\n{self.log()}"
            )
        recording = cast(CoverageRecording, json.loads(out.read_text(encoding="utf-8")))
        if recording["failed"]:
            request["order"], request["traced"] = recording["failed"], False
            request["tests"] = sorted({name.split("::")[0] for name in recording["failed"]})
            self._ask(request)
            again = cast(CoverageRecording, json.loads(out.read_text(encoding="utf-8")))
            for name in set(recording["failed"]) - set(again["failed"]):
                if name in recording["tests"]:
                    recording["tests"][name]["blind"] = True  # does not bear being traced
            recording["failed"] = again["failed"]
        return recording

    def attempt(self, change: Mutation, baseline: CoverageMap, folder: list[str]) -> Verdict:
        """Run the tests that the change concerns against a tree that has it."""
        covering = baseline.covering(change)
        order = [*covering, *(name for name in baseline.blind() if name not in set(covering))]
        if self.options.full:
            order += [name for name in baseline.everything() if name not in set(order)]
        if not order:
            return Verdict(change, NOT_COVERED, 0.0, 0)
        files = folder if self.options.full else sorted({name.split("::")[0] for name in order})
        request = self._request(files, order)
        request["known"] = baseline.known
        request["wall"] = self.options.wall
        request["cpu"] = min(self.options.wall, 20 + 4 * baseline.seconds(order))
        with self._changed(change):
            answer = self._ask(request)
        kind = answer["end"]
        if kind == "time":
            kind = KILLED_BY_TIME
        elif kind in ("exit 0", "exit 5"):  # 5: the tests that were chosen are gone
            kind = LIVED if covering else NOT_COVERED
        elif kind in ("exit 1", "exit 2", "exit 4") or kind.startswith("signal"):
            kind = KILLED  # 2 and 4: a test file or a conftest cannot be imported
        by = re.search(r"^(?:FAILED|ERROR) (\S+)", self.log(), re.M) if kind == KILLED else None
        return Verdict(change, kind, answer["seconds"], len(order), by[1] if by else "")

    @contextlib.contextmanager
    def _changed(self, change: Mutation) -> Iterator[None]:
        """The change, in a file whose time tells it from every version that Python compiled."""
        path = self.tree.copy / change.file
        raw, before = path.read_bytes(), path.stat()
        self.touched += 2
        later = before.st_mtime_ns + self.touched * 10**9
        path.write_bytes(change.applied(raw))
        os.utime(path, ns=(later, later))
        try:
            yield
        finally:
            path.write_bytes(raw)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
