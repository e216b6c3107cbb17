"""Ctrl-C while trainings run: the first ends after them, the second at once."""

import os
import signal
import threading
from pathlib import Path

import pytest

from fusefront.harness.jobs.interrupts import ending_softly
from fusefront.harness.training.workers import Workers


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    return Workers(1, tmp_path, tmp_path, [])


def interrupted(workers: Workers, lines: list[str], times: int) -> None:
    """Ctrl-C so often, with a line after each that did not raise."""
    with ending_softly(workers, lines.append):
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            lines.append("goes on" if workers.ending else "not heeded")


@pytest.mark.parametrize("times", [1, 2])
def test_the_first_ends_softly_and_the_second_at_once(workers: Workers, times: int) -> None:
    before, lines = signal.getsignal(signal.SIGINT), list[str]()
    with pytest.raises(KeyboardInterrupt):
        interrupted(workers, lines, times)
    assert lines[0] == "ending after the trainings that run; Ctrl-C again ends at once"
    assert lines[1:] == ["goes on"]
    assert not workers.ending  # the next job is not ended with it
    assert signal.getsignal(signal.SIGINT) is before


def test_without_one_nothing_is_raised(workers: Workers) -> None:
    with ending_softly(workers, lambda _: None):
        pass
    assert not workers.ending


def test_outside_the_main_thread_handlers_stay(workers: Workers) -> None:
    """Python lets no other thread set one."""
    before, handlers = signal.getsignal(signal.SIGINT), list[object]()

    def work() -> None:
        with ending_softly(workers, lambda _: None):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]
    with ending_softly(workers, lambda _: None):
        assert signal.getsignal(signal.SIGINT) is not before
