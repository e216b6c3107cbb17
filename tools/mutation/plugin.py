"""Plug-ins of pytest: one records what every test covers, one runs chosen tests in their order."""

import contextlib
import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from mutation.lines import FOLDER, OWNER, TREE, Covered, Lines

SHELLS = ("sh", "bash", "env", "nice")


class Owner:
    """A test, or a fixture that outlives one: its lines, its own time, processes it started."""

    def __init__(self) -> None:
        self.covered: Covered = {}
        self.seconds = 0.0
        self.started = 0
        self.recorded = 0


class TestChoice:
    """Keeps the tests named, in that order, and tests behind them that nobody knew before."""

    def __init__(self, order: list[str], known: set[str]) -> None:
        self.rank = {name: rank for rank, name in enumerate(order)}
        self.known = known

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        new = bool(self.known)
        selected = [
            item
            for item in items
            if item.nodeid in self.rank or (new and item.nodeid not in self.known)
        ]
        items[:] = sorted(selected, key=lambda item: self.rank.get(item.nodeid, len(self.rank)))


class CoverageRecorder:
    """Writes for every test that passes its seconds and which lines of the tree it covers.

    A line that runs in a fixture of wider scope counts for every test that uses the fixture, one
    that runs in a process that the test starts counts for the test.
    """

    def __init__(self, tree: Path, out: Path, *, traced: bool) -> None:
        self.lines, self.out, self.traced = Lines(tree), out, traced
        self.owners: dict[str, Owner] = {"": Owner()}
        self.stack, self.since = [""], time.monotonic()
        self.uses: dict[str, list[str]] = {}
        self.failed: set[str] = set()
        self.cached: set[str] = set()  # test files that keep results between tests
        self.folder = Path(tempfile.mkdtemp(dir=out.parent))
        if traced:
            os.environ |= {FOLDER: str(self.folder), TREE: str(tree)}
            sys.addaudithook(self.audit)
            self.lines.covered = self.owners[""].covered
            self.lines.start()

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in ("os.fork", "os.posix_spawn"):
            self.owners[self.stack[-1]].started += 1
        elif event == "subprocess.Popen":
            program = Path(os.fsdecode(str(arguments[0]))).name
            if program.startswith("python") or program in (*SHELLS, *self.scripts()):
                self.owners[self.stack[-1]].started += 1

    @functools.cache  # noqa: B019  (one recorder a process)
    def scripts(self) -> set[str]:
        """Programs in Python's own folder that Python runs."""
        return {
            path.name
            for path in Path(sys.executable).parent.iterdir()
            if path.is_file() and path.open("rb").read(2) == b"#!"
        }

    @contextlib.contextmanager
    def owning(self, name: str) -> Iterator[None]:
        owner = self.owners.setdefault(name, Owner())
        self._take_time()
        self.stack.append(name)
        os.environ[OWNER] = name
        self.lines.covered = owner.covered
        try:
            yield
        finally:
            self._take_time()
            self.stack.pop()
            os.environ[OWNER] = self.stack[-1]
            self.lines.covered = self.owners[self.stack[-1]].covered

    def _take_time(self) -> None:
        now = time.monotonic()
        self.owners[self.stack[-1]].seconds += now - self.since
        self.since = now

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.uses[item.nodeid] = list(getattr(item, "fixturenames", ()))
        self._clear_caches()
        if any(map(is_cache, vars(getattr(item, "module", object)).values())):
            self.cached.add(item.nodeid.split("::")[0])
        with self.owning(item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        with self.owning(f"{fixturedef.baseid}>{fixturedef.argname}"):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def _clear_caches(self) -> None:
        """Let every test run what a cache of the tree would keep from an earlier one."""
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None) or ""
            if self.lines.name(path) and "tests" not in Path(path).parts:
                for value in list(vars(module).values()):
                    if is_cache(value):
                        value.cache_clear()

    def pytest_sessionfinish(self) -> None:
        self.lines.stop()
        os.environ.pop(FOLDER, None)
        for path in self.folder.glob("*.json"):
            left = json.loads(path.read_text(encoding="utf-8"))
            owner = self.owners.get(left["owner"], self.owners[""])
            owner.recorded += 1
            for name, numbers in left["covered"].items():
                owner.covered.setdefault(name, set()).update(numbers)
        tests = {
            name: self._row(name, [name, *self._fixtures(name, names)])
            for name, names in self.uses.items()
        }
        paths = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
        record = {
            "tests": tests,
            "failed": sorted(self.failed),
            "shared": sorted(self.cached),
            "loaded": sorted({*filter(None, map(self.lines.name, paths)), *self._covered()}),
        }
        self.out.write_text(json.dumps(record), encoding="utf-8")

    def _covered(self) -> set[str]:
        return {name for owner in self.owners.values() for name in owner.covered}

    def _fixtures(self, test: str, names: list[str]) -> list[str]:
        pairs = [(owner, *owner.split(">", 1)) for owner in self.owners if ">" in owner]
        return [
            owner
            for owner, base, fixture in pairs
            if fixture in names and test.startswith(base) and owner not in self.uses
        ]

    def _row(self, test: str, owners: list[str]) -> dict[str, object]:
        parts = [self.owners[owner] for owner in owners]
        covered: Covered = {}
        for part in parts:
            for name, numbers in part.covered.items():
                covered.setdefault(name, set()).update(numbers)
        return {
            "seconds": sum(part.seconds for part in parts),
            "blind": any(part.started > part.recorded for part in parts),
            "covered": {name: sorted(numbers) for name, numbers in covered.items()},
        }


def is_cache(value: object) -> bool:
    return isinstance(value, functools._lru_cache_wrapper)
