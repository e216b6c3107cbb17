"""What the tests of a folder cover, recorded once a tree, and which of them a change concerns."""

from collections import defaultdict
from pathlib import Path
from typing import TypedDict

from mutation.changes import Mutation
from mutation.tree import imported, packages


class CoverageRow(TypedDict):
    seconds: float
    blind: bool  # it started a process whose lines are not known
    covered: dict[str, list[int]]


class CoverageRecording(TypedDict):
    tests: dict[str, CoverageRow]
    failed: list[str]  # without any change: they judge nothing
    shared: list[str]  # test files that keep results from one test to the next
    loaded: list[str]  # files of the tree that Python imported


def mirrored(root: Path, file: Path) -> list[str]:
    """The test folder that mirrors a source file's folder, or the nearest one above it."""
    for folder in file.parents:
        if folder != Path() and (root / "tests" / folder).is_dir():
            return [(Path("tests") / folder).as_posix()]
    return ["tests"]


class Imports:
    """Which files of the tree import which, directly or through a package's `__init__.py`."""

    def __init__(self, root: Path) -> None:
        names: dict[str, str] = {}
        for package, folder in packages(root).items():
            for path in sorted((root / folder).rglob("*.py")):
                relative = path.relative_to(root / folder).with_suffix("")
                parts = [part for part in relative.parts if part != "__init__"]
                names[".".join([package, *parts])] = path.relative_to(root).as_posix()
        self.by: dict[str, set[str]] = defaultdict(set)
        for path in (*(root / file for file in names.values()), *(root / "tests").rglob("*.py")):
            for name in imported(path) & names.keys():
                self.by[names[name]].add(path.relative_to(root).as_posix())

    def importers(self, file: str) -> set[str]:
        """Files that import `file`, and those that import a package which hands its names on."""
        reached: set[str] = set()
        ways = [file]
        while ways:
            for importer in self.by[ways.pop()] - reached:
                reached.add(importer)
                if importer.endswith("__init__.py"):
                    ways.append(importer)
        return reached


class CoverageMap:
    """One recording, asked for the tests that a change concerns."""

    def __init__(self, recording: CoverageRecording, imports: Imports) -> None:
        self.imports = imports
        self.known = sorted(recording["tests"])
        self.failed = sorted(recording["failed"])
        failed = set(recording["failed"])
        self.tests = {name: row for name, row in recording["tests"].items() if name not in failed}
        self.by_line: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name, row in self.tests.items():
            for file, numbers in row["covered"].items():
                for number in numbers:
                    self.by_line[file][number].add(name)
        self.shared = set(recording["shared"])

    def seconds(self, names: list[str]) -> float:
        return sum(self.tests[name]["seconds"] for name in names)

    def covering(self, change: Mutation) -> list[str]:
        """Tests that run the changed statement, fastest first.

        A statement of a module runs once, for whoever imports it first: it concerns every test
        that runs a line of the module or of a file that imports it, and every test of a test file
        that imports it; those of the module itself come first.
        """
        file = change.file.as_posix()
        lines = range(change.place.first, change.place.last + 1)
        near = {name for line in lines for name in self.by_line[file].get(line, ())}
        if not change.place.in_function:
            near |= self._running(file)
            importers = self.imports.importers(file)
            near |= {name for name in self.tests if name.split("::")[0] in importers}
            far = {name for importer in importers for name in self._running(importer)} - near
        else:
            far = set()
        files = {name.split("::")[0] for name in near} & self.shared
        far |= {name for name in self.tests if name.split("::")[0] in files} - near
        return [*self._fastest(near), *self._fastest(far)]

    def blind(self) -> list[str]:
        """Tests that may run any line unseen, in a process of their own."""
        return self._fastest({name for name, row in self.tests.items() if row["blind"]})

    def everything(self) -> list[str]:
        return self._fastest(set(self.tests))

    def _running(self, file: str) -> set[str]:
        return set().union(*self.by_line[file].values()) if file in self.by_line else set()

    def _fastest(self, names: set[str]) -> list[str]:
        return sorted(names, key=lambda name: (self.tests[name]["seconds"], name))
