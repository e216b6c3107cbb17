"""The commands that a page prints, run as they are printed, on a trained study."""

import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

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
