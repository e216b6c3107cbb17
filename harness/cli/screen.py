"""Standard output for tables."""

import os
import sys

from rich.console import Console

LEAST_WIDTH = 100  # a narrower terminal wraps lines, so that no name and no number is cut
PIPE_WIDTH = 200  # columns of a pipe or file, which has no width of its own


def screen() -> Console:
    """The console for standard output: as wide as the terminal, or wide enough for whole tables in
    a pipe or a file."""
    console = Console(highlight=False, markup=False, emoji=False)
    own = sys.stdout.isatty() or "COLUMNS" in os.environ
    console.width = max(console.width, LEAST_WIDTH) if own else PIPE_WIDTH
    return console
