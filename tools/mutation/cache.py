"""Recordings kept from one survey to the next, as long as the files that they read are the same."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, cast

from mutation.baseline import CoverageRecording
from mutation.tree import listed, packages


class CachedRecording(TypedDict):
    recording: CoverageRecording
    content: dict[str, str]  # file -> hash, of every file that the recording depends on


def hashes(root: Path) -> dict[str, str]:
    """File -> hash of its content, for every file of the checkout."""
    return {
        path.as_posix(): hashlib.sha256((root / path).read_bytes()).hexdigest()
        for path in listed(root)
    }


class Cache:
    """Recordings of one checkout under `folder`."""

    def __init__(self, root: Path, folder: Path, mark: str) -> None:
        self.folder, self.mark = folder, mark
        self.folders = tuple(f"{folder.as_posix()}/" for folder in packages(root).values())
        self.now = hashes(root)

    def recording(
        self, tests: list[str], record: Callable[[list[str]], CoverageRecording]
    ) -> CoverageRecording:
        """What `tests` cover now; only test files that changed since the last time run again."""
        key = hashlib.sha256("\0".join([self.mark, *tests]).encode()).hexdigest()[:12]
        path = self.folder / f"{key}.json"
        recorded = (
            cast(CachedRecording, json.loads(path.read_text("utf-8"))) if path.exists() else None
        )
        if recorded is None:
            recording = record(tests)
        else:
            before, old = recorded["content"], recorded["recording"]
            now = self._depends(tests, old["loaded"])
            stale = {file for file in before.keys() | now if before.get(file) != now.get(file)}
            if not stale:
                return old
            if all(Path(file).match("test_*.py") and under(file, tests) for file in stale):
                again = sorted(stale & now.keys())
                recording = joined(old, record(again) if again else None, stale)
            else:
                recording = record(tests)
        content = self._depends(tests, recording["loaded"])
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(CachedRecording(recording=recording, content=content)), encoding="utf-8"
        )
        return recording

    def _depends(self, tests: list[str], loaded: list[str]) -> dict[str, str]:
        """Files that were loaded, test files, every conftest, and data files of the folders."""
        return {
            file: value
            for file, value in self.now.items()
            if file in set(loaded)
            or under(file, tests)
            or file.endswith("conftest.py")
            or file == "pyproject.toml"
            or (file.startswith(self.folders) and not file.endswith(".py"))
        }


def under(file: str, tests: list[str]) -> bool:
    return any(Path(file).is_relative_to(test.split("::")[0]) for test in tests)


def joined(
    old: CoverageRecording, new: CoverageRecording | None, replaced: set[str]
) -> CoverageRecording:
    """`old` with the test files in `replaced` as `new` has them."""

    def recorded(name: str) -> bool:
        return name.split("::")[0] not in replaced

    return CoverageRecording(
        tests={name: row for name, row in old["tests"].items() if recorded(name)}
        | (new["tests"] if new else {}),
        failed=[*filter(recorded, old["failed"]), *(new["failed"] if new else [])],
        shared=[*filter(recorded, old["shared"]), *(new["shared"] if new else [])],
        loaded=sorted({*old["loaded"], *(new["loaded"] if new else [])} - replaced),
    )
