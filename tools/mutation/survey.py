"""Workers that try the changes of a pool against its recorded tests."""

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from mutation.baseline import CoverageMap, CoverageRecording, Imports, mirrored
from mutation.cache import Cache
from mutation.changes import Mutation
from mutation.drawing import Pool
from mutation.report import line, note
from mutation.worker import Verdict, Worker, WorkerOptions


class Survey:
    """Workers that share the drawn changes, and the verdicts they bring."""

    def __init__(self, arguments: argparse.Namespace, root: Path, folder: Path) -> None:
        self.arguments, self.root = arguments, root
        python = root / arguments.python
        python = python if python.exists() else Path(sys.executable)
        options = WorkerOptions(arguments.mark, arguments.timeout, arguments.full)
        self.workers: SimpleQueue[Worker] = SimpleQueue()
        for number in range(arguments.jobs):
            self.workers.put(Worker(root, folder / f"worker{number}", python, options))
        self.cache = Cache(root, root / arguments.cache, arguments.mark)
        self.imports = Imports(root)
        self.baselines: dict[tuple[str, ...], CoverageMap] = {}
        self.printing = threading.Lock()

    def tests(self, change: Mutation) -> list[str]:
        return self.arguments.tests or mirrored(self.root, change.file)

    def record(self, tests: list[str]) -> None:
        """Have a baseline of `tests`: from the cache, or by running them once."""
        if tuple(tests) in self.baselines:
            return
        baseline = CoverageMap(self.cache.recording(tests, self._record), self.imports)
        self.baselines[tuple(tests)] = baseline
        if baseline.failed:
            shown = ", ".join(baseline.failed[:3])
            note(f"{len(baseline.failed)} fail without any change and judge nothing: {shown}")

    def _record(self, tests: list[str]) -> CoverageRecording:
        started, worker = time.monotonic(), self.workers.get()
        try:
            recording = worker.record(tests)
        finally:
            self.workers.put(worker)
        seconds = time.monotonic() - started
        note(f"{' '.join(tests)}: {len(recording['tests'])} tests recorded in {seconds:.0f} s")
        return recording

    def attempt(self, change: Mutation) -> Verdict:
        tests, worker = self.tests(change), self.workers.get()
        try:
            verdict = worker.attempt(change, self.baselines[tuple(tests)], tests)
        finally:
            self.workers.put(worker)
        if verdict.lived or self.arguments.verbose:
            with self.printing:
                print(line(verdict), flush=True)
        return verdict

    def run(self, pool: Pool) -> list[Verdict]:
        for change in pool.changes:
            self.record(self.tests(change))
        with ThreadPoolExecutor(self.arguments.jobs) as threads:
            return list(threads.map(self.attempt, pool.changes))

    def close(self) -> None:
        while not self.workers.empty():
            self.workers.get().close()
