"""Locks between processes: one holder, sentence, waited for within a limit; nothing stays of
them."""

import errno
import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fusefront.datasets import locks
from fusefront.datasets.errors import PlaceError
from fusefront.datasets.locks import Wait, command_line, lock_file, locked

HOLDER = """
import sys
from pathlib import Path
from fusefront.datasets.locks import Wait, locked
with locked(Path(sys.argv[1]), Wait(""), shared={shared}):
    print("held", flush=True)
    sys.stdin.read()
"""
COUNTER = """
import sys
from pathlib import Path
from fusefront.datasets.locks import Wait, locked
lock, number = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range({times}):
    with locked(lock, Wait("")):
        number.write_text(str(int(number.read_text()) + 1))
"""


@contextmanager
def holding(path: Path, *, shared: bool = False) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER.format(shared=shared), str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "held"
            yield process
        finally:
            process.kill()


def test_who_waits_is_told_by_whom_and_gives_up_after_the_limit(tmp_path: Path) -> None:
    path, lines = lock_file(tmp_path, "run", "abc"), list[str]()
    with holding(path) as process:
        record = json.loads(path.read_text())
        assert record["pid"] == process.pid
        sentence = (
            f"waiting: process {process.pid} on {platform.node()} "
            f"({command_line(['-c', str(path)])}, since {record['since']})"
        )
        with pytest.raises(PlaceError) as refused, locked(path, Wait("waiting", lines.append, 0.3)):
            pass
        assert lines == [sentence]
        assert str(refused.value) == (
            f"still {sentence} after 0.3 s ({path}); let it finish, or stop it"
        )
    with locked(path, Wait("waiting", limit=0.0)):  # a killed holder holds nothing
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []  # neither the lock's file nor its folder stays


def test_those_who_share_hold_it_together_and_the_last_takes_it_away(tmp_path: Path) -> None:
    path = tmp_path / ".locks" / "folder"
    at_once = Wait("", limit=0.0)
    with (
        holding(path, shared=True),
        locked(path, at_once, shared=True),
        pytest.raises(PlaceError),
        locked(path, at_once),
    ):
        pass
    with locked(path, Wait("", limit=0.0), shared=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_no_two_processes_are_inside_at_once(tmp_path: Path) -> None:
    """The file goes with every holder: whoever waited on a file that is gone must begin again."""
    number, times = tmp_path / "number", 60
    number.write_text("0")
    code = COUNTER.format(times=times)
    command = [sys.executable, "-c", code, str(tmp_path / ".locks" / "x"), str(number)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert number.read_text() == str(3 * times)


def test_what_a_killed_holder_wrote_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "host"
    path.write_text(
        json.dumps({"pid": 1, "host": "elsewhere", "command": "x", "since": "2026-01-01"})
    )
    assert "elsewhere" in locks.in_words(path)  # another machine's, for all that is known here
    with holding(path, shared=True) as process:
        assert f"process {process.pid} on {platform.node()}" in locks.in_words(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / "lock"
    with pytest.raises(PlaceError) as refused, locked(path, Wait("")):
        pass
    assert str(refused.value) == (
        f"{path}: this file system has no locks ({os.strerror(number).lower()}), and without them "
        "two commands damage each other's files; give a folder on another disk"
    )
