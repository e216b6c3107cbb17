"""Standard output for tables."""

import os
import sys

from rich.console import Console

LEAST_WIDTH = 100  # a narrower terminal wraps the lines: no name and no number is cut
PIPE_WIDTH = 200  # columns; a file has no width of its own and is read elsewhere


def screen() -> Console:
    """A terminal at its own width; a pipe or a file wide enough that tables stay whole."""
    console = Console(highlight=False, markup=False, emoji=False)
    own = sys.stdout.isatty() or "COLUMNS" in os.environ
    console.width = max(console.width, LEAST_WIDTH) if own else PIPE_WIDTH
    return console
