"""A study killed with SIGKILL and started again ends as one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

STUDY = """
name: small
dataset: {synthetic: tour, seed: 3, train: 300, valid: 80, test: 120}
baseline: late_fusion
strategies: {early_fusion: {}, late_fusion: {}}
controls: false
seeds: [0, 1]
training: {epochs: 2, batch_rows: 512}
tuning: {trials: 3}
latency: {candidates: [10], decide_at: 10, rounds: 3}
"""


def command(folder: Path) -> list[str]:
    program = Path(sys.executable).with_name("fusefront")
    return [str(program), "run", str(folder / "small.yaml"), "--out", str(folder / "out")]


def start(folder: Path) -> subprocess.Popen[str]:
    """In a session of its own, so that a kill reaches the whole tree; its own host lock."""
    surroundings = {**os.environ, "FUSEFRONT_HOST_LOCK": str(folder / "lock")}
    return subprocess.Popen(
        command(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
        start_new_session=True,
    )


def finish(folder: Path) -> None:
    process = start(folder)
    _, error = process.communicate()
    assert process.returncode == 0, error


def prepare(folder: Path) -> Path:
    folder.mkdir()
    (folder / "small.yaml").write_text(STUDY, encoding="utf-8")
    return folder


def numbers(folder: Path) -> dict[str, tuple[float, list[float]]]:
    """Validation AUC and validation logits of every run, by run id."""
    by_run = {}
    for path in sorted((folder / "out" / "runs").glob("*/*/*/summary.json")):
        logits = pl.read_parquet(path.parent / "predictions" / "valid.parquet")["logit"].to_list()
        by_run[path.parent.name] = (json.loads(path.read_text())["valid_auc"], logits)
    return by_run


@pytest.mark.slow
@pytest.mark.parametrize("mode", [pytest.param("program", marks=pytest.mark.gate), "tree"])
def test_a_killed_study_ends_with_the_same_numbers(tmp_path: Path, mode: str) -> None:
    whole, cut = prepare(tmp_path / "whole"), prepare(tmp_path / "cut")
    finish(whole)
    expected = numbers(whole)
    assert len(expected) == 10  # two searches of three trials, two strategies at two seeds
    rng = random.Random(mode)
    for _ in range(4):
        process = start(cut)
        time.sleep(rng.uniform(4, 12))
        if mode == "tree":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()  # its workers end by themselves
        process.communicate()
    finish(cut)
    assert numbers(cut) == expected
    trials = sorted((cut / "out" / "studies" / "small" / "tuning").glob("*/trial-*.json"))
    assert len(trials) == 6
    before = {
        path: path.stat().st_mtime_ns for path in (cut / "out" / "runs").rglob("summary.json")
    }
    finish(cut)
    after = {path: path.stat().st_mtime_ns for path in (cut / "out" / "runs").rglob("summary.json")}
    assert after == before  # nothing is done twice
