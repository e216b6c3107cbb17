"""A worker that is killed, a full disk: tried again at once, then by the next command; never on
record."""

import errno
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from fusefront.datasets.errors import PlaceError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.jobs.train import Workspace, tune
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Study
from fusefront.harness.training.workers import Workers, cause_of, is_passing
from fusefront.harness.tuning.search import Search

DYING = """
import os
from pathlib import Path
lives = Path({lives!r})
left = int(lives.read_text())
if left:
    lives.write_text(str(left - 1))
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def plan(world: PreparedDataset) -> StudyPlan:
    study = {
        "name": "shop",
        "dataset": "world.yaml",
        "strategies": {"late_fusion": {"token_width": 8}},
        "baseline": "late_fusion",
        "seeds": [0],
        "controls": False,
        "training": {"epochs": 1, "batch_rows": 512},
        "tuning": {"trials": 2},
    }
    return make_plan(Study.model_validate(study), world, load_parts([]))


def dying(tmp_path: Path, page_files: dict[str, str], deaths: int) -> Path:
    """A file of own parts that kills the process that loads it, so many times."""
    (tmp_path / "lives").write_text(str(deaths))
    path = tmp_path / "largest.py"
    path.write_text(DYING.format(lives=str(tmp_path / "lives")) + page_files["largest.py"])
    return path


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (MemoryError(), True),
        (PlaceError("still waiting"), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (FloatingPointError("12 of 30 valid scores are not finite"), False),
        (ValueError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_failures_of_the_place_are_told_from_those_of_a_run(
    error: Exception, passing: bool
) -> None:
    assert is_passing(error) is passing


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("CUDA out of memory: tried to allocate"), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "place"),
        (PlaceError("still waiting"), "place"),
        (FloatingPointError("3 of 9 scores are not finite"), "nan"),
        (ValueError("k is too wide"), "value"),
        (TypeError("got a word"), "value"),
        (RuntimeError("shapes do not fit"), "error"),
        (KeyError("k"), "error"),
    ],
)
def test_what_gave_out_has_one_of_five_names(error: Exception, cause: str) -> None:
    assert cause_of(error) == cause


@pytest.mark.slow
@pytest.mark.gate
def test_a_run_whose_worker_is_killed_is_tried_once_more(
    plan: StudyPlan, world: PreparedDataset, tmp_path: Path, page_files: dict[str, str]
) -> None:
    (cell,) = plan.final({})
    file = dying(tmp_path, page_files, deaths=1)
    workers = Workers(1, tmp_path / "out", world.path, [file])
    events = [kind for kind, _, _ in workers.execute(iter([cell, None]).__next__)]
    workers.close()
    assert events == ["start", "start", "epoch", "done"]


@pytest.mark.slow
def test_a_trial_whose_worker_is_killed_twice_is_tried_again_and_its_time_counted(
    plan: StudyPlan, world: PreparedDataset, tmp_path: Path, page_files: dict[str, str]
) -> None:
    file = dying(tmp_path, page_files, deaths=2)
    console = Console(quiet=True)
    folder = tmp_path / "studies" / "shop"

    def workspace() -> Workspace:
        return Workspace(tmp_path, folder, Workers(1, tmp_path, world.path, [file]), console)

    first = workspace()
    assert tune(plan, first).winners.keys() == {"late_fusion"}
    first.workers.close()
    (search,) = plan.searches(folder)
    assert [search.record(number)["state"] for number in range(2)] == ["ok", "ok"]
    attempts = [json.loads(path.read_text()) for path in folder.rglob("interrupted-*.json")]
    assert [(attempt["number"], attempt["cause"]) for attempt in attempts] == [(0, "killed")] * 2
    assert search.spent > sum(attempt["seconds"] for attempt in attempts) > 0


def test_a_halted_search_begins_nothing_and_the_next_one_goes_on_there(tmp_path: Path) -> None:
    def search() -> Search:
        return Search(tmp_path, "early", {"k": (4, 8, 16)}, 3, seed=5, lag=2)

    halted = search()
    number, params = halted.next_trial()
    assert not halted.finished
    halted.halt(number, "its process ended with code -9")
    assert halted.finished
    assert halted.next_trial() is None
    assert halted.record(number) is None
    assert search().next_trial() == (number, params)
