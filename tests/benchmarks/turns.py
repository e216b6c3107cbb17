"""Two sides of a comparison, each in a process of its own, that work in turn.

A side is a script that answers each line of its input with one line, the JSON of a `Turn`: see
`answer`. While one works the other waits, so that both meet the same moments of a shared machine.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple


class Turn(NamedTuple):
    """What one turn of a side took: rows, CPU seconds, page faults a batch, MiB at most so far."""

    rows: int
    seconds: float
    faults: float
    peak: float


def answer(work: Callable[[], int], batches: int) -> None:
    """Be a side: for each line of input do `work`, which returns its rows, and print its `Turn`."""
    for _ in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        begin = time.process_time()
        rows = work()
        spent = time.process_time() - begin
        used = resource.getrusage(resource.RUSAGE_SELF)
        took = Turn(rows, spent, (used.ru_minflt - before) / batches, used.ru_maxrss / 1024)
        print(json.dumps(took), flush=True)


class Side:
    """A process that takes turns."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self) -> Turn:
        """Let the side work once.

        Raises:
            RuntimeError: the side has ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a side ended with code {self.process.wait()}, see its error above")
        return Turn(*json.loads(line))

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def compare(title: str, commands: dict[str, list[str]], rounds: int) -> None:
    """Let two sides, name -> command, take turns, and print how much faster a row is on the second:
    the median over rounds, the lowest and the highest; then what each side does."""
    sides = [Side(command) for command in commands.values()]
    try:
        turns = [[side.turn() for side in sides] for _ in range(rounds + 1)][1:]  # first: warm-up
    finally:
        for side in sides:
            side.end()
    ratios = sorted(a.seconds / a.rows * b.rows / b.seconds for a, b in turns)
    print(f"{title}: {median(ratios):.2f} x ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    for name, each in zip(commands, zip(*turns, strict=True), strict=True):
        print(
            f"  {name}: {median(turn.rows / turn.seconds for turn in each):,.0f} rows/s, "
            f"{each[-1].faults:,.0f} page faults a batch, peak {each[-1].peak:,.0f} MiB",
            flush=True,
        )
