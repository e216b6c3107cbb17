"""Ablations killed at drawn moments, interrupted and run twice at once: the same cells, numbers."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..child_processes import below
from .small_study import finish, record, start

KILLS = 20
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def trainings(folder: Path) -> dict[Path, int]:
    """Every run on record, and when it was written."""
    paths = (folder / "out" / "runs").rglob("summary.json")
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in paths}


@pytest.fixture(scope="module")
def whole(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation that nobody disturbs."""
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("whole") / "whole")
    finish(start(folder))
    path = record(folder)["path"]
    assert path["choice"] == "greedy"
    assert len(path["steps"]) >= 3
    return folder


def at_work(rng: random.Random, process: subprocess.Popen[str], folder: Path) -> None:
    """Until so many more runs are on record as are drawn, none among them, or the command ends."""
    goal = len(trainings(folder)) + rng.randrange(4)
    while process.poll() is None and len(trainings(folder)) < goal:
        time.sleep(0.05)
    time.sleep(rng.uniform(0, 2 if rng.random() < 0.5 else 12))


def kill(rng: random.Random, process: subprocess.Popen[str]) -> str:
    """One of the workers, the program alone or the whole group; what it was."""
    what = rng.choice(["worker", "program", "group"])
    if what == "worker" and (victims := below(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(victims), signal.SIGKILL)
        time.sleep(rng.uniform(0, 1))
    with contextlib.suppress(ProcessLookupError):
        process.kill() if what == "program" else os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return what


def test_any_kills_leave_the_same_cells_and_numbers(
    trained: Path, whole: Path, tmp_path: Path
) -> None:
    expected, rng = record(whole), random.Random(KILLS)
    victims: list[str] = []
    names = (tmp_path / f"cut{number}" for number in itertools.count())
    cut = shutil.copytree(trained, next(names))
    while len(victims) < KILLS:
        process = start(cut)
        at_work(rng, process, cut)
        if process.poll() is not None:  # all is done: the other kills begin anew
            finish(process)
            assert record(cut) == expected
            cut = shutil.copytree(trained, next(names))
            continue
        victims.append(kill(rng, process))
    finish(start(cut))
    assert record(cut) == expected
    assert trainings(cut).keys() == trainings(whole).keys()
    before = trainings(cut)
    finish(start(cut))
    assert record(cut) == expected
    assert trainings(cut) == before  # nothing is trained twice
    assert not list(cut.rglob("*.tmp*"))
    assert not (cut / "out" / ".locks").exists()
    sys.stdout.write(f"{len(victims)} kills, {sorted(victims)}: the same cells and numbers\n")


def test_two_at_once_share_their_runs_and_end_alike(
    trained: Path, whole: Path, tmp_path: Path
) -> None:
    """The same command waits for the other and reads; another plan trains beside it."""
    folder = shutil.copytree(trained, tmp_path / "shared")
    processes = [start(folder), start(folder), start(folder, "--plan", "modalities")]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert record(folder) == record(whole)
    crossed = record(folder, "ablation-early_fusion-modalities.json")
    assert len(crossed["rows"]) == 2**3 - 2  # subsets; with none of them nothing is left to train
    assert crossed["shares"] == []
    assert crossed["path"]["choice"] == "greedy"
    runs = {cell["run_id"] for each in (record(folder), crossed) for cell in each["cells"]}
    folders = [path.parent.name for path in trainings(folder)]
    assert len(folders) == len(set(folders))  # each run was trained once, by one of them
    assert runs <= set(folders)


def test_ctrl_c_ends_it_softly_and_the_same_command_goes_on(
    trained: Path, whole: Path, tmp_path: Path
) -> None:
    folder, rng = shutil.copytree(trained, tmp_path / "interrupted"), random.Random(7)
    ends = []
    for _ in range(3):
        process = start(folder)
        at_work(rng, process, folder)
        group = [process.pid, *below(process.pid)]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=120)
        assert "Traceback" not in error
        ends.append(process.returncode)
        left = group
        for _ in range(200):  # what ends with its parent takes a moment
            left = [pid for pid in left if Path(f"/proc/{pid}").exists()]
            if not left:
                break
            time.sleep(0.1)
        assert not left
    # a shell says 130 also where the signal comes before Python listens, or after it has ended
    assert set(ends) <= {0, 130, -signal.SIGINT}
    assert 130 in ends
    finish(start(folder))
    assert record(folder) == record(whole)
