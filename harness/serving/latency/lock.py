"""The host lock: trainings share it, a latency measurement holds it exclusively."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusefront.datasets.locks import Tell, Wait, locked

VARIABLE = "FUSEFRONT_HOST_LOCK"  # environment variable: another path, or empty for no lock


def lock_path() -> Path | None:
    """The file that all sessions of this host lock; None if the user turned locking off."""
    text = os.environ.get(VARIABLE)
    if text is not None:
        return Path(text) if text else None
    return Path(tempfile.gettempdir()) / "fusefront-host.lock"


@contextmanager
def training_lock(tell: Tell | None = None, *, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock shared: any number of trainings at once, none during a measurement. `timeout`
    is in s."""
    why = "waiting for a latency measurement on this machine to end"
    with _locked(Wait(why, tell, timeout), shared=True):
        yield


@contextmanager
def measuring_lock(tell: Tell | None = None, *, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock exclusively: no training and no other measurement on this host. `timeout` is in
    s."""
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
