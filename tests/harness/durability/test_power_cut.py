"""The power goes at any moment: no record looks complete that is not, and the same command mends
all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest
from disk import MODES, Journal, Recorder

from fusefront.datasets.integrity import whole_check
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.jobs.data_source import write_synthetic
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.jobs.verify import verify
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.files import write_once, write_text
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.study import Study, Synthetic
from fusefront.harness.training.run import find_record, run

PARTS = load_parts([])
STUDY = {
    "name": "small",
    "dataset": "world.yaml",
    "strategies": {"late_fusion": {"token_width": 8}},
    "baseline": "late_fusion",
    "seeds": [0],
    "controls": False,
    "training": {"epochs": 2, "batch_rows": 512},
}


def wrong(out: Path) -> list[str]:
    """What looks complete under an output folder and is not: a sentence each."""
    sentences = [
        damage.sentence
        for manifest in out.glob("prepared/*/*/manifest.json")
        if not manifest.parent.name.startswith(".")
        for damage in whole_check(manifest.parent)
    ]
    for summary in out.glob("runs/*/*/*/summary.json"):
        for checked in verify(str(summary.parent), out):
            sentences += checked.damaged
    for note in out.glob("data/[!.]*/complete.json"):
        sentences += _unreadable(note.parent)
    for path in [*out.glob("studies/*/*.json"), *out.glob("studies/*/tuning/*/[!.]*.json")]:
        sentences += _no_json(path)
    for bench in out.glob("studies/*/bench"):
        sentences += [f"{bench}: empty"] if not (bench / "bench.json").exists() else []
        sentences += _unreadable(bench)
    return sentences


def _no_json(path: Path) -> list[str]:
    try:
        json.loads(path.read_text())
    except ValueError:
        return [f"{path}: no JSON"]
    return []


def _unreadable(folder: Path) -> list[str]:
    broken = []
    for path in (p for p in folder.iterdir() if p.is_file()):
        try:
            if path.suffix == ".parquet":
                pl.read_parquet(path)
            elif path.suffix == ".npy":
                np.load(path)
            elif not path.read_bytes():
                broken.append(f"{path}: empty")
        except (ValueError, EOFError, pl.exceptions.PolarsError):
            broken.append(f"{path}: unreadable")
    return broken


def logits(run_folder: Path) -> dict[str, list[float]]:
    """What a run scored, by split."""
    return {
        path.stem: pl.read_parquet(path)["logit"].to_list()
        for path in sorted((run_folder / "predictions").glob("[!.]*.parquet"))
    }


@pytest.fixture
def cell(world: PreparedDataset) -> Cell:
    (only,) = make_plan(Study.model_validate(STUDY), world, PARTS).final({})
    return only


def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A recorder over tmp_path/out, installed until `monkeypatch.undo`."""
    (tmp_path / "out").mkdir()
    recorder = Recorder(tmp_path / "out", tmp_path / "journal")
    recorder.install(monkeypatch.setattr)
    return recorder


def test_a_run_that_looks_complete_is_after_any_power_cut(
    cell: Cell, world: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    record(tmp_path, monkeypatch)
    whole = run(cell, out, world, PARTS)
    monkeypatch.undo()
    journal = Journal(out, tmp_path / "journal")
    moments = range(len(journal.events) + 1)
    assert len(moments) > 40
    complete = 0
    drawn = set(Random(0).sample(moments, 2))
    for moment in moments:
        for mode in MODES:
            cut = tmp_path / "cut"
            journal.lost(moment, mode, cut)
            assert wrong(cut) == [], f"event {moment} of {len(moments)}, {mode}"
            complete += find_record(cell, cut) is not None
            if moment in drawn and mode == "names kept":
                again = run(cell, cut, world, PARTS)
                assert logits(again.path) == logits(whole.path)
                assert wrong(cut) == []
            shutil.rmtree(cut)
    assert 0 < complete < len(moments) * len(MODES) / 2  # the record comes last
    journal.lost(len(journal.events), "names lost", tmp_path / "end")
    assert find_record(cell, tmp_path / "end") is not None  # and what is reported has stayed


def test_a_world_and_its_store_are_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    record(tmp_path, monkeypatch)
    spec = write_synthetic(Synthetic(synthetic="tour", seed=3, train=40, valid=20, test=20), out)
    store = prepare(load_spec(spec), spec.parent, out)
    monkeypatch.undo()
    journal = Journal(out, tmp_path / "journal")
    step = max(1, len(journal.events) // 40)
    for moment in range(0, len(journal.events) + 1, step):
        for mode in MODES:
            cut = tmp_path / "cut"
            journal.lost(moment, mode, cut)
            assert wrong(cut) == [], f"event {moment} of {len(journal.events)}, {mode}"
            shutil.rmtree(cut)
    journal.lost(len(journal.events), "names lost", tmp_path / "end")
    assert (tmp_path / "end" / store.path.relative_to(out) / "manifest.json").exists()


@pytest.mark.parametrize("write", [write_text, write_once])
def test_a_record_is_the_old_one_or_the_new_one(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    record(tmp_path, monkeypatch)
    for value in ("first", "second"):
        write(out / "a" / "record.json", value)
    monkeypatch.undo()
    journal = Journal(out, tmp_path / "journal")
    contents = set()
    for moment in range(len(journal.events) + 1):
        for mode in MODES:
            cut = tmp_path / "cut"
            journal.lost(moment, mode, cut)
            path = cut / "a" / "record.json"
            contents.add(path.read_text().strip('"\n') if path.exists() else None)
            shutil.rmtree(cut)
    assert contents == ({None, "first", "second"} if write is write_text else {None, "first"})


def test_a_writer_that_does_not_sync_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test layer itself: a rename without an fsync may leave an empty record."""
    out = tmp_path / "out"
    record(tmp_path, monkeypatch)
    (out / "beside").write_text("content")
    (out / "beside").replace(out / "record.json")
    os.mkdir(out / "later")
    monkeypatch.undo()
    journal = Journal(out, tmp_path / "journal")
    journal.lost(len(journal.events), "names kept", tmp_path / "cut")
    assert (tmp_path / "cut" / "record.json").read_text() == ""
    journal.lost(len(journal.events), "names lost", tmp_path / "lost")
    assert list((tmp_path / "lost").iterdir()) == []


WHOLE = """
name: small
dataset: {synthetic: tour, seed: 3, train: 200, valid: 60, test: 80}
baseline: late_fusion
strategies: {early_fusion: {}, late_fusion: {}}
controls: false
seeds: [0]
training: {epochs: 1, batch_rows: 512}
tuning: {trials: 2}
latency: {candidates: [10], decide_at: 10, rounds: 3}
"""
START = """
import os
from pathlib import Path
from disk import Recorder
Recorder(Path(os.environ["CUT_ROOT"]), Path(os.environ["CUT_JOURNAL"])).install()
"""
RERUNS = 6


def fusefront_run(folder: Path, out: Path, **more: str) -> None:
    """`fusefront run` of the small study, with its own host lock."""
    program = Path(sys.executable).with_name("fusefront")
    words = [str(program), "run", str(folder / "small.yaml"), "--out", str(out), "--no-wandb"]
    process = subprocess.run(
        [*words, "--jobs", "1"],
        env={**os.environ, "FUSEFRONT_HOST_LOCK": str(folder / "lock"), **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def outcome(out: Path) -> dict[str, object]:
    """What a study came to, without times: scores of every run, trials, winners, comparison."""
    runs = {path.parent.name: logits(path.parent) for path in out.glob("runs/*/*/*/summary.json")}
    records = {}
    for path in sorted((out / "studies" / "small").glob("tuning/*/[!.]*.json")):
        value = json.loads(path.read_text())
        records[f"{path.parent.name}/{path.name}"] = {
            key: part for key, part in value.items() if key not in ("seconds", "evidence")
        }
    comparison = json.loads((out / "studies" / "small" / "comparison.json").read_text())
    return {"runs": runs, "records": records, "comparison": comparison["strategies"]}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_study_survives_a_power_cut_at_every_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every moment is looked at in three ways; the whole command is repeated at six drawn ones."""
    out, journal_folder, start = tmp_path / "out", tmp_path / "journal", tmp_path / "start"
    (tmp_path / "small.yaml").write_text(WHOLE)
    start.mkdir()
    out.mkdir()
    shutil.copy(Path(__file__).with_name("disk.py"), start)
    (start / "sitecustomize.py").write_text(START)
    paths = {"CUT_ROOT": str(out), "CUT_JOURNAL": str(journal_folder), "PYTHONPATH": str(start)}
    fusefront_run(tmp_path, out, **paths)
    whole, journal = outcome(out), Journal(out, journal_folder)
    states = list(journal.states())
    drawn = Random(1).sample(states, RERUNS)
    for moment, mode in states:
        cut = tmp_path / "cut"
        journal.lost(moment, mode, cut)
        assert wrong(cut) == [], f"event {moment} of {len(journal.events)}, {mode}"
        if (moment, mode) in drawn:
            fusefront_run(tmp_path, cut)
            assert outcome(cut) == whole
            assert wrong(cut) == []
        shutil.rmtree(cut)
    with capsys.disabled():
        print(f"\n{len(journal.events)} events, {len(states)} different folders, {RERUNS} reruns")
