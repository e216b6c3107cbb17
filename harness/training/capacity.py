"""How many trainings to run at a time: as many as the machine's cores make faster, and its memory
holds.

Measured by processes that multiply small matrices and copy arrays, one thread each, as trainings
do: cores that share their arithmetic, or other work on the machine, show in what all of them do
together.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.training.free_memory import free_memory

MOST = 64  # as `--jobs` allows
SECONDS = 0.4  # of each measurement
ENOUGH = 0.95  # of the most that any number of processes does
PROCESS = 700 << 20  # bytes of a training without data: the libraries, gradients, a batch
VECTORS = 3  # copies of the items' vectors in float32: the table, what a model keeps, its codes
WORK = """
import sys, time
import numpy as np
a, b = np.ones((512, 128), np.float32), np.ones((128, 128), np.float32)
wide = np.ones((2048, 256), np.float32)
print(flush=True)
sys.stdin.readline()
done, end = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for _ in range(20):
        a @ b
    wide.copy()
    done += 1
print(done, flush=True)
"""


class Capacity(NamedTuple):
    """A number of workers, how much faster than one they are together, and how many memory
    holds."""

    workers: int
    speedup: float
    in_memory: int

    def sentence(self) -> str:
        """The choice as one line."""
        if self.workers == 1:
            why = "more would not be faster" if self.in_memory > 1 else "memory holds no more"
            return f"1 training at a time: {why} (measured; --jobs N sets it)"
        return (
            f"{self.workers} trainings at a time: together {self.speedup:.1f} times as fast as "
            f"one, memory for {self.in_memory} (measured; --jobs N sets it)"
        )


def measured_capacity(store: PreparedDataset) -> Capacity:
    """Measure how many trainings of a store's models to run at a time; takes a second or two."""
    in_memory = max(1, int(free_memory() // bytes_of_training(store)))
    return choose(min(cores(), in_memory, MOST), in_memory, together)


def choose(most: int, in_memory: int, speed: Callable[[int], float]) -> Capacity:
    """The fewest workers, of 1, 2, 4, ... and `most`, that do almost as much as any number does.

    `speed(k)`: what k processes do together, in any unit.

    >>> choose(8, 20, lambda k: min(k, 4.1))
    Capacity(workers=4, speedup=4.0, in_memory=20)
    """
    counts = [1 << power for power in range(most.bit_length())]
    counts = [*counts, most] if counts[-1] < most else counts
    speeds: Mapping[int, float] = {count: speed(count) for count in counts}
    best = max(speeds.values())
    workers = next(count for count in counts if speeds[count] >= ENOUGH * best)
    return Capacity(workers, speeds[workers] / speeds[1], in_memory)


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def bytes_of_training(store: PreparedDataset) -> int:
    """About how much memory a training of a store's models takes."""
    schema = store.manifest.schema_
    return PROCESS + VECTORS * 4 * (schema.items + 1) * sum(schema.modalities.values())


def together(count: int) -> float:
    """What `count` processes do in `SECONDS` s, all at a time."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )
        for _ in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()  # it has imported what it needs
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return float(sum(int(process.communicate()[0]) for process in processes))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
