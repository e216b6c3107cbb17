"""Every write fails once for want of space: a sentence, and the same command goes on."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from fusefront.datasets.durable import replacing, replacing_folder, write_bytes
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.files import write_once
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.study import Study
from fusefront.harness.training.run import find_record, run

PARTS = load_parts([])
STUDY = {
    "name": "small",
    "dataset": "world.yaml",
    "strategies": {"late_fusion": {"token_width": 8}},
    "baseline": "late_fusion",
    "seeds": [0],
    "controls": False,
    "training": {"epochs": 1, "batch_rows": 512},
}


@pytest.fixture
def cell(world: PreparedDataset) -> Cell:
    (only,) = make_plan(Study.model_validate(STUDY), world, PARTS).final({})
    return only


class NoSpaceError(OSError):
    """What `Refused` raises."""


class Refused:
    """The n-th sync, rename, link or new folder under a root fails for want of space."""

    def __init__(self, root: Path, at: int, patch: pytest.MonkeyPatch) -> None:
        self.root, self.left = str(root), at
        for name in ("fsync", "rename", "replace", "link", "mkdir"):
            patch.setattr(os, name, self._before(getattr(os, name)))

    def _before(self, call):
        def counted(place, *arguments, **options):
            path = os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else place
            if str(path).startswith(self.root):
                self.left -= 1
                if self.left == 0:
                    raise NoSpaceError(errno.ENOSPC, "No space left on device", str(path))
            return call(place, *arguments, **options)

        return counted


def scores(path: Path) -> list[float]:
    return pl.read_parquet(path / "predictions" / "test.parquet")["logit"].to_list()


def test_a_run_that_met_a_full_disk_is_trained_as_if_it_had_not(
    cell: Cell, world: PreparedDataset, tmp_path: Path
) -> None:
    whole = scores(run(cell, tmp_path / "whole", world, PARTS).path)
    failed = 0
    for at in (1, 4, 9, 14, 18, 23, 29, 10_000):
        root = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            disk = Refused(root, at, patch)
            try:
                run(cell, root, world, PARTS)
            except NoSpaceError:
                failed += 1
        record = find_record(cell, root)
        assert (record is None) or disk.left <= 0 or at == 10_000
        assert scores(run(cell, root, world, PARTS).path) == whole
        assert not [path for path in root.rglob("*") if ".tmp-" in path.name]
    assert failed > 4


@pytest.mark.parametrize("at", range(1, 8))
def test_a_full_disk_leaves_the_old_record_or_the_new_one(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes(tmp_path / "out" / "a", b"old")
    for write in (_file, _folder, _once):
        with pytest.MonkeyPatch.context() as patch:
            Refused(tmp_path / "out", at, patch)
            with contextlib.suppress(NoSpaceError):
                write(tmp_path / "out")
        assert (tmp_path / "out" / "a").read_bytes() in (b"old", b"new")
        folder = tmp_path / "out" / "f"
        assert not folder.exists() or (folder / "x").read_bytes() == b"new"
        assert not [path for path in tmp_path.rglob("*") if ".tmp-" in path.name]
        write(tmp_path / "out")  # there is room again


def _file(out: Path) -> None:
    with replacing(out / "a") as written:
        written.write_bytes(b"new")


def _folder(out: Path) -> None:
    with replacing_folder(out / "f") as written:
        (written / "x").write_bytes(b"new")


def _once(out: Path) -> None:
    write_once(out / "o", {"new": 1})


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_write_of_a_study_fails_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fill_disk.py")), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    with capsys.disabled():
        print(f"\n{ended.stdout.strip()}")
