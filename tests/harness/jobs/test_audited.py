"""A large store is audited by a process of its own, with the same result."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from fusefront.datasets.audit.report import audit
from fusefront.datasets.errors import DataContractError, PlaceError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.jobs import audited as module
from fusefront.harness.jobs.audited import audited


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch, world: PreparedDataset) -> list[int]:
    """The processes that were started; the world's rows are just enough for one."""
    rows = sum(part.rows for part in world.manifest.counts.values())
    monkeypatch.setattr(module, "APART", rows)
    started: list[int] = []

    def start(process: multiprocessing.process.BaseProcess) -> None:
        process.start()
        assert process.pid
        started.append(process.pid)

    monkeypatch.setattr(module, "start", start)
    return started


def test_a_process_of_its_own_finds_the_same(apart: list[int], world: PreparedDataset) -> None:
    report = audited(world)
    assert len(apart) == 1
    assert not Path(f"/proc/{apart[0]}").exists()  # it has ended, and its memory is free
    assert report.to_json() == audit(world).to_json()


def test_a_smaller_store_is_audited_here(
    apart: list[int], world: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "APART", module.APART + 1)
    assert audited(world) == audit(world)
    assert apart == []


def test_what_it_raises_is_raised_here(
    apart: list[int], world: PreparedDataset, tmp_path: Path
) -> None:
    copy = tmp_path / "store"
    shutil.copytree(world.path, copy)
    labels = np.load(copy / "train" / "row" / "label.npy")
    labels[3] = 7
    np.save(copy / "train" / "row" / "label.npy", labels)
    with pytest.raises(DataContractError, match=r"label"):
        audited(PreparedDataset.open(copy))


def test_a_killed_audit_is_said_with_what_to_do(
    apart: list[int], world: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(process: multiprocessing.process.BaseProcess) -> None:
        process.start()
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(module, "start", start)
    with pytest.raises(PlaceError, match=r"ended with code -9 before .* free memory and run"):
        audited(world)
