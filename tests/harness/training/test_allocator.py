"""Freed memory stays with a process that trains, and only there."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fusefront.harness.runs.environment import environment
from fusefront.harness.training import allocator

ROOT = Path(__file__).parents[3]
PAGES = (40 << 20) // os.sysconf("SC_PAGE_SIZE")
STEPS = f"""
import importlib.util, json, os, resource, sys

spec = importlib.util.spec_from_file_location("allocator", {allocator.__file__!r})
allocator = importlib.util.module_from_spec(spec)
spec.loader.exec_module(allocator)
answer = allocator.keep_freed_memory() if sys.argv[1] == "kept" else None

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        b"x" * (40 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(1)
three, after = faults(3), resident()
allocator.give_freed_memory_back()
words = [os.environ.get(name) for name in allocator.LIMITS]
print(json.dumps([answer, three, after - resident(), words]))
"""


def steps(how: str) -> Any:
    """What a fresh process says: whether it took, page faults of three steps, pages given back."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    command = [sys.executable, "-c", STEPS, how]
    process = subprocess.run(command, env=clean, check=True, capture_output=True, text=True)
    return json.loads(process.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_step_reuses_the_pages_of_the_last_until_they_are_given_back() -> None:
    _, three, _, words = steps("as it ships")
    assert three > 2.9 * PAGES
    assert words == [None, None]
    answer, three, released, words = steps("kept")
    assert answer is True
    assert three < PAGES / 10
    assert released > 0.9 * PAGES
    assert words == ["1073741824", "2147483647"]


def test_a_system_without_such_an_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    before = dict(os.environ)
    assert allocator.keep_freed_memory() is False
    allocator.give_freed_memory_back()
    assert dict(os.environ) == before


@pytest.mark.parametrize("begun", [False, True])
def test_a_gpus_memory_is_given_back_where_one_was_used(
    monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: begun)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty"))
    allocator.give_freed_memory_back()
    assert calls == ["empty"] * begun
    monkeypatch.delitem(sys.modules, "torch")  # a process that never trained
    allocator.give_freed_memory_back()
    assert calls == ["empty"] * begun


class Refusing:
    """A C library whose allocator takes no limits."""

    def mallopt(self, parameter: int, value: int) -> int:
        return int(parameter == allocator.M_TRIM_THRESHOLD and value > 0)

    def malloc_trim(self, _: int) -> None: ...


def test_limits_that_were_refused_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_libc", Refusing)
    before = dict(os.environ)
    assert allocator.keep_freed_memory() is False
    assert dict(os.environ) == before


def test_the_environment_records_that_freed_memory_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, limit in allocator.LIMITS.items():
        monkeypatch.delenv(name, raising=False)
        assert name not in environment(1)["environment"]
        monkeypatch.setenv(name, str(limit))
    recorded = environment(1)["environment"]
    assert {name: int(recorded[name]) for name in allocator.LIMITS} == allocator.LIMITS


def test_only_training_workers_keep_freed_memory() -> None:
    """Where latency is measured the allocator stays as it ships; memory is given back by trainings
    alone."""
    users: dict[str, set[str]] = {}
    for path in (ROOT / "harness").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).endswith(".allocator"):
                for name in node.names:
                    users.setdefault(name.name, set()).add(path.relative_to(ROOT).as_posix())
    workers, run = "harness/training/workers.py", "harness/training/run.py"
    assert users == {"keep_freed_memory": {workers}, "give_freed_memory_back": {workers, run}}
