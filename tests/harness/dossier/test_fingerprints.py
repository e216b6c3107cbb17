"""Runs on data of different fingerprints are not compared: one sentence, exit code 3."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from fusefront.harness.cli.main import main


def refused(capsys: pytest.CaptureFixture[str], monkeypatch, *words: str | Path) -> str:
    """The one line that the command line answers with."""
    monkeypatch.setattr(sys, "argv", ["fusefront", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 3
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_a_run_on_other_data_is_refused(study, capsys, monkeypatch) -> None:
    entry = study.completed()[-1]
    path = entry.path / "summary.json"
    path.write_text(json.dumps({**entry.summary, "fingerprint": "another"}))
    line = refused(capsys, monkeypatch, "compare", "demo", "--out", study.root)
    assert f"{entry.strategy} seed {entry.seed} was trained on data another" in line
    assert "runs of different fingerprints are not compared" in line
    assert not (study.path / "comparison.json").exists()
    path.write_text(json.dumps({**entry.summary, "fingerprint": study.matrix()["fingerprint"]}))
    monkeypatch.setattr(sys, "argv", ["fusefront", "compare", "demo", "--out", str(study.root)])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code  # the study's own fingerprint is fine
    assert (study.path / "comparison.json").exists()


def test_a_study_on_other_data_is_no_second_tuning(study, capsys, monkeypatch) -> None:
    other = study.path.with_name("again")
    shutil.copytree(study.path, other)
    for name in ("study.yaml", "matrix.json"):
        text = (other / name).read_text().replace("name: demo", "name: again")
        (other / name).write_text(text.replace("f" * 12, "e" * 12))
    words = ("compare", "demo", "--tuned-again", "again", "--out", study.root)
    line = refused(capsys, monkeypatch, *words)
    assert f"different data (demo {'f' * 12}, again {'e' * 12})" in line
