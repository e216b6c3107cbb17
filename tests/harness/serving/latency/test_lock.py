"""The host lock: who may be here together, who is named, how long anybody waits."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from fusefront.datasets import locks
from fusefront.datasets.errors import PlaceError
from fusefront.harness.serving.latency.lock import lock_path, measuring_lock, training_lock

HOLDER = """
import sys
from fusefront.harness.serving.latency.lock import measuring_lock, training_lock
with {side}():
    print("held", flush=True)
    sys.stdin.read()
"""
Lock = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def host_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "host.lock"
    monkeypatch.setenv("FUSEFRONT_HOST_LOCK", str(path))
    return path


@contextmanager
def entries(side: str) -> Iterator[int]:
    """Another process holds that side of the lock, until it is killed: its id."""
    command = [sys.executable, "-c", HOLDER.format(side=side), "bench", "movielens"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "held"
            yield process.pid
        finally:
            process.kill()


@pytest.mark.usefixtures("host_lock")
@pytest.mark.parametrize(
    ("other", "own", "allowed"),
    [
        ("training_lock", training_lock, True),
        ("training_lock", measuring_lock, False),
        ("measuring_lock", training_lock, False),
        ("measuring_lock", measuring_lock, False),
    ],
)
def test_trainings_share_the_host_and_a_measurement_has_it_alone(
    other: str, own: Lock, allowed: bool
) -> None:
    lines: list[str] = []
    with entries(other):
        if allowed:
            with own(lines.append, timeout=0):
                pass
            assert lines == []
        else:
            with pytest.raises(PlaceError, match="waiting for"), own(lines.append, timeout=0.3):
                pass
            assert len(lines) == 1
    with own(timeout=0):  # the kernel frees what a killed process held
        pass


def test_who_waits_is_told_for_whom_and_how_long(
    host_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setenv("FUSEFRONT_LOCK_WAIT_S", "0.3")
    with entries("training_lock") as pid:
        began = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
        name = (
            f"process {pid} on {platform.node()} (-c import sys from "
            f"fusefront.harness.serving.latency.lock…, since {began.isoformat(timespec='seconds')})"
        )
        waiting = "waiting for a training or another measurement on this machine to end"
        with pytest.raises(PlaceError) as refused, measuring_lock(lines.append):
            pass
        assert lines == [f"{waiting}: {name}"]
        assert str(refused.value) == (
            f"still {waiting}: {name} after 0.3 s ({host_lock}); let it finish, or stop it"
        )


@pytest.mark.parametrize("values", ["soon", "-1", "nan", "inf"])
@pytest.mark.usefixtures("host_lock")
def test_a_limit_that_is_no_number_of_seconds_is_refused(
    values: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEFRONT_LOCK_WAIT_S", values)
    with pytest.raises(PlaceError) as refused, training_lock():
        pass
    assert str(refused.value) == (
        f"FUSEFRONT_LOCK_WAIT_S: got {values!r}, expected a number of seconds, 0 or more"
    )


def test_all_holders_are_known_and_nobody_else(
    host_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locks.in_words(host_lock) == ""  # there is no file yet
    with entries("training_lock") as first, entries("training_lock") as second, training_lock():
        assert locks.holders(host_lock) == sorted([first, second, os.getpid()])
    assert locks.holders(host_lock) == []
    monkeypatch.setattr(locks, "_LOCKS", host_lock.with_name("no such file"))
    with training_lock():  # a system that has no such list names nobody
        assert locks.in_words(host_lock) == ""


def test_an_empty_variable_locks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSEFRONT_HOST_LOCK", "")
    with measuring_lock(timeout=0), measuring_lock(timeout=0):
        pass


def test_the_lock_is_one_file_of_the_host_unless_another_or_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FUSEFRONT_HOST_LOCK", raising=False)
    assert lock_path() == Path(tempfile.gettempdir()) / "fusefront-host.lock"
    monkeypatch.setenv("FUSEFRONT_HOST_LOCK", "/elsewhere/lock")
    assert lock_path() == Path("/elsewhere/lock")
    monkeypatch.setenv("FUSEFRONT_HOST_LOCK", "")
    assert lock_path() is None
