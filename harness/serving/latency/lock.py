"""The host lock: trainings share it, a latency measurement holds it alone."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusefront.datasets.locks import Tell, Wait, locked

VARIABLE = "FUSEFRONT_HOST_LOCK"  # another path, or empty to lock nothing


def lock_path() -> Path | None:
    """The one file that all of this host's sessions lock; None where the user turned it off."""
    text = os.environ.get(VARIABLE)
    if text is not None:
        return Path(text) if text else None
    return Path(tempfile.gettempdir()) / "fusefront-host.lock"


@contextmanager
def training_lock(tell: Tell | None = None, *, timeout: float | None = None) -> Iterator[None]:
    """Hold the shared side: any number of trainings at once, none while a measurement runs."""
    why = "waiting for a latency measurement on this machine to end"
    with _locked(Wait(why, tell, timeout), shared=True):
        yield


@contextmanager
def measuring_lock(tell: Tell | None = None, *, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock alone: no training and no other measurement of this host runs meanwhile."""
    why = "waiting for a training or another measurement on this machine to end"
    with _locked(Wait(why, tell, timeout), shared=False):
        yield


@contextmanager
def _locked(wait: Wait, *, shared: bool) -> Iterator[None]:
    path = lock_path()
    if path is None:
        yield
        return
    with locked(path, wait, shared=shared, keep=True):
        yield
