"""Processes of our own beside the program: what they do when their parent is gone."""

import multiprocessing
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from fusefront.harness import processes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills with the parent")
@pytest.mark.parametrize("alive", [True, False])
def test_a_parent_that_died_before_it_was_followed_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    """The kernel tells only of deaths that come later."""
    parent = SimpleNamespace(pid=os.getppid() if alive else -1)
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(processes.ctypes, "CDLL", lambda _: SimpleNamespace(prctl=lambda *_: 0))
    processes.follow_parent()
    assert killed == ([] if alive else [(os.getpid(), signal.SIGKILL)])
