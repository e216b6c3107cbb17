"""A warm process: third-party packages are imported once, every run of tests is a fork of it.

Reads one JSON request a line from standard input, answers one a line on standard output. It never
imports the tree itself, so that each child imports the files as they lie at that moment.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TypedDict

GIGABYTE = 2**30
MEMORY = 8 * GIGABYTE  # of a child: a change may ask for any amount


class TestRequest(TypedDict):
    tests: list[str]  # files and folders that pytest collects
    mark: str
    order: list[str]  # node ids to run; empty: all
    known: list[str]  # node ids that the recording knows
    record: str  # file that a recording goes to; empty: run the changed tree
    traced: bool
    wall: float  # seconds
    cpu: float  # seconds of the child itself
    log: str


class Answer(TypedDict):
    end: str  # "exit 1", "time", "signal 11"
    seconds: float


def child(request: TestRequest) -> int:
    """Run pytest in this process and give its exit code."""
    import pytest

    from mutation.plugin import CoverageRecorder, TestChoice

    cpu = max(1, int(request["cpu"]))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    common = ["-q", "-p", "no:cacheprovider", "-m", request["mark"], *request["tests"]]
    if request["record"]:
        recorder = CoverageRecorder(Path.cwd(), Path(request["record"]), traced=request["traced"])
        chosen = [TestChoice(request["order"], set())] if request["order"] else []
        return int(pytest.main(common, plugins=[recorder, *chosen]))
    chosen = [TestChoice(request["order"], set(request["known"]))]
    return int(pytest.main(["-x", *common], plugins=chosen))


def run(request: TestRequest) -> Answer:
    started, parent = time.monotonic(), os.getppid()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 70
        try:
            code = child(request)
        except BaseException:  # whatever it is, it belongs in the log
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    while True:
        pid_done, status = os.waitpid(pid, os.WNOHANG)
        seconds = time.monotonic() - started
        if pid_done or seconds > request["wall"] or os.getppid() != parent:
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # and whatever the tests left running
    if not pid_done:
        os.waitpid(pid, 0)
        return Answer(end="time", seconds=seconds)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        end = "time" if number in (signal.SIGXCPU, signal.SIGKILL) else f"signal {number}"
        return Answer(end=end, seconds=seconds)
    return Answer(end=f"exit {os.WEXITSTATUS(status)}", seconds=seconds)


def main() -> None:
    tools = sys.path.pop(0)  # this file's folder
    sys.path.insert(0, str(Path(tools).parent))
    importlib.import_module("mutation.plugin")
    sys.path[0] = os.getcwd()  # as `python -m pytest` has it
    for name in sys.argv[1:]:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for row in sys.stdin:
        answers.write(json.dumps(run(json.loads(row))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
