import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from sklearn.metrics import roc_auc_score
from typer.main import get_command

from fusefront.harness.cli.app import VERBS
from fusefront.harness.cli.main import main
from fusefront.harness.dossier.decide import DecisionOptions, decide_study, report_study
from fusefront.harness.jobs.data_source import Origin, note_origin
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.harness.serving.latency.lock import measuring_lock
from fusefront.reports.provenance import cell
from fusefront.reports.words.phrase import Language

Make = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path, make_study: Make, strategy: type) -> StudyFolder:
    strategies = {
        "today": strategy(0.8, 2.0, family="late"),
        "pca64": strategy(0.3, 4.0),
        "<script>alert(1)": strategy(1.0, 1.0, family="early"),
        "qin": strategy(0.0, 9.0, family="published"),
    }
    make_study(tmp_path, strategies, baseline="today", requests=600, seed_noise=0.005)
    return find_study("planted", tmp_path)


def recorded(study: StudyFolder) -> dict[str, object]:
    record = json.loads((study.path / "decision.json").read_text())
    return {**record["decision"], "evidence": record["evidence"]}


def test_a_report_makes_comparison_and_decision_that_are_missing(
    study: StudyFolder, tmp_path: Path
) -> None:
    page = report_study(study, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "pca64" in text
    assert "<script>alert(1)" not in text
    assert recorded(study)["choice"] == "pca64"
    assert (tmp_path / "report" / "provenance.json").exists()
    looks = (study.path / "opened.jsonl").read_text().splitlines()
    assert [json.loads(line)["purpose"] for line in looks] == ["compare", "replay"]


def test_a_second_report_has_equal_bytes_and_opens_nothing(
    study: StudyFolder, tmp_path: Path
) -> None:
    first = report_study(study, tmp_path / "one").read_bytes()
    looks = (study.path / "opened.jsonl").read_bytes()
    record = (study.path / "decision.json").read_bytes()
    assert report_study(study, tmp_path / "two").read_bytes() == first
    assert (study.path / "opened.jsonl").read_bytes() == looks
    assert (study.path / "decision.json").read_bytes() == record


def test_a_report_keeps_the_recorded_limit_margin_and_owner(
    study: StudyFolder, tmp_path: Path
) -> None:
    decide_study(study, DecisionOptions(slo_ms=14.0, margin=0.004, owner="Ana"))
    report_study(study, tmp_path / "report")
    decision = recorded(study)
    assert (decision["slo_ms"], decision["margin"], decision["owner"]) == (14.0, 0.004, "Ana")
    assert decision["choice"] == "qin"


def test_a_what_if_says_so_first_and_never_replaces_the_recorded_page(
    study: StudyFolder, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    page = report_study(study, out)
    recorded_page, before = page.read_bytes(), (study.path / "decision.json").read_bytes()
    first: dict[Language, str] = {"en": "What if the limit were 14", "ja": "上限が"}
    for language, begins in first.items():
        supposed = report_study(study, out, slo_ms=14.0, language=language)
        own = out / "what-if-14-ms"
        assert supposed == (own if language == "en" else own / language) / "index.html"
        shown = json.loads((supposed.parent / "evidence.json").read_text())["decision"]
        assert (shown["slo_ms"], shown["choice"]) == (14.0, "qin")
        assert shown["recorded_slo_ms"] == 10.0
        text = supposed.read_text(encoding="utf-8")
        (headline,) = re.findall("<h1[^>]*>(.*?)</h1>", text)
        assert headline.startswith(begins), headline
        assert f"<title>planted: {begins}" in text
        assert 'class="supposed"' in text
    assert page.read_bytes() == recorded_page
    assert b'class="supposed"' not in recorded_page
    assert (study.path / "decision.json").read_bytes() == before


def test_a_what_if_of_a_study_without_a_decision_records_that_first(
    study: StudyFolder, tmp_path: Path
) -> None:
    page = report_study(study, tmp_path / "report", slo_ms=14.0)
    assert page.parent.name == "what-if-14-ms"
    assert recorded(study)["slo_ms"] == 10.0
    assert not (tmp_path / "report" / "index.html").exists()


def test_every_command_on_the_page_is_one_that_the_program_takes(
    study: StudyFolder, tmp_path: Path
) -> None:
    """Each is read by the program itself; tests/test_printed_commands.py runs them."""
    note_origin(study.path, Origin(tmp_path / "planted.yaml", tmp_path / "planted.yaml", None))
    text = report_study(study, tmp_path / "report").read_text(encoding="utf-8")
    commands = printed_commands(text)
    assert {words[1] for words in commands} >= {"run", "report", "ablate", "robustness"}
    for words in commands:
        module = import_module(f"fusefront.harness.cli.{VERBS[words[1]]}")
        alone = typer.Typer()
        alone.command()(getattr(module, words[1]))
        command = get_command(alone)
        context = command.make_context(words[1], words[2:])
        place = context.params.get("store") or context.params.get("out")
        assert place is not None, words
        assert Path(place) == study.root, words  # older ones of click leave it a str
        assert str(context.params["study"]) == "planted", words


def printed_commands(page: str) -> list[list[str]]:
    """Every command of ours that stands as code on a page."""
    blocks = re.findall(r"<(?:code|pre)[^>]*>(.*?)</(?:code|pre)>", page, re.DOTALL)
    lines = [line for block in blocks for line in unescape(block).splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("fusefront ")]


def test_a_new_bench_makes_the_decision_again(
    study: StudyFolder, tmp_path: Path, make_bench: Callable[..., None]
) -> None:
    decide_study(study, DecisionOptions(owner="Ana"))
    before = recorded(study)
    make_bench(study.path, {"today": 2.0, "pca64": 4.0, "qin": 5.0})
    report_study(study, tmp_path / "report")
    after = recorded(study)
    assert (before["choice"], after["choice"], after["owner"]) == ("pca64", "qin", "Ana")
    assert before["evidence"] != after["evidence"]


def test_a_refused_decision_still_has_a_report(study: StudyFolder, tmp_path: Path) -> None:
    (study.path / "bench" / "bench.json").unlink()
    page = report_study(study, tmp_path / "report", language="ja")
    assert page == tmp_path / "report" / "ja" / "index.html"
    assert recorded(study)["case"] == "thin"
    assert "まだ" in page.read_text(encoding="utf-8")


def test_two_languages_and_other_files_lie_beside_each_other(
    study: StudyFolder, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    english = report_study(study, out)
    (out / "notes.txt").write_text("mine")
    (out / "report.pdf").write_text("of earlier evidence")
    (out / ".report.tmp-1-dead").mkdir()  # left by a killed process
    before = english.read_bytes()
    japanese = report_study(study, out, language="ja")
    linked, other = english.read_text("utf-8"), japanese.read_text("utf-8")
    assert '<a href="ja/index.html" hreflang="ja" lang="ja">日本語</a>' in linked
    assert '<a href="../index.html" hreflang="en" lang="en">English</a>' in other
    assert b"hreflang" not in before  # a link to nothing
    assert re.findall("<h1.*?</h1>", linked) == re.findall("<h1.*?</h1>", before.decode())
    assert (out / "report.pdf").exists()  # of the same evidence
    report_study(study, out)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "index.html",
        "figures",
        "tables",
        "evidence.json",
        "provenance.json",
        "ja",
        "notes.txt",
    }
    assert {path.name for path in (out / "ja").iterdir()} == names - {"ja", "notes.txt"}


WITHOUT_TORCH = """
import sys
from pathlib import Path
from fusefront.harness.cli.report import report
report("planted", Path(sys.argv[1]) / "report", Path(sys.argv[1]), "en", False, None, True)
"""


def test_report_never_imports_torch(study: StudyFolder, tmp_path: Path) -> None:
    for name in ("torch", "pytorch_lightning", "optuna", "onnxruntime"):
        package = tmp_path / "blocked" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    blocked = {"PYTHONPATH": str(tmp_path / "blocked"), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(study.root)],
        capture_output=True,
        text=True,
        env={**os.environ, **blocked},
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert Path(json.loads(process.stdout)["report"]).exists()


def test_a_cell_is_recomputed_from_the_files_that_provenance_names(
    study: StudyFolder, tmp_path: Path
) -> None:
    out = report_study(study, tmp_path / "report").parent
    record = json.loads((out / "provenance.json").read_text())
    table = pl.read_csv(out / "tables" / "leaderboard.csv")
    for row in range(len(table)):
        if table["gain"][row] is None:
            continue
        origin = cell(record, "leaderboard", row, "gain")
        assert origin.in_runs == ("predictions/test.parquet",)
        mine, theirs = _auc(study, record, origin.runs), _auc(study, record, origin.against)
        assert table["gain"][row] == pytest.approx(mine - theirs, abs=1e-9)
        own = cell(record, "leaderboard", row, "auc")
        assert own.against == {}
        assert table["auc"][row] == pytest.approx(mine, abs=1e-9)
        for name, digest in origin.files.items():
            assert hashlib.sha256((study.path / name).read_bytes()).hexdigest() == digest


def _auc(study: StudyFolder, record: dict[str, dict[str, dict]], runs: dict[str, str]) -> float:
    """Mean AUC of runs, by scikit-learn, of prediction files that are the recorded ones."""
    values = []
    for run, folder in runs.items():
        path = study.root / folder / "predictions" / "test.parquet"
        digest = record["runs"][run]["predictions/test.parquet"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
        frame = pl.read_parquet(path, glob=False)
        values.append(roc_auc_score(frame["label"], frame["logit"]))
    return float(np.mean(values))


def test_a_latency_cell_is_read_from_the_bench_that_provenance_names(
    study: StudyFolder, tmp_path: Path
) -> None:
    out = report_study(study, tmp_path / "report").parent
    record = json.loads((out / "provenance.json").read_text())
    table = pl.read_csv(out / "tables" / "cost.csv")
    row = table["strategy"].to_list().index("pca64")
    (name,) = cell(record, "cost", row, "p99_ms").files
    rows = json.loads((study.path / name).read_text())["rows"]
    (timed,) = (
        entry
        for entry in rows
        if (entry["strategy"], entry["scope"], entry["candidates"]) == ("pca64", "end_to_end", 100)
    )
    assert table["p99_ms"][row] == timed["p99_ms"]


def ended(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["fusefront", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_reading_verbs_wait_for_no_lock(
    study: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEFRONT_LOCK_WAIT_S", "0")
    root = str(tmp_path)
    with measuring_lock():
        assert ended(monkeypatch, "compare", study.name, "--out", root) == 0
        assert ended(monkeypatch, "decide", study.name, "--out", root) == 0
        page = ("--store", root, "--out", str(tmp_path / "report"))
        assert ended(monkeypatch, "report", study.name, *page) == 0


def test_what_the_machine_lacks_for_a_report_is_said_without_a_traceback(
    study: StudyFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "taken"
    file.write_text("")
    report = ("report", study.name, "--store", str(tmp_path), "--out")
    folder = str(tmp_path / "made")
    assert ended(monkeypatch, *report, str(file)) == 2
    assert capsys.readouterr().err == (
        f"fusefront: got {str(file)!r}: file exists; expected a path that can be used, give "
        "another\n"
    )
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    assert ended(monkeypatch, *report, folder, "--pdf") == 2
    line = capsys.readouterr().err
    assert line.startswith("fusefront: a PDF needs weasyprint, which cannot be loaded")
    assert line.count("\n") == 1
    assert (tmp_path / "made" / "index.html").exists()


def test_a_package_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxruntime.capi'", name="onnxruntime.capi")

    monkeypatch.setattr("fusefront.harness.runs.store.find_study", absent)
    assert ended(monkeypatch, "report", "any") == 2
    assert capsys.readouterr().err == (
        "fusefront: package 'onnxruntime' is not there, expected for this command; pip install it\n"
    )
