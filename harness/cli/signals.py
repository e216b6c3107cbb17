"""Ctrl-C and SIGTERM end the program in an orderly way, exactly once, whatever it is doing.

A handler that only raises can lose the signal: the exception vanishes in a `__del__`, in a callback
of the interpreter or in a bare `except` of a library; and if C++ calls Python while a library is
loaded, it aborts the process. Therefore nothing is raised while a module is imported (if that takes
longer than two seconds, the process ends at once), and an exception that vanished before `settle`
was called is raised again.
"""

import os
import signal
import sys
import time
import weakref
from types import FrameType
from typing import Self

INTERRUPTED = 130  # 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM
SENTENCE = "fusefront: interrupted; finished runs are kept and not done again\n"
AGAIN = 0.05  # seconds until the next try
IMPORT = 2.0  # seconds that an import may still take before the process ends at once
PATIENCE = 1.0  # seconds; a second Ctrl-C later than this ends at once, without cleaning up
SHOW_CURSOR = b"\x1b[?25h"  # a bar of progress hides it


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; a class of its own, because weak references to built-in exceptions are not
    possible."""


class Terminated(SystemExit):
    """SIGTERM; carries its exit code."""


class Signals:
    """The handlers of SIGINT and SIGTERM while the program runs.

    A signal that was ignored when the process started stays ignored, as shells want it for
    background jobs.
    """

    def __init__(self) -> None:
        self.before: dict[int, object] = {}
        self.number = 0  # the signal that ends the program
        self.since = 0.0  # its time, in seconds of the monotonic clock
        self.settled = False
        self.hook = sys.unraisablehook  # the interpreter's own hook for dropped exceptions
        self.raised: weakref.ref[BaseException] | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self.before[number] = signal.signal(number, self._arrive)
        self.hook, sys.unraisablehook = sys.unraisablehook, self._vanished
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()
        sys.unraisablehook = self.hook
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def settle(self) -> None:
        """Call this when the exit code is known: from here on no signal raises."""
        self.settled = True
        if self.number:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        if self.settled:
            return
        now = time.monotonic()
        if not self.number:
            self.number, self.since = number, now
            self.before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._try)
            self._try(number, frame)
        elif now - self.since > PATIENCE:
            self._end_at_once()

    def _try(self, _: int, frame: FrameType | None) -> None:
        """Raise the exception of the signal, except during an import."""
        if self.settled:
            return
        if is_importing(frame):
            if time.monotonic() - self.since > IMPORT:
                self._end_at_once()
            self._again()
            return
        ending = Interrupted() if self.number == signal.SIGINT else Terminated(TERMINATED)
        self.raised = weakref.ref(ending, self._again)
        try:
            raise ending
        finally:
            del ending  # else its own traceback keeps it alive: it never vanishes

    def _again(self, _: object = None) -> None:
        if not self.settled:
            signal.setitimer(signal.ITIMER_REAL, AGAIN)

    def _vanished(self, what: "sys.UnraisableHookArgs") -> None:
        """The hook for dropped exceptions: prints them as the interpreter does, but raises a
        signal's again."""
        if what.exc_type not in (Interrupted, Terminated):
            self.hook(what)

    def _end_at_once(self) -> None:
        if os.isatty(2):
            os.write(2, SHOW_CURSOR)
        if self.number == signal.SIGINT:
            os.write(2, SENTENCE.encode())
        os._exit(INTERRUPTED if self.number == signal.SIGINT else TERMINATED)


def is_importing(frame: FrameType | None) -> bool:
    """Whether the code of `frame` runs as part of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
