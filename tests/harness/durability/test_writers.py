"""The one writer: who writes beside is known by a lock, what a kill leaves behind is swept."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fusefront.datasets.durable import (
    append_line,
    leftovers,
    make_folder,
    replacing,
    replacing_folder,
    sweep,
    temporary_folder,
    write_bytes,
)

WRITER = """
import sys, time
from pathlib import Path
from fusefront.datasets.durable import replacing, replacing_folder
with {writer}(Path(sys.argv[1])) as written:
    print(written, flush=True)
    time.sleep(600)
"""


def write_and_die(path: Path, writer: str) -> Path:
    """A process that is killed while it writes beside `path`: what it leaves."""
    command = [sys.executable, "-c", WRITER.format(writer=writer), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        written = Path(process.stdout.readline().strip())
        assert leftovers(path.parent) == [written]
        sweep(path.parent)
        assert written.exists()  # its owner lives
        process.send_signal(signal.SIGKILL)
    return written


@pytest.mark.parametrize("writer", ["replacing", "replacing_folder"])
def test_what_a_living_process_writes_stays_and_what_a_killed_one_left_goes(
    tmp_path: Path, writer: str
) -> None:
    written = write_and_die(tmp_path / "record.json", writer)
    assert written.exists()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


TEMPORARY = """
import time
from fusefront.datasets.durable import temporary_folder
with temporary_folder("trace") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_temporary_folder_of_a_killed_process_is_swept_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", TEMPORARY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        assert stat.S_IMODE(left.stat().st_mode) & 0o077 == 0  # nobody else's
        (tmp_path / "x.tmp-1").mkdir()  # another program's
        with temporary_folder("init") as own:
            assert left.is_dir()  # its owner lives
            (own / "a").touch()
        process.send_signal(signal.SIGKILL)
    assert left.is_dir()
    with temporary_folder("init"):
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x.tmp-1"]


def test_what_was_moved_aside_counts_as_left_once_the_new_one_has_its_place(
    tmp_path: Path,
) -> None:
    (tmp_path / ".bundle.old4711").mkdir()
    assert leftovers(tmp_path) == []  # all that there is of it
    (tmp_path / "bundle").mkdir()
    assert leftovers(tmp_path) == [tmp_path / ".bundle.old4711"]


def test_leftovers_of_earlier_versions_are_swept_and_other_files_are_not(tmp_path: Path) -> None:
    for name in (".summary.json.tmp4711", ".world.tmp", ".log.partial", ".verified.json", "a.tmp9"):
        (tmp_path / name).touch()
    (tmp_path / ".preparing-x").mkdir()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".verified.json", "a.tmp9"]


def test_an_error_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old")
    for writer, name in ((replacing, "a"), (replacing_folder, "b")):
        with pytest.raises(ZeroDivisionError), writer(tmp_path / name) as written:
            (written if written.is_file() else written / "x").write_bytes(b"%d" % (1 // 0))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_two_writers_at_once_use_two_names(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"  # the outer block ends last
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("length", [1, 200, 230])
def test_a_long_name_has_room_for_the_one_beside_it(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("é" * (length // 2) + "x")
    write_bytes(path, b"content")
    assert path.read_bytes() == b"content"


def test_a_log_gets_whole_lines_after_a_cut_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    append_line(path, "1")
    append_line(path, "2")
    assert path.read_text() == "1\n2\n"
    path.write_text("1\n2\n{half")
    append_line(path, "3")
    assert path.read_text() == "1\n2\n{half\n3\n"


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_the_writer_opens_nothing_to_everybody_and_keeps_the_users_mask(
    tmp_path: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        write_bytes(tmp_path / "a" / "b", b"")
        make_folder(tmp_path / "c" / "d")
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o002 == 0
        assert mode & mask == 0
