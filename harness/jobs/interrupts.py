"""Ctrl-C: the first ends after what runs, the second at once."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from fusefront.harness.training.workers import Workers


@contextlib.contextmanager
def ending_softly(workers: Workers, tell: Callable[[str], None]) -> Iterator[None]:
    """Let the workers end what they train at the first SIGINT; KeyboardInterrupt then.

    The second one raises at once, and the workers with all that they started are killed. Outside
    the main thread signals stay as they are.
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
