"""A folder changes places with the one before it; at no moment is its name empty."""

import sys
import threading
from pathlib import Path

import pytest

from fusefront.datasets import durable


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "content").write_text(text)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="one step on Linux alone")
def test_the_name_always_has_a_whole_folder(tmp_path: Path) -> None:
    target = folder(tmp_path / "bundle", "0")
    visited: set[str] = set()
    missing: list[str] = []
    ends = threading.Event()

    def watch() -> None:
        while not ends.is_set():
            try:
                visited.add((target / "content").read_text())
            except FileNotFoundError as error:
                if not target.exists() and not target.is_symlink():
                    missing.append(str(error))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(1, 200):
        durable.place(folder(tmp_path / ".new", str(number)), target)
    ends.set()
    watcher.join()
    assert not missing
    assert (target / "content").read_text() == "199"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert visited


def test_where_the_system_cannot_swap_the_old_folder_is_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_exchange", lambda first, other: False)
    target = folder(tmp_path / "bundle", "old")
    durable.place(folder(tmp_path / ".new", "new"), target)
    assert (target / "content").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
