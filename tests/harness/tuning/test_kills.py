"""Kills of tuners, workers, trials and groups at drawn moments: the same trials and winners.

The trainings are played by real processes that load no model, so that a hundred kills are cheap.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ..child_processes import below

PLAYER = """
import math, os, subprocess, sys, time
from pathlib import Path
from fusefront.harness.training.halving import Leg

EPOCHS = 8

def curve(rate, until):
    best = 0.7 - abs(rate - 0.03)
    return [best - 0.2 * math.exp(-epoch * (0.2 + 10 * rate)) for epoch in range(1, until + 1)]

def work(connection, root, store_path, include):
    import ctypes, json
    ctypes.CDLL(None).prctl(1, 9)
    os.setsid()
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        if task is None:
            return
        cell, until = task if isinstance(task, Leg) else (task, None)
        child = subprocess.Popen(["sleep", "0.15"])  # a trial starts processes of its own
        child.wait()
        folder = root / "runs" / cell.spec.dataset / cell.strategy / cell.spec.run_id
        folder.mkdir(parents=True, exist_ok=True)
        rate = float(cell.spec.settings.get("lr", 0.01))
        lines = [json.dumps({"valid_auc": auc}) + "\\n" for auc in curve(rate, until or EPOCHS)]
        metrics = folder / "metrics.jsonl"
        came = len(metrics.read_text().splitlines()) if metrics.exists() else 0
        if came < len(lines):
            (folder / f"metrics.{os.getpid()}").write_text("".join(lines))
            os.replace(folder / f"metrics.{os.getpid()}", metrics)
        if until is not None:
            connection.send(("paused", {"seconds": 0.15}))
            continue
        summary = {"format": 1, "run_id": cell.spec.run_id, "valid_auc": 0.7 - abs(rate - 0.03)}
        with open(root / "trained", "a") as log:
            log.write(cell.spec.run_id + "\\n")
        written = folder / f"summary.{os.getpid()}"
        written.write_text(json.dumps({**summary, "seconds": 0.15}))
        os.replace(written, folder / "summary.json")
        connection.send(("done", {"seconds": 0.15}))
"""
TUNER = """
import faulthandler, signal, sys, types
faulthandler.register(signal.SIGUSR1)  # where it stands, should it stand still
from pathlib import Path
from typing import NamedTuple

class Record(NamedTuple):
    path: Path
    summary: dict

def find_record(cell, root):
    import json
    path = root / "runs" / cell.spec.dataset / cell.strategy / cell.spec.run_id / "summary.json"
    return Record(path.parent, json.loads(path.read_text())) if path.exists() else None

light = types.ModuleType("fusefront.harness.training.run")  # without what trains
def run_folder(cell, root):
    return root / "runs" / cell.spec.dataset / cell.strategy / cell.spec.run_id

light.find_record, light.run_folder, light.RunRecord = find_record, run_folder, Record
sys.modules[light.__name__] = light

from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.study import Range
from fusefront.harness.training import workers as scheduling
from fusefront.harness.training.halving import rungs
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.search_cells import TrialSource

def main(root, halving):
    from player import EPOCHS, work
    scheduling.work = work
    space = {"lr": Range(low=1e-3, high=1e-1, log=True)}
    levels = (*rungs(EPOCHS), EPOCHS) if halving else ()
    searches = [
        Search(root / "tuning" / n, n, space, 8, seed=3, lag=2, levels=levels)
        for n in ("a", "b", "c")
    ]
    def cell(name, params):
        spec = RunSpec(f"of {name}", "f", "b", params, {"epochs": EPOCHS}, 1, code="c")
        return Cell(name, "trial", spec, False)
    source = TrialSource(searches, cell, root)
    workers = scheduling.Workers(2, root, Path("store"), [])
    given = {"tries": 1, "grace": 0.5, "until": source.until}
    for kind, of, message in workers.execute(source, source.left, **given):
        if kind == "start":
            source.begun(of, message["pid"])
        elif kind == "paused":
            source.close(of, "", cause="paused", **message)
        elif kind in ("done", "failed"):
            reason = message.pop("reason", "")
            source.close(of, reason, **message)
    workers.close()
    for search in searches:
        search.freeze()

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "halving")
"""


KILLS = 100
LONGEST_S = 300.0  # of a whole search, on a loaded machine


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "player.py").write_text(PLAYER, encoding="utf-8")
    (tmp_path / "tuner.py").write_text(TUNER, encoding="utf-8")
    return tmp_path / "tuner.py"


def start(program: Path, root: Path, way: str) -> subprocess.Popen[str]:
    root.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(program), str(root), way],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(program: Path, root: Path, way: str) -> None:
    """A tuner that nobody disturbs ends well; one that stands still says where."""
    process = start(program, root, way)
    try:
        errors = process.communicate(timeout=LONGEST_S)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGKILL)
        errors = f"stood still: {process.communicate()[1]}"
    assert process.returncode == 0, errors


def interruptions(root: Path) -> int:
    return len(list(root.glob("tuning/*/interrupted-*.json")))


def records(root: Path) -> dict[str, dict[str, Any]]:
    """Every record of a trial and of a winner; how long they took is the machine's."""
    read = {
        str(path.relative_to(root)): json.loads(path.read_text())
        for pattern in ("trial-*", "claim-*", "winner-*", "step-*", "rung-*")
        for path in sorted(root.glob(f"tuning/*/{pattern}.json"))
    }
    return {
        name: {key: v for key, v in record.items() if key not in ("seconds", "evidence")}
        for name, record in read.items()
    }


def kill(rng: random.Random, tuner: subprocess.Popen[str]) -> int:
    """Workers and what trials have started, a few times, and then the tuner or its group."""
    count = 0
    for _ in range(rng.randrange(4)):
        if victims := below(tuner.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
                count += 1
        time.sleep(rng.uniform(0, 0.5))
    if tuner.poll() is None:
        if rng.random() < 0.5:
            tuner.kill()
        else:
            os.killpg(tuner.pid, signal.SIGKILL)
        count += 1
    return count


def at_work(root: Path, tuners: list[subprocess.Popen[str]]) -> None:
    """Until one of the tuners has trained something, or all have ended."""
    log = root / "trained"
    before = log.stat().st_size if log.exists() else 0
    for _ in range(int(LONGEST_S / 0.02)):
        grown = log.exists() and log.stat().st_size > before
        if grown or all(tuner.poll() is not None for tuner in tuners):
            return
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", ["whole", "halving"])
def test_any_kills_leave_the_same_trials_and_winners(
    programs: Path, tmp_path: Path, way: str
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(programs, whole, way)
    expected = records(whole)
    ended = sum("trial-" in name for name in expected)
    if way == "whole":
        assert len(expected) == 3 * (8 + 8 + 1)
    else:
        assert 3 <= ended < 3 * 8  # some were paused and never went on
        assert sum("rung-" in name for name in expected) > 3 * 8
    rng = random.Random(KILLS)
    count = again = 0
    while count < KILLS:
        tuners = [
            start(programs, cut, way) for _ in range(rng.choice([1, 2]))
        ]  # they share the work
        if rng.random() < 0.8:  # else at any moment of their start
            at_work(cut, tuners)
        time.sleep(rng.uniform(0, 1))
        for tuner in tuners:
            count += kill(rng, tuner)
        for tuner in tuners:
            tuner.communicate()
        if len(records(cut)) == len(expected):  # all is done: the rest of the kills begin anew
            assert records(cut) == expected
            again += interruptions(cut)
            cut = tmp_path / f"cut{count}"
    finish(programs, cut, way)
    assert records(cut) == expected
    assert not list(cut.glob("tuning/*/running-*"))
    before = {path: path.stat().st_mtime_ns for path in cut.rglob("*.json")}
    finish(programs, cut, way)
    assert {path: path.stat().st_mtime_ns for path in cut.rglob("*.json")} == before
    again += interruptions(cut)
    assert again >= KILLS / 20  # workers were killed while they trained
    sys.stdout.write(f"{count} kills, {again} interruptions on record, the same trials\n")
