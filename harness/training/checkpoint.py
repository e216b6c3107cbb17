"""A training paused between two epochs, kept so that it can go on as if it had never paused."""

import hashlib
import random
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from fusefront.datasets.durable import forget, write_bytes
from fusefront.harness.training.module import ClickModule

FILE = "checkpoint.pt"  # SHA-256 of the bytes from torch.save, then these bytes


class PausedError(Exception):
    """A training has reached the epoch where it is to pause; this is no failure."""


class Checkpoint(NamedTuple):
    """The state of a paused training: everything that later epochs depend on, and what earlier ones
    recorded."""

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
    """Write the checkpoint between two epochs, in one step: a kill leaves the previous file or this
    one."""
    content = BytesIO()
    torch.save(Checkpoint(module.state(), random_state(), lines, seconds)._asdict(), content)
    packed = content.getvalue()
    write_bytes(folder / FILE, hashlib.sha256(packed).digest() + packed)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in `folder`; None if it is missing or damaged, since it only saves time."""
    try:
        read = (folder / FILE).read_bytes()
    except OSError:
        return None
    seal, packed = read[:32], read[32:]
    if hashlib.sha256(packed).digest() != seal:
        return None
    return Checkpoint(**torch.load(BytesIO(packed), map_location="cpu", weights_only=True))


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint of a training that has ended or will not go on."""
    forget(folder / FILE)


def random_state() -> dict[str, Any]:
    """The states of the random generators of torch, NumPy and Python, in types that are safe to
    load.

    NumPy's is the global generator, from which a plug-in's model may draw.
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
    """Put the generators back into a state that `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, at, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), at, has_gauss, gauss))  # noqa: NPY002
    version, inner, next_gauss = state["python"]
    random.setstate((version, tuple(inner), next_gauss))
