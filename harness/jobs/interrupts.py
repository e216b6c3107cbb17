"""Ctrl-C: the first ends the command after the trainings that run, the second ends it at once."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from fusefront.harness.training.workers import Workers


@contextlib.contextmanager
def ending_softly(workers: Workers, tell: Callable[[str], None]) -> Iterator[None]:
    """At the first SIGINT begin no new training, and raise KeyboardInterrupt once those that run
    have ended.

    The second SIGINT raises at once, and the workers are killed with everything they have started.
    Outside the main thread, signal handlers stay unchanged.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(*_: object) -> None:
        if workers.ending:
            raise KeyboardInterrupt
        workers.ending = True
        tell("ending after the trainings that run; Ctrl-C again ends at once")

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
        if workers.ending:
            raise KeyboardInterrupt
    finally:
        workers.ending = False
        signal.signal(signal.SIGINT, before)
