"""The commands that a page prints, run as they are printed, on a trained study."""

import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

from fusefront.harness.cli.app import VERBS, register
from fusefront.harness.decision.policy import again
from fusefront.reports.evidence import Decision, Evidence, StudyFacts
from fusefront.reports.words.commands import on_study

PROGRAM = str(Path(sys.executable).with_name("fusefront"))


def finished(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *words], capture_output=True, text=True, check=False, cwd=folder, timeout=1500
    )


def commands(page: Path) -> list[list[str]]:
    """Every command of ours that stands as code on a page, once each."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"<(?:code|pre)[^>]*>(.*?)</(?:code|pre)>", text, re.DOTALL)
    lines = [line for block in blocks for line in unescape(block).splitlines()]
    return [shlex.split(line) for line in dict.fromkeys(lines) if line.startswith("fusefront ")]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_command_on_the_page_of_a_trained_study_runs(tmp_path: Path) -> None:
    """The folder of runs is in them where it is not ./out; 4 is a verdict, not a failure."""
    out = tmp_path / "my runs"
    demo = finished(["demo", "--quick", "--out", str(out)], tmp_path)
    assert demo.returncode == 0, demo.stderr[-800:]
    page = next((out / "reports").glob("*/index.html"))
    printed = commands(page)
    assert printed
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    failed = []
    for words in printed:
        process = finished(words[1:], elsewhere)
        if process.returncode not in (0, 4):
            failed.append((shlex.join(words), process.returncode, process.stderr[-300:]))
    assert not failed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("bench", "--add"), {"add": True, "out": Path("my runs")}),
        (("bench",), {"add": False, "out": Path("my runs")}),
        (("compare", "--temperature"), {"temperature": True, "out": Path("my runs")}),
        (("compare",), {"temperature": None, "out": Path("my runs")}),
        (("robustness",), {"out": Path("my runs")}),
        (("report",), {"store": Path("my runs")}),
    ],
)
def test_printed_lines_are_read_as_meant(
    words: tuple[str, ...], expected: dict[str, object]
) -> None:
    """Typed in a shell, with a study and a folder whose names have blanks."""
    decision = Decision("thin", "too_little", 1.0, 0.1)
    evidence = Evidence(StudyFacts("my shop", "shop", 10, store="my runs"), decision, ())
    line = on_study(evidence, *words)
    if words == ("bench", "--add"):  # a refused decision prints the same line
        sentence = again(on_study(evidence, "bench"))
        assert f"`{line}`" in sentence
    program, *typed = shlex.split(line)
    group = get_command(register({words[0]: VERBS[words[0]]}))
    assert isinstance(group, TyperGroup)
    name, command, rest = group.resolve_command(Context(group), typed)
    assert (program, name, command is None) == ("fusefront", words[0], False)
    assert command is not None
    params = command.make_context(name, rest).params  # older typers keep a folder as text here
    folders = {"out", "store"} & expected.keys()
    read = {key: Path(params[key]) if key in folders else params[key] for key in expected}
    assert read == expected
    assert "my shop" in map(str, params.values())
