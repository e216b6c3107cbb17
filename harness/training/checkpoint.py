"""A training put by after some of its epochs, to go on later as if it had never paused."""

import hashlib
import random
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from fusefront.datasets.durable import forget, write_bytes
from fusefront.harness.training.module import ClickModule

FILE = "checkpoint.pt"  # SHA-256 of the rest, then what torch.save makes of it


class PausedError(Exception):
    """A training has come as far as it was to come for now: no fault of it."""


class Checkpoint(NamedTuple):
    """All that the epochs to come depend on, and what the epochs so far have left."""

    module: dict[str, Any]  # weights, optimiser, schedule, average, best so far
    random_state: dict[str, Any]
    lines: list[dict[str, Any]]  # of metrics.jsonl, one an epoch
    seconds: float  # of training, so far

    @property
    def epochs(self) -> int:
        """How many epochs have ended."""
        return len(self.lines)


def write_checkpoint(
    folder: Path, module: ClickModule, lines: list[dict[str, Any]], seconds: float
) -> None:
    """Put a training by, between two epochs; a kill leaves the checkpoint before or this one."""
    content = BytesIO()
    torch.save(Checkpoint(module.state(), random_state(), lines, seconds)._asdict(), content)
    packed = content.getvalue()
    write_bytes(folder / FILE, hashlib.sha256(packed).digest() + packed)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The training that was put by; None where there is none that is whole: it only saves time."""
    try:
        read = (folder / FILE).read_bytes()
    except OSError:
        return None
    seal, packed = read[:32], read[32:]
    if hashlib.sha256(packed).digest() != seal:
        return None
    return Checkpoint(**torch.load(BytesIO(packed), map_location="cpu", weights_only=True))


def remove_checkpoint(folder: Path) -> None:
    """A training that has ended, or never goes on, needs none."""
    forget(folder / FILE)


def random_state() -> dict[str, Any]:
    """Where the generators of torch, NumPy and Python are, in types that are safe to read.

    NumPy's is the global one, which somebody else's model may draw from.
    """
    name, keys, at, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    version, inner, next_gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [str(name), [int(key) for key in keys], int(at), int(has_gauss), float(gauss)],
        "python": [version, list(inner), next_gauss],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Put the generators back to where `random_state` found them."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, at, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), at, has_gauss, gauss))  # noqa: NPY002
    version, inner, next_gauss = state["python"]
    random.setstate((version, tuple(inner), next_gauss))
