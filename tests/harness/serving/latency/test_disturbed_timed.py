"""A process that is really stopped, and one whose core is really taken: neither turns a decision.

The child measures two subjects for 20 rounds and says whether a limit of 60 ms is kept, for
half a millisecond of work; the parent disturbs it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.timed, pytest.mark.slow]

CHILD = """
import json, sys
from time import perf_counter_ns
import numpy as np
from fusefront.harness.decision.latency import limit_grade
from fusefront.harness.dossier.bench import latency_of
from fusefront.harness.serving.latency.bench import SubjectKey, session_facts, summarise
from fusefront.harness.serving.latency.quality import quality_of
from fusefront.harness.serving.latency.session import TimedSubject, measure

def spin(ns):
    def call(_):
        until = perf_counter_ns() + ns
        while perf_counter_ns() < until:
            pass
    return call

subjects = (("today", "model_only", 0.5), ("today", "twin-model_only", 0.5),
            ("other", "model_only", 0.3))
keys = {SubjectKey(n, "onnx", s, 1): ms for n, s, ms in subjects}
subjects = [TimedSubject(str(k), spin(int(ms * 1e6)), [0]) for k, ms in keys.items()]
print("ready", flush=True)
rows = summarise(measure(subjects, 20, np.random.default_rng(0)), keys)
facts = session_facts(rows, 1)
grades = {row["strategy"]: limit_grade(latency_of(row), 60.0, facts["floor_p99"] or 0.0)
          for row in rows if not row["scope"].startswith("twin")}
print(json.dumps({"grades": grades, "quality": quality_of(rows, facts, 1)}))
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def result(process: subprocess.Popen[str]) -> dict[str, dict[str, object]]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_a_stopped_process_is_not_shown_to_miss_the_limit(child: subprocess.Popen[str]) -> None:
    for _ in range(6):
        time.sleep(0.2)
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.15)
        child.send_signal(signal.SIGCONT)
    reported = result(child)
    shown = set(reported["grades"].values())
    assert shown <= {"kept", "not known"} or reported["quality"]["disturbed"]  # by others, too


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_stolen_core_is_a_disturbed_session(child: subprocess.Popen[str]) -> None:
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(child.pid, {core})
    thieves = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass",
            ]
        )
        for _ in range(2)
    ]
    try:
        quality = result(child)["quality"]
    finally:
        for thief in thieves:
            thief.kill()
            thief.wait()
    assert "visits waited for a core" in " ".join(quality["disturbed"])
