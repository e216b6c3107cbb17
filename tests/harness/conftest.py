"""Shared by the harness's tests; each world stands in a file of its own beside this one."""

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from .in_process import jobs
from .ragged_log import ragged
from .trained_shop import trained, trained_study, world

__all__ = ["jobs", "ragged", "trained", "trained_study", "world"]  # fixtures for every folder


@pytest.fixture(scope="session")
def page_files() -> dict[str, str]:
    """The files of docs/extending.md by name, as a reader would save them."""
    page = Path(__file__).parents[2] / "docs" / "extending.md"
    blocks = re.findall(r"```python\n(# (\w+\.py)\n.*?)```", page.read_text("utf-8"), re.DOTALL)
    return {name: text for text, name in blocks}


@pytest.fixture
def console() -> Console:
    """A wide console that keeps what it is told, in `console.file`."""
    return Console(file=StringIO(), width=400, soft_wrap=True, color_system=None)
