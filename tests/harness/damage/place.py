"""The folder that is damaged: how it is made, how a verb is called in it, how it is put right
again."""

import contextlib
import io
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
import yaml
from verbs import Commands

from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.cli.app import app
from fusefront.harness.cli.main import main
from fusefront.harness.runs.store import find_study

STUDY = {
    "name": "shop",
    "dataset": "data/dataset.yaml",
    "strategies": {
        "popularity": {"tune": False},
        "late_fusion": {"token_width": 8, "space": {"training.learning_rate": [0.01, 0.02]}},
        "nested": {
            "baseline": "compressed_fusion",
            "compressor": {"name": "matryoshka", "k": 8},
            "tune": False,
        },
        "own": {"baseline": "early_fusion", "operator": {"name": "largest"}, "tune": False},
    },
    "baseline": "popularity",
    "seeds": [0, 1],
    "controls": False,
    "training": {"epochs": 1, "batch_rows": 512},
    "tuning": {"trials": 1, "space": {}},
    "latency": {"candidates": [1, 4], "decide_at": 4, "rounds": 3},
    "slo_ms": 1000.0,
}
OTHER = """
name: csv_shop
interactions: {path: log.csv}
columns: {user: user_id, item: item_id, label: label, timestamp: timestamp}
history: {from: log, max_length: 5}
candidate_fields: [{column: d}, {column: n, type: number}]
items: {path: items.csv, key: item_id, fields: [{column: g}]}
modalities: {text: {path: text.npy}}
split: {by: time, valid: 0.2, test: 0.2}
"""
SMALL = {"train": 120, "valid": 40, "test": 60, "warm": 300, "cold": 60}
OWN = '''from typing import ClassVar

from torch import Tensor

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import lowest, one_token


class Largest(FusionOperator):
    """The largest of the slots, number by number."""

    name: ClassVar[str] = "largest"

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        return one_token(lowest(x, present).amax(-2), present)
'''


class Ended(NamedTuple):
    """How a verb ended: exit code, what it wrote, and its traceback, empty where there is none."""

    code: int
    text: str
    traceback: str


def call(words: list[str]) -> Ended:
    """Run a verb here as the program does."""
    app.registered_commands.clear()
    written = io.StringIO()
    code, broken = 0, ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fusefront", *words])
        try:
            with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
                main()
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            code, broken = 1, traceback.format_exc()
    return Ended(code, written.getvalue(), broken)


class Place:
    """A filled folder: a verb is called in it, then every file that changed is put back."""

    def __init__(self, root: Path) -> None:
        self.root, self.saved = root, root.with_name(f"{root.name}-saved")
        shutil.copytree(root, self.saved, symlinks=True)
        self.commands = Commands(root)
        self._before = _states(root)

    def call(self, verb: str) -> Ended:
        """How a verb of `verbs.VERBS` ends here."""
        shutil.rmtree(self.commands.scratch, ignore_errors=True)  # of a test that was stopped
        self.commands.scratch.mkdir()
        return call(self.commands.of(verb))

    def restore(self) -> None:
        """Every file as it was; what is new is gone."""
        now = _states(self.root)
        for name in sorted((n for n in now if now[n] != self._before.get(n)), reverse=True):
            _remove(self.root / name)
        for name in sorted(n for n in self._before if now.get(n) != self._before[n]):
            if self._before[n := name].isdir:
                (self.root / n).mkdir(exist_ok=True)
            else:
                shutil.copy2(self.saved / n, self.root / n)


class FileState(NamedTuple):
    """What tells whether a file is as it was."""

    isdir: bool
    size: int
    changed: int


def _states(root: Path) -> dict[str, FileState]:
    """Every file and folder under a folder."""
    states = {}
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                isdir = entry.is_dir(follow_symlinks=False)
                stat = entry.stat(follow_symlinks=False)
                name = os.path.relpath(entry.path, root)
                states[name] = (
                    FileState(isdir, 0, 0)
                    if isdir
                    else FileState(isdir, stat.st_size, stat.st_mtime_ns)
                )
                if isdir:
                    folders.append(entry.path)
    return states


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fill(root: Path) -> None:
    """Everything that verbs read, made by the verbs."""
    write_world("tour", root / "data", seed=1, timestamps=True, **SMALL)
    (root / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    _csv_shop(root / "csv")
    (root / "own").mkdir()
    (root / "own" / "largest.py").write_text(OWN)
    study, out = str(root / "study.yaml"), root / "out"
    own, quick = ["--include-path", str(root / "own")], ["--jobs", "1", "--no-wandb"]
    for words in (
        ["run", study, *own, *quick],
        ["ablate", study, "--of", "late_fusion", *own, *quick],
        ["robustness", "shop", "--strategy", "late_fusion", "--share", "1"],
        ["decide", "shop"],
    ):
        ended = call([*words, "--out", str(out)])
        assert not ended.traceback, ended.traceback
        assert ended.code in (0, 4), ended.text
    run = next(e for e in find_study("shop", out).completed() if e.strategy == "late_fusion")
    ended = call(["export", run.run_id, "--to", str(root / "bundle"), "--out", str(out)])
    assert ended.code == 0, ended.text + ended.traceback
    log = pl.read_parquet(root / "data" / "interactions.parquet")
    log.head(20).write_parquet(root / "rows.parquet")


def _csv_shop(folder: Path) -> None:
    folder.mkdir()
    (folder / "shop.yaml").write_text(OTHER)
    rows = [
        f"u{k % 7},{100 + k * 5 % 6},{int(k % 3 == 0)},{1000 + k},{'ab'[k % 2]},{k % 10}.5"
        for k in range(60)
    ]
    (folder / "log.csv").write_text(
        "user_id,item_id,label,timestamp,d,n\n" + "\n".join(rows) + "\n"
    )
    (folder / "items.csv").write_text(
        "item_id,g\n" + "".join(f"{100 + k},{'xyz'[k % 3]}\n" for k in range(6))
    )
    np.save(folder / "text.npy", np.arange(1, 19, dtype=np.float32).reshape(6, 3))
