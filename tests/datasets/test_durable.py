"""Files and folders written beside and renamed: what is there afterwards, and in which order."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from fusefront.datasets import durable
from fusefront.datasets.durable import (
    abandoned,
    append_line,
    forget,
    hold,
    is_still,
    leftovers,
    make_folder,
    place,
    remove,
    replacing,
    replacing_folder,
    scratch_folder,
    sweep,
    write_bytes,
)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was brought to disk, in order."""
    names: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: names.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
    )
    return names


def test_a_line_is_added_whole_and_a_line_cut_short_is_ended_first(tmp_path: Path) -> None:
    log = tmp_path / "a" / "log.jsonl"
    append_line(log, "first")
    append_line(log, "second é")
    assert log.read_text("utf-8") == "first\nsecond é\n"
    log.write_text("first\nsec")
    append_line(log, "third")
    append_line(log, "")
    assert log.read_text("utf-8") == "first\nsec\nthird\n\n"


def test_a_new_log_has_its_name_on_disk_and_an_old_one_its_line(
    tmp_path: Path, synced: list[str]
) -> None:
    log = tmp_path / "log.jsonl"
    append_line(log, "first")
    assert synced == ["log.jsonl", tmp_path.name]
    synced.clear()
    append_line(log, "second")
    assert synced == ["log.jsonl"]


def test_folders_are_made_from_the_top_and_each_name_is_on_disk(
    tmp_path: Path, synced: list[str]
) -> None:
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path.name, "a"]
    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert synced == []


def test_what_is_forgotten_is_gone_and_stays_gone(tmp_path: Path, synced: list[str]) -> None:
    path = tmp_path / "record.json"
    path.touch()
    forget(path)
    assert not path.exists()
    assert synced == [tmp_path.name]
    synced.clear()
    forget(path)
    assert synced == []


def filled(folder: Path, text: str) -> Path:
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "x").write_text(text)
    return folder


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_the_old_one_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    """In one step where the system can, else by way of a name aside."""
    if not exchange:
        monkeypatch.setattr(durable, "_exchange", lambda *_: False)
    target = filled(tmp_path / "bundle", "old")
    (target / "only in the old one").touch()
    place(filled(tmp_path / ".new", "new"), target)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert [path.name for path in target.iterdir()] == ["inner"]
    assert (target / "inner" / "x").read_text() == "new"


def test_a_folder_is_on_disk_before_it_has_its_name(tmp_path: Path, synced: list[str]) -> None:
    place(filled(tmp_path / ".new", "new"), tmp_path / "bundle")
    assert synced == ["inner", "x", ".new", tmp_path.name]


def test_an_error_leaves_the_old_file_and_the_old_folder(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", filled(tmp_path / "folder", "old")
    file.write_text("old")

    def fail(target: Path, *, a_folder: bool) -> None:
        with (replacing_folder if a_folder else replacing)(target) as written:
            (written / "more" if a_folder else written).write_text("new")
            raise KeyError

    for target in (file, folder):
        with pytest.raises(KeyError):
            fail(target, a_folder=target is folder)
    with scratch_folder(file) as written:
        assert written.is_dir()
        (written / "x").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert file.read_text() == (folder / "inner" / "x").read_text() == "old"
    write_bytes(file, b"new")
    assert file.read_bytes() == b"new"
    with replacing_folder(folder) as written:
        filled(written / "more", "new")
    assert [path.name for path in folder.iterdir()] == ["more"]


def test_what_is_written_beside_says_whose_it_is_and_is_nobody_elses_to_read(
    tmp_path: Path,
) -> None:
    before = os.umask(0o022)
    try:
        with replacing(tmp_path / ("n" * 250)) as written:
            name = written.name
            assert name.startswith(f".{'n' * 180}.tmp-{os.getpid()}-")
            assert written.stat().st_mode & 0o777 == 0o644
        with replacing_folder(tmp_path / "folder") as written:
            assert written.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_what_somebody_writes_is_not_swept_and_what_nobody_does_is(tmp_path: Path) -> None:
    """Names of earlier versions, too; whatever has another name stays."""
    names = (".a.tmp-1-ff", ".b.tmp12", ".c.tmp", ".d.partial", ".preparing-e")
    for name in (*names, "plain.tmp", ".f", "g.partial"):
        (tmp_path / name).touch()
    filled(tmp_path / ".h.tmp-2-aa", "half")
    dead = {tmp_path / name for name in (*names, ".h.tmp-2-aa")}
    with replacing(tmp_path / "file") as written:
        assert set(leftovers(tmp_path)) == {*dead, written}
        with abandoned(written) as free:
            assert free is False
        sweep(tmp_path)
        assert leftovers(tmp_path) == [written]
        written.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".f",
        "file",
        "g.partial",
        "plain.tmp",
    ]
    with abandoned(tmp_path / "gone") as free:
        assert free is False
    with abandoned(tmp_path / "file") as free:
        assert free is True


def test_a_lock_is_held_once_and_systems_without_locks_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.touch()
    first, second = (os.open(path, os.O_RDONLY) for _ in range(2))
    assert (hold(first), hold(second)) == (True, False)
    assert is_still(path, first)
    path.rename(tmp_path / "y")
    assert not is_still(path, first)
    path.touch()
    assert not is_still(path, first)  # another file of that name
    os.close(first)
    assert hold(second) is True

    def refuse(number: int) -> None:
        def flock(*_: object) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(fcntl, "flock", flock)

    for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF):
        refuse(number)
        assert hold(second) is None
    with replacing(tmp_path / "z") as written:  # and writing goes on there
        written.write_text("whole")
    refuse(errno.EIO)
    with pytest.raises(OSError, match="no"):
        hold(second)
    os.close(second)


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    folder = filled(tmp_path / "folder", "kept")
    link = tmp_path / "link"
    link.symlink_to(folder)
    remove(link)
    remove(link)  # gone already
    assert (folder / "inner" / "x").exists()
    remove(folder)
    assert list(tmp_path.iterdir()) == []
