"""`fusefront gc` shows what is for nothing, with sizes, and frees that alone, and only when
told."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fusefront.datasets.errors import PlaceError
from fusefront.datasets.locks import Wait, lock_file, locked
from fusefront.harness.cli.app import register
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.unneeded import at_work_file, free, size, unneeded, used


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study of one run, and one of everything that nobody needs."""
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for name in (".fusefront-init.tmp-1-dead", "fusefront-init-old", "fusefront-host.lock", "x"):
        (temporary / name).mkdir(parents=True)
    study = {
        "name": "shop",
        "dataset": {"synthetic": "tour", "seed": 1},
        "strategies": {"late_fusion": {}},
        "baseline": "late_fusion",
    }
    write(out / "studies" / "shop" / "study.yaml", study)
    cell = {"strategy": "late_fusion", "role": "strategy", "seed": 0, "run_id": "a" * 12}
    other = {"recipe": "epochs 2", "cells": [{**cell, "run_id": "9" * 12}]}
    matrix = {"dataset": "d", "fingerprint": "f", "store": "prepared/d/f", "cells": [cell]}
    matrix["sensitivity"] = [other]
    write(out / "studies" / "shop" / "matrix.json", matrix)
    trial = {"number": 0, "run_id": "b" * 12, "state": "ok", "value": 0.7}
    write(out / "studies" / "shop" / "tuning" / "late_fusion" / "trial-0000.json", trial)
    for run_id in ("9" * 12, "a" * 12, "b" * 12, "c" * 12):
        write(run(out, run_id) / "summary.json", {"run_id": run_id})
    write(run(out, "d" * 12) / "status.json", {"state": "running"})
    for fingerprint in ("f", "g"):
        write(out / "prepared" / "d" / fingerprint / "manifest.json", {})
        write(out / "frozen" / "d" / fingerprint / "key.safetensors", {})
    write(out / "frozen" / "e" / "f" / "key.safetensors", {})
    write(out / "data" / "tour-00000000" / "complete.json", {"spec": "dataset.yaml"})
    write(run(out, "a" * 12) / "model" / ".weights.safetensors.tmp-1-dead", {"half": "written"})
    write(out / "quarantine" / "20260501T100000Z" / "why.json", {"moved": []})
    write(lock_file(out, "run", "e" * 12), {})
    return out


def run(out: Path, run_id: str) -> Path:
    return out / "runs" / "d" / "late_fusion" / run_id


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


LEFT = {
    ("left by a killed process", ".weights.safetensors.tmp-1-dead"),
    ("lock of nobody", "run-" + "e" * 12),
    ("unfinished run", "d" * 12),
    ("left by a killed process", ".fusefront-init.tmp-1-dead"),
    ("left by a killed process", "fusefront-init-old"),
}
UNUSED = {
    ("run of no study", "c" * 12),
    ("store of no study", "g"),
    ("tables of no study", "g"),
    ("tables of no study", "f"),  # of data set "e"
    ("world of no study", "tour-00000000"),
    ("moved aside by verify", "20260501T100000Z"),
}


def test_what_nobody_needs_is_listed_with_its_size(out: Path) -> None:
    parts = unneeded(out)
    assert {(part.kind, part.path.name) for part in parts} == LEFT
    sizes = {part.kind: part.bytes for part in parts}
    assert sizes["unfinished run"] == len('{"state": "running"}')
    assert {(p.kind, p.path.name) for p in unneeded(out, unused=True)} == LEFT | UNUSED


def test_nothing_goes_without_yes_and_then_only_what_was_shown(out: Path) -> None:
    before = sorted(out.rglob("*"))
    program = CliRunner()
    shown = program.invoke(register(), ["gc", "--out", str(out)])
    assert shown.exit_code == 0
    assert shown.output.splitlines()[-1].startswith("5 to free, ")
    assert sorted(out.rglob("*")) == before
    freed = program.invoke(register(), ["gc", "--out", str(out), "--yes", "--json"])
    assert {(p["kind"], Path(p["path"]).name) for p in json.loads(freed.output)["parts"]} == LEFT
    assert unneeded(out) == []
    program.invoke(register(), ["gc", "--out", str(out), "--unused", "--yes"])
    assert unneeded(out, unused=True) == []
    runs = {path.name for path in (out / "runs" / "d" / "late_fusion").iterdir()}
    assert runs == {"9" * 12, "a" * 12, "b" * 12}
    left = {path.name for path in (out.parent / "temporary").iterdir()}
    assert left == {"fusefront-host.lock", "x"}
    assert (out / "prepared" / "d" / "f" / "manifest.json").exists()
    assert (out / "frozen" / "d" / "f" / "key.safetensors").exists()


def test_what_somebody_uses_is_neither_shown_nor_freed(out: Path) -> None:
    listed = unneeded(out, unused=True)
    with locked(lock_file(out, "run", "d" * 12), Wait("")):
        assert ("unfinished run", "d" * 12) not in {(p.kind, p.path.name) for p in unneeded(out)}
        freed = free(out, [part for part in listed if part.kind == "unfinished run"])
        assert freed == []
    with (
        locked(at_work_file(out), Wait(""), shared=True),
        pytest.raises(PlaceError, match="at work"),
    ):
        free(out, [part for part in listed if part.kind == "store of no study"])
    assert (out / "prepared" / "d" / "g").is_dir()


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        unneeded(tmp_path / "nowhere")


def test_a_world_of_a_study_stays(out: Path) -> None:
    (name,) = used(out).worlds
    shutil.move(out / "data" / "tour-00000000", out / "data" / name)
    assert "world of no study" not in {part.kind for part in unneeded(out, unused=True)}


def test_a_study_of_a_persons_files_needs_no_world(out: Path) -> None:
    text = {"name": "own", "dataset": "d.yaml", "strategies": {"x": {}}, "baseline": "x"}
    write(out / "studies" / "own" / "study.yaml", text)
    needs = used(out)
    assert len(needs.worlds) == 1  # of the other study
    assert needs.runs == {"9" * 12, "a" * 12, "b" * 12}
    assert needs.stores == {(out / "prepared" / "d" / "f").resolve()}


def test_a_size_is_that_of_all_files_and_a_link_is_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_bytes(b"x" * 700)
    (folder / "inner" / "b").write_bytes(b"x" * 41)
    assert (size(folder), size(folder / "a")) == (741, 700)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert size(link) == len(str(folder))
    (folder / "c").symlink_to(folder / "a")
    assert size(folder) == 741 + len(str(folder / "a"))
