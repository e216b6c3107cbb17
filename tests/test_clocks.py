"""A test that reads a clock needs a quiet machine: it is marked `timed`, or it reads none."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "time"}
CLOCKS |= {f"{name}_ns" for name in CLOCKS}


def clocks(node: ast.AST) -> list[str]:
    """Calls of `time.NAME()` or of a NAME() that is imported from time."""
    calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return [
        call.attr if isinstance(call, ast.Attribute) else call.id
        for call in calls
        if (
            isinstance(call, ast.Attribute)
            and isinstance(call.value, ast.Name)
            and call.value.id == "time"
            and call.attr in CLOCKS
        )
        or (isinstance(call, ast.Name) and call.id in CLOCKS - {"time"})
    ]


def is_timed(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "timed" for part in ast.walk(node))


def unmarked(text: str) -> Iterator[str]:
    """Functions that read a clock, where neither they nor their module carry the mark."""
    tree = ast.parse(text)
    marks = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        if clocks(function) and not any(map(is_timed, [*marks, *function.decorator_list])):
            yield function.name


def test_every_test_that_reads_a_clock_is_marked() -> None:
    files = [p for p in Path(__file__).parent.rglob("*.py") if "benchmarks" not in p.parts]
    assert len(files) > 80
    unmarked_there = {
        (path.name, name) for path in files for name in unmarked(path.read_text("utf-8"))
    }
    assert unmarked_there == set()


READS = "import time\n{mark}\ndef test_speed():\n    begin = {clock}\n    assert begin < 6\n"


@pytest.mark.parametrize(
    ("mark", "clock", "names"),
    [
        ("", "time.process_time()", ["test_speed"]),
        ("", "perf_counter_ns()", ["test_speed"]),
        ("@pytest.mark.slow", "time.monotonic()", ["test_speed"]),
        ("@pytest.mark.timed", "time.monotonic()", []),
        ("pytestmark = pytest.mark.timed", "time.time()", []),
        ("pytestmark = [pytest.mark.slow, pytest.mark.timed]", "time.time()", []),
        ("", "datetime.time()", []),
    ],
)
def test_an_unmarked_reader_is_seen(mark: str, clock: str, names: list[str]) -> None:
    assert list(unmarked(READS.format(mark=mark, clock=clock))) == names
