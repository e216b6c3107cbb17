"""Ctrl-C and SIGTERM end the program wherever they arrive, with their sentence and exit code.

The programs here are small ones under the same handlers; where a signal gets lost is planted.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fusefront.harness.cli.signals import INTERRUPTED, PATIENCE, SENTENCE, TERMINATED

PLACES = {  # code that sends the signal to itself where the interpreter or a library drops it
    "a plain loop": "os.kill(os.getpid(), NUMBER)",
    "a __del__": """
class Leaving:
    def __del__(self):
        os.kill(os.getpid(), NUMBER)
        for _ in range(1000):
            pass
Leaving()
""",
    "a callback of a weak reference": """
class Item:
    pass
def gone(_):
    os.kill(os.getpid(), NUMBER)
    for _ in range(1000):
        pass
item = Item()
reference = weakref.ref(item, gone)
del item
""",
    "a bare except": """
try:
    os.kill(os.getpid(), NUMBER)
    time.sleep(1)
except:
    pass
""",
    "a callback of C": """
def compare(a, b):
    os.kill(os.getpid(), NUMBER)
    for _ in range(1000):
        pass
    return 0
kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
array = (ctypes.c_int * 2)(1, 2)
ctypes.CDLL(None).qsort(array, 2, 4, kind(compare))
""",
    "a module that hides it while it is imported": """
pathlib.Path("hiding.py").write_text(
    "import os, time\\ntry:\\n    os.kill(os.getpid(), NUMBER)\\n    time.sleep(0.2)\\n"
    "except BaseException:\\n    os._exit(9)\\n".replace("NUMBER", str(int(NUMBER)))
)
sys.path.insert(0, ".")
import hiding
""",
}
PROGRAM = """
import ctypes, os, pathlib, signal, sys, time, types, weakref
from fusefront.harness.cli.main import main
NUMBER = signal.{number}
def run():
    {body}
    for _ in range(1000):
        time.sleep(0.01)
    return 0
sys.modules["fusefront.harness.cli.app"] = types.SimpleNamespace(run=run)
main()
"""


def program(body: str, number: signal.Signals) -> str:
    return PROGRAM.format(body=body.strip().replace("\n", "\n    "), number=number.name)


def default_signals() -> None:
    """A shell has what runs in its background ignore Ctrl-C, and that is inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def started(code: str, folder: Path, before: Callable[[], None]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        preexec_fn=before,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_wherever_it_arrives(
    place: str, number: signal.Signals, tmp_path: Path
) -> None:
    with started(program(PLACES[place], number), tmp_path, default_signals) as process:
        printed = process.stderr.read() if process.stderr else ""
    if number == signal.SIGINT:
        assert process.returncode == INTERRUPTED
        assert printed.endswith(SENTENCE)
        assert printed.count(SENTENCE) == 1
        assert "Traceback" not in printed
    else:
        assert process.returncode == TERMINATED
        assert SENTENCE not in printed


def test_a_module_that_is_never_imported_does_not_hold_up_the_end(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text("import os, time\nos.kill(os.getpid(), 2)\ntime.sleep(60)\n")
    code = program('sys.path.insert(0, ".")\nimport stuck', signal.SIGINT)
    with started(code, tmp_path, default_signals) as process:
        printed = process.stderr.read() if process.stderr else ""
    assert process.returncode == INTERRUPTED
    assert printed == SENTENCE


def test_a_second_ctrl_c_does_not_wait_for_what_is_tidied_up(tmp_path: Path) -> None:
    body = """
try:
    os.kill(os.getpid(), NUMBER)
finally:
    print("tidying", flush=True)
    time.sleep(60)
"""
    with started(program(body, signal.SIGINT), tmp_path, default_signals) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.send_signal(signal.SIGINT)  # the same Ctrl-C, passed on by the shell
        time.sleep(PATIENCE / 4)
        assert process.poll() is None
        while process.poll() is None:
            time.sleep(PATIENCE / 4)
            process.send_signal(signal.SIGINT)
        printed = process.stderr.read()
    assert process.returncode == INTERRUPTED
    assert printed == SENTENCE


def test_what_a_shell_runs_in_its_background_goes_on(tmp_path: Path) -> None:
    def ignored() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    code = PROGRAM.format(body=PLACES["a plain loop"], number="SIGINT").replace("1000", "1")
    with started(code, tmp_path, ignored) as process:
        printed = process.stderr.read() if process.stderr else ""
    assert process.returncode == 0
    assert printed == ""


READY = """
from fusefront.harness.cli import main
class Ready(main.Signals):
    def __enter__(self):
        super().__enter__()
        print("ready", flush=True)
        return self
main.Signals = Ready
main.main()
"""


def interrupted(folder: Path, wait: float) -> tuple[int, str]:
    """Exit code and last words of a demo that gets Ctrl-C, as its whole group does on a terminal.

    `wait` is in seconds from the moment at which the program understands it.
    """
    with subprocess.Popen(
        [sys.executable, "-c", READY, "demo", "--quick", "--out", str(folder)],
        preexec_fn=default_signals,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGINT)
        printed = process.stderr.read()
    return process.returncode, printed


@pytest.mark.parametrize("wait", [0.0, 0.3, 1.0, 3.0])
def test_ctrl_c_says_how_to_go_on_and_ends_with_130(tmp_path: Path, wait: float) -> None:
    code, printed = interrupted(tmp_path, wait)
    assert code == INTERRUPTED, printed
    assert printed.endswith(SENTENCE)
    assert "Traceback" not in printed


AT_ONCE = READY.replace('print("ready", flush=True)', "signal.raise_signal(signal.SIGINT)")


def test_ctrl_c_before_the_verb_begins_ends_with_130() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "import signal\n" + AT_ONCE, "demo"],
        preexec_fn=default_signals,
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr) == (INTERRUPTED, SENTENCE)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_ctrl_c_at_a_drawn_moment(tmp_path: Path, seed: int) -> None:
    code, printed = interrupted(tmp_path, random.Random(seed).uniform(0.0, 12.0))
    assert code == INTERRUPTED, printed
    assert printed.endswith(SENTENCE)
    assert "Traceback" not in printed
