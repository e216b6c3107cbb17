"""A disk that forgets: what a folder may look like when the power goes before any write is synced.

`Recorder.install` notes every sync, rename, link and removal under a root, with a copy of each
file's content at its last fsync. `Journal.lost` then gives the folder as it could be found at any
of these
moments: a file that was never synced is empty, a name that was never synced may be missing.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

Names = dict[str, tuple[int, bool]]  # name -> inode, whether a folder
FOLDER = "/"
MODES = ("names lost", "names kept", "drawn")


class Recorder:
    """Notes what a process does to the files under `root`."""

    def __init__(self, root: Path, journal: Path) -> None:
        self.root, self.journal, self.count = root.resolve(), journal, 0
        for name in ("blobs", "inodes"):
            (journal / name).mkdir(parents=True, exist_ok=True)
        self.link, self.sync = os.link, os.fsync

    def install(self, patch: Callable[[object, str, object], None] = setattr) -> None:
        """Put itself between the program and the system calls that make names and content last."""
        patch(os, "fsync", self._fsync)
        for name in ("rename", "replace", "link", "unlink", "remove", "rmdir", "mkdir"):
            patch(os, name, self._before(getattr(os, name)))

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            self._note({})
            return call(*arguments, **options)

        return noted

    def _fsync(self, handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        self.sync(handle)
        if not path.is_relative_to(self.root) or not path.exists():
            return
        event: dict[str, object] = {"inode": path.stat().st_ino}
        if path.is_dir():
            event["names"] = _names(path)
        else:
            self.count += 1
            event["blob"] = f"{os.getpid()}-{self.count}"
            shutil.copyfile(path, self.journal / "blobs" / str(event["blob"]))
            known = self.journal / "inodes" / str(event["inode"])
            if not known.exists():  # so that no other file is given this number
                self.link(path, known)
        self._note(event)

    def _note(self, event: dict[str, object]) -> None:
        event["tree"] = {str(p): _names(p) for p in (self.root, *_folders(self.root))}
        line = json.dumps(event) + "\n"
        with (self.journal / "events.jsonl").open("a") as file:
            file.write(line)


def _folders(root: Path) -> list[Path]:
    return [Path(at) / name for at, folders, _ in os.walk(root) for name in folders]


def _names(folder: Path) -> Names:
    names: Names = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names[entry.name] = entry.inode(), entry.is_dir(follow_symlinks=False)
    except FileNotFoundError:
        pass
    return names


class Journal:
    """What a recorder noted, and the folders that a power cut could have left."""

    def __init__(self, root: Path, journal: Path) -> None:
        self.root, self.journal = root.resolve(), journal
        lines = (journal / "events.jsonl").read_text().splitlines()
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def lost(self, moment: int, mode: str, target: Path) -> None:
        """Make `target` what could be there if the power went just before event `moment`."""
        target.mkdir()
        for name, content in self.state(moment, mode).items():
            path = target / name
            if content == FOLDER:
                path.mkdir()
            elif content:
                shutil.copyfile(self.journal / "blobs" / content, path)
            else:
                path.touch()

    def states(self) -> Iterator[tuple[int, str]]:
        """Every moment and mode that leaves a folder other than those before."""
        known = set()
        for moment in range(len(self.events) + 1):
            for mode in MODES:
                state = tuple(sorted(self.state(moment, mode).items()))
                if state not in known:
                    known.add(state)
                    yield moment, mode

    def state(self, moment: int, mode: str) -> dict[str, str]:
        """Relative path -> FOLDER, a blob's name, or "" for an empty file; folders first."""
        folders: dict[int, Names] = {}
        blobs: dict[int, str] = {}
        for event in self.events[:moment]:
            if "names" in event:
                folders[event["inode"]] = event["names"]
            if "blob" in event:
                blobs[event["inode"]] = event["blob"]
        tree = self.events[min(moment, len(self.events) - 1)]["tree"]
        now = {self._inode(tree, at): names for at, names in tree.items()}
        random = Random(f"{moment} {mode}")

        state: dict[str, str] = {}

        def fill(inode: int, at: str) -> None:
            known = mode == "names kept" or (mode == "drawn" and random.random() < 0.5)
            names = now.get(inode, folders.get(inode, {})) if known else folders.get(inode, {})
            for name, (child, is_folder) in names.items():
                state[at + name] = FOLDER if is_folder else blobs.get(child, "")
                if is_folder:
                    fill(child, f"{at}{name}/")

        fill(self.root.stat().st_ino, "")
        return state

    def _inode(self, tree: dict[str, Names], at: str) -> int:
        if at == str(self.root):
            return self.root.stat().st_ino
        return tree.get(str(Path(at).parent), {}).get(Path(at).name, (0, True))[0]
