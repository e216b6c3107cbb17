"""Runs in processes of their own: which goes where, what is said, what ends."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training import trees
from fusefront.harness.training import workers as scheduling
from fusefront.harness.training.workers import Message, Workers, work

PLAYER = """
import os, subprocess, sys, time

def work(connection, root, store_path, include):
    while True:
        try:
            cell = connection.recv()
        except EOFError:
            return
        act, _, name = cell.strategy.partition(" ")
        connection.send(("epoch", {"epoch": 1, "pid": os.getpid(), "given": str(store_path)}))
        if act == "die":
            connection.close()
            os._exit(3)
        if act == "hang":  # and so does what it started, which does not listen to TERM
            os.setsid()
            code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
            child = subprocess.Popen([sys.executable, "-c", code])
            time.sleep(1.0)
            (root / name).write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)
        if act == "leave":  # it is killed, and what it has forked keeps its end of the pipe
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os.kill(os.getpid(), 9)
        while act == "wait" and not (root / name).exists():
            time.sleep(0.01)
        if act == "flaky" and not (root / name).exists():
            (root / name).touch()
            connection.send(("failed", {"reason": "no memory", "passing": True}))
        elif act == "fail":
            connection.send(("failed", {"reason": "no", "detail": str(list(include))}))
        else:
            connection.send(("done", {}))
"""


@pytest.fixture
def players(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[[int], Workers]]:
    """Real processes that play what a cell's strategy says, without loading any model."""
    name = f"player_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(PLAYER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(scheduling, "work", __import__(name).work)
    opened: list[Workers] = []

    def build(jobs: int) -> Workers:
        opened.append(Workers(jobs, tmp_path, Path("the store"), [Path("own.py")]))
        return opened[-1]

    yield build
    for workers in opened:
        workers.close()
    sys.modules.pop(name, None)


def source(make_cell: Any, *acts: str | None) -> Callable[[], Cell | str | None]:
    """The cells that play `acts`, one a call, then None for ever."""
    left = list(acts)

    def following() -> Cell | str | None:
        if not left:
            return None
        act = left.pop(0)
        return (
            act
            if act in (Workers.WAIT, Workers.OTHERS)
            else Cell(str(act), "strategy", make_cell(seed=len(left)).spec)
        )

    return following


Event = tuple[str, str, Message]


def play(workers: Workers, cells: Callable[[], Cell | str | None]) -> list[Event]:
    return [(kind, cell.strategy, message) for kind, cell, message in workers.execute(cells)]


def kinds(events: list[Event]) -> list[tuple[str, str]]:
    return [(kind, name) for kind, name, _ in events]


def test_one_worker_takes_one_cell_after_the_other(players: Any, make_cell: Any) -> None:
    workers = players(1)
    events = play(workers, source(make_cell, "run a", "fail b", "run c"))
    assert kinds(events) == [
        ("start", "run a"),
        ("epoch", "run a"),
        ("done", "run a"),
        ("start", "fail b"),
        ("epoch", "fail b"),
        ("failed", "fail b"),
        ("start", "run c"),
        ("epoch", "run c"),
        ("done", "run c"),
    ]
    sentence = {message["pid"] for kind, _, message in events if kind == "epoch"}
    assert len(sentence) == 1
    assert events[1][2]["given"] == "the store"
    assert events[5][2] == {"reason": "no", "detail": "[PosixPath('own.py')]"}
    again = play(workers, source(make_cell, "run d"))  # the idle worker is kept
    assert {message["pid"] for kind, _, message in again if kind == "epoch"} == sentence
    assert len(workers.idle) == 1
    (process, _) = workers.idle[0]
    workers.close()
    assert process.exitcode == 0  # it was told to end, not killed
    assert workers.idle == []


def test_as_many_cells_run_at_once_as_there_are_jobs(
    players: Any, make_cell: Any, tmp_path: Path
) -> None:
    """The second ends the first's wait; the third starts where there is room again."""
    workers = players(2)
    started: list[str] = []
    ended: list[str] = []
    for kind, cell, _ in workers.execute(source(make_cell, "wait go", "run b", "run c")):
        if kind == "start":
            started.append(cell.strategy)
            if cell.strategy == "run c":
                assert ended == ["run b"]
                (tmp_path / "go").touch()
        if kind == "done":
            ended.append(cell.strategy)
    assert started == ["wait go", "run b", "run c"]
    assert sorted(ended) == ["run b", "run c", "wait go"]
    assert len(workers.idle) == 2


def test_what_waits_for_a_running_cell_is_asked_for_when_something_happened(
    players: Any, make_cell: Any
) -> None:
    events = play(players(2), source(make_cell, "run a", Workers.WAIT, Workers.WAIT, "run b"))
    assert [name for kind, name in kinds(events) if kind == "start"] == ["run a", "run b"]
    assert kinds(events).index(("start", "run b")) > kinds(events).index(("epoch", "run a"))


def test_waiting_for_nothing_is_an_error(players: Any, make_cell: Any) -> None:
    with pytest.raises(RuntimeError, match="nothing is running and the next run waits"):
        play(players(1), source(make_cell, Workers.WAIT))
    assert play(players(1), source(make_cell)) == []


def test_a_process_that_ends_is_tried_again_and_another_takes_its_place(
    players: Any, make_cell: Any
) -> None:
    events = play(players(1), source(make_cell, "die a", "run b"))
    assert kinds(events) == [
        ("start", "die a"),
        ("epoch", "die a"),
        ("start", "die a"),  # once more, before what comes next
        ("epoch", "die a"),
        ("failed", "die a"),
        ("start", "run b"),
        ("epoch", "run b"),
        ("done", "run b"),
    ]
    reason = "its process ended with code 3"
    assert events[4][2] == {"reason": reason, "passing": True, "cause": "died", "seconds": ANY}
    assert len({events[at][2]["pid"] for at in (1, 3, 6)}) == 3


def test_a_process_that_ended_leaves_room_for_one_and_no_more(
    players: Any, make_cell: Any, tmp_path: Path
) -> None:
    ended: list[str] = []
    cells = source(make_cell, "die a", "wait go", "run c")
    for kind, cell, _ in players(1).execute(cells):
        if kind == "epoch" and cell.strategy == "wait go":
            (tmp_path / "go").touch()
        if kind == "start" and cell.strategy == "run c":
            assert ended == ["die a", "wait go"]
        if kind in ("done", "failed"):
            ended.append(cell.strategy)
    assert ended == ["die a", "wait go", "run c"]


def test_what_may_pass_is_tried_once_more(players: Any, make_cell: Any, tmp_path: Path) -> None:
    events = play(players(1), source(make_cell, "flaky a", "run b"))
    assert [event for event in kinds(events) if event[0] != "epoch"] == [
        ("start", "flaky a"),
        ("start", "flaky a"),
        ("done", "flaky a"),
        ("start", "run b"),
        ("done", "run b"),
    ]
    assert len({message["pid"] for kind, _, message in events if kind == "epoch"}) == 1


def test_a_trial_at_its_limit_ends_with_all_that_it_started(
    players: Any, make_cell: Any, tmp_path: Path
) -> None:
    def left(cell: Cell) -> float | None:
        return 0.0 if "hang" in cell.strategy and (tmp_path / "pids").exists() else 5.0

    following = source(make_cell, "hang pids", "run b")
    events = list(players(1).execute(following, left, tries=1, grace=0.3))
    assert [(kind, cell.strategy) for kind, cell, _ in events if kind != "epoch"] == [
        ("start", "hang pids"),
        ("failed", "hang pids"),
        ("start", "run b"),
        ("done", "run b"),
    ]
    message = next(message for kind, _, message in events if kind == "failed")
    assert (message["cause"], message["passing"]) == ("time", False)
    for pid in (tmp_path / "pids").read_text().split():
        assert trees.leader(int(pid)) is None  # gone, or a zombie that nobody waits for


@pytest.mark.timeout(200)  # the child holds the pipe for ten minutes
def test_a_dead_worker_is_seen_though_its_pipe_is_held(players: Any, make_cell: Any) -> None:
    """Without an end of the pipe: a child of the dead worker has it, too."""
    workers = players(1)
    events = list(workers.execute(source(make_cell, "leave a", "run b"), tries=1))
    assert [(kind, cell.strategy) for kind, cell, _ in events if kind != "epoch"] == [
        ("start", "leave a"),
        ("failed", "leave a"),
        ("start", "run b"),
        ("done", "run b"),
    ]
    (message,) = [message for kind, _, message in events if kind == "failed"]
    assert message["cause"] in ("killed", "memory")  # as the kernel's count of the machine says
    assert trees.members(int(str(events[1][2]["pid"]))) == []


def test_the_rest_of_a_dead_leaders_session_is_reaped(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; os.setsid(); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    known = trees.leader(process.pid)
    assert known is not None
    assert sorted(trees.members(process.pid)) == sorted([process.pid, child])
    trees.reap(known)  # it lives: nothing is ended
    assert trees.leader(child) is not None
    process.kill()
    process.wait()
    trees.reap(known._replace(boot="another"))
    assert trees.leader(child) is not None
    trees.reap(known)
    assert trees.leader(child) is None
    process.communicate()


def test_no_more_is_begun_once_it_is_to_end(players: Any, make_cell: Any) -> None:
    workers = players(1)
    events = []
    for kind, cell, _ in workers.execute(source(make_cell, "run a", "run b")):
        events.append((kind, cell.strategy))
        workers.ending = True
    assert events == [("start", "run a"), ("epoch", "run a"), ("done", "run a")]


def test_other_processes_are_waited_for(players: Any, make_cell: Any) -> None:
    following = source(make_cell, Workers.OTHERS, Workers.OTHERS, "run a")
    assert [kind for kind, _, _ in play(players(1), following)] == ["start", "epoch", "done"]


def test_leaving_early_kills_what_runs(players: Any, make_cell: Any) -> None:
    workers = players(1)
    events = workers.execute(source(make_cell, "wait for ever"))
    assert next(events)[0] == "start"
    assert next(events)[0] == "epoch"
    (process,) = multiprocessing.active_children()
    assert process.daemon  # it ends with a parent that forgets it
    events.close()
    assert process.exitcode == -signal.SIGKILL
    assert workers.idle == []


@pytest.fixture
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Whatever a worker makes of Ctrl-C and of its parent's death ends with the test.

    It would lead a session and keep what it frees; here that is only noted.
    """
    before, led = signal.getsignal(signal.SIGINT), list[str]()
    monkeypatch.setattr(os, "setsid", lambda: led.append("a session"))
    monkeypatch.setattr(scheduling, "keep_freed_memory", lambda: led.append("its memory"))
    yield led
    assert led == ["a session", "its memory"]
    signal.signal(signal.SIGINT, before)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 0)


def received(connection: Connection) -> list[tuple[str, Message]]:
    messages = []
    while connection.poll():
        messages.append(connection.recv())
    return messages


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("end", ["none", "closed"])
def test_a_worker_trains_what_it_is_sent_and_says_how_it_went(
    ragged: PreparedDataset, make_cell: Any, tmp_path: Path, end: str
) -> None:
    ours, theirs = multiprocessing.Pipe()
    good = make_cell("early_fusion", epochs=2)
    for cell in (good, make_cell("turnip"), good):
        ours.send(cell)
    if end == "none":
        ours.send(None)
        work(theirs, tmp_path, ragged.path, [])
        messages = received(ours)
        assert [kind for kind, _ in messages] == ["epoch", "epoch", "done", "failed", "done"]
        assert [messages[n][1]["epoch"] for n in (0, 1)] == [1, 2]
        assert messages[0][1]["strategy"] == "my early_fusion"
        failed = messages[3][1]
        assert str(failed["reason"]).startswith("UsageError: baseline 'turnip' is not known; known")
        assert str(failed["detail"]).startswith("Traceback (most recent call last)")
        assert "in build_model" in str(failed["detail"])
        assert str(failed["detail"]).count('  File "') == 3  # the last calls, not all of them
        assert (tmp_path / "runs" / "ragged" / "my early_fusion").is_dir()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    else:
        ours.close()  # the parent is gone: nobody hears, the worker ends
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            work(theirs, tmp_path, ragged.path, [])
    if sys.platform == "linux":
        entries = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(entries))  # PR_GET_PDEATHSIG
        assert entries.value == signal.SIGKILL


@pytest.mark.parametrize(
    ("code", "before", "now", "cause"),
    [
        (-9, 4, 4, "killed"),
        (-9, 4, 5, "memory"),
        (-9, 4, None, "memory"),  # the kernel does not say
        (-9, None, 5, "memory"),
        (-9, None, None, "memory"),
        (-15, 4, 5, "died"),
        (1, None, None, "died"),
    ],
)
def test_why_a_worker_died_is_read_from_its_code_and_the_kernels_count(
    code: int,
    before: int | None,
    now: int | None,
    cause: str,
    make_cell: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduling, "oom_kills", lambda: now)
    monkeypatch.setattr(scheduling, "time", SimpleNamespace(monotonic=lambda: 12.5))
    process: Any = SimpleNamespace(exitcode=code)
    message = scheduling._death(scheduling._Busy(process, make_cell(), 10.0, before))
    assert message["cause"] == cause
    assert message["passing"] is True
    assert message["reason"] == f"its process ended with code {code}"
    assert message["seconds"] == 2.5


@pytest.mark.parametrize(("act", "graces"), [("hang pids", [0.3]), ("die a", [None, None])])
def test_a_late_worker_is_asked_to_end_and_a_dead_one_is_not(
    act: str,
    graces: list[float | None],
    players: Any,
    make_cell: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used, end = [], scheduling._end

    def recorded(connection: Connection, of: Any, grace: float | None) -> None:
        used.append(grace)
        end(connection, of, grace)

    monkeypatch.setattr(scheduling, "_end", recorded)
    list(
        players(1).execute(
            source(make_cell, act),
            lambda _: 0.0 if (tmp_path / "pids").exists() else 5.0,
            grace=0.3,
        )
    )
    assert used == graces


@pytest.mark.parametrize("grace", [None, 0.3])
def test_an_end_leaves_no_process_and_no_zombie(
    grace: float | None, make_cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    class Recorder:
        pid = 77

        def __getattr__(self, name: str) -> Callable[[], None]:
            return lambda: calls.append(name)

    monkeypatch.setattr(scheduling, "end_tree", lambda *words: calls.append(("ask", *words)))
    monkeypatch.setattr(scheduling, "kill_tree", lambda pid: calls.append(("kill", pid)))
    worker: Any = Recorder()
    scheduling._end(worker, scheduling._Busy(worker, make_cell(), 0.0, None), grace)
    request = [("ask", 77, 0.3)] if grace else []
    assert calls == [*request, "kill", ("kill", 77), "join", "close"]
