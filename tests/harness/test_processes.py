"""Processes beside the program leave Ctrl-C to it from their first instruction."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

from fusefront.harness.processes import follow_parent, start


def tell_signals(answers: Connection) -> None:
    """Whether Ctrl-C is held back before anything of ours ran, and what it means afterwards."""
    is_blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os.kill(os.getpid(), signal.SIGINT)
    follow_parent()
    answers.send((is_blocked, signal.getsignal(signal.SIGINT) is signal.SIG_IGN))


def test_a_process_is_deaf_to_ctrl_c_from_the_start_and_the_program_is_not() -> None:
    context = multiprocessing.get_context("spawn")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    ours, theirs = context.Pipe()
    process = context.Process(target=tell_signals, args=(theirs,))
    start(process)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    theirs.close()
    assert ours.recv() == (True, True)
    process.join()
    assert process.exitcode == 0
