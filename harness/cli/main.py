"""The program's start and end; slow imports come after the handlers of Ctrl-C are installed."""

import os
import sys

from fusefront.harness.cli.signals import INTERRUPTED, SENTENCE, Signals


def main() -> None:
    """Run the verb of the command line and end the process with its exit code."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # one thread a training; workers inherit it
    os.environ.setdefault("WANDB_SILENT", "true")
    os.umask(os.umask(0o077) | 0o002)  # files are not writable by everybody; workers inherit it
    signals = Signals()
    try:
        with signals:
            try:
                from fusefront.harness.cli.app import run

                code = run()
                signals.settle()
            except KeyboardInterrupt:
                signals.settle()
                code = INTERRUPTED
            if code == INTERRUPTED:
                sys.stderr.write(SENTENCE)
            sys.exit(code)
    except KeyboardInterrupt:  # after the handlers were installed, before the verb began
        signals.settle()
        sys.stderr.write(SENTENCE)
        sys.exit(INTERRUPTED)
