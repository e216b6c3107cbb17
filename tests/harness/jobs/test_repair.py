"""`verify --repair`: what is broken lies aside, and the same commands make it again as it was."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fusefront.datasets.errors import PlaceError
from fusefront.datasets.locks import LIMIT, Wait, lock_file, locked
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.cli.app import register
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.jobs import repair as repair_module
from fusefront.harness.jobs import repair as repairs
from fusefront.harness.jobs.checked import RecordDamage, Verification
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.jobs.repair import repair
from fusefront.harness.jobs.verify import verify
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs import chain
from fusefront.harness.runs.seal import UNKNOWN_LOOKS, openings
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.unneeded import at_work_file
from fusefront.harness.training.run import run


def content(out: Path) -> dict[str, bytes]:
    """Every file that a study leaves and that no clock is in."""
    timed = {"status.json", "environment.json", ".lock", ".verified.json", "opened.jsonl"}
    timed |= {"opened.jsonl.head.json"}
    return {
        path.relative_to(out).as_posix(): _without_clock(path)
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and path.name not in timed
        and path.relative_to(out).parts[0] != "quarantine"
    }


def _without_clock(path: Path) -> bytes:
    """The bytes, of a run's summary and epochs without speeds and process."""
    if path.name not in ("summary.json", "metrics.jsonl"):
        return path.read_bytes()
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    clocks = ("seconds", "rows_per_second", "host_pid")
    remaining = [{k: v for k, v in json.loads(line).items() if k not in clocks} for line in lines]
    for record in remaining:
        record.get("sha256", {}).pop("metrics.jsonl", None)  # the epochs hold clocks
    return json.dumps(remaining).encode()


def study_again(study: StudyFolder, store: Callable[[], None]) -> None:
    """What the study's command does for the small study: store, missing runs, comparison."""
    store()
    parts = load_parts([])
    prepared = PreparedDataset.open(study.store_path)
    for cell in make_plan(study.spec, prepared, parts).final({}):
        run(cell, study.root, prepared, parts)
    compare_study(study)


def test_the_study_is_afterwards_as_it_was(trained_study: StudyFolder, tmp_path: Path) -> None:
    study = trained_study
    saved = tmp_path / "saved"
    shutil.copytree(study.store_path, saved)
    before = content(study.root)
    late = next(entry.path for entry in study.completed() if entry.strategy == "late_fusion")
    today = next(entry.path for entry in study.completed() if entry.strategy == "popularity")
    weights = bytearray((late / "model" / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (late / "model" / "weights.safetensors").write_bytes(weights)
    (today / "summary.json").write_bytes(b"")
    (study.path / "comparison.json").write_text("{")
    (study.store_path / "test" / "row" / "label.npy").write_bytes(b"x")
    moved = repair(verify("shop", study.root), study.root)
    assert {first.path for first in moved} == {
        late,
        today,
        study.path / "comparison.json",
        study.store_path,
    }
    (target,) = (study.root / "quarantine").iterdir()
    assert (
        target / late.relative_to(study.root) / "model" / "weights.safetensors"
    ).read_bytes() == (bytes(weights))
    reasons = {
        first["from"]: first["reasons"]
        for first in json.loads((target / "why.json").read_text())["moved"]
    }
    assert "its SHA-256 differs" in reasons[str(late)][0]
    study_again(study, lambda: shutil.copytree(saved, study.store_path) and None)
    assert content(study.root) == before
    assert not any(first.damages for first in verify("shop", study.root))


def test_without_damage_nothing_is_moved(trained_study: StudyFolder) -> None:
    assert repair(verify(None, trained_study.root), trained_study.root) == []
    assert not (trained_study.root / "quarantine").exists()


def test_a_newer_format_is_no_damage_that_is_moved(
    trained_study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trained_study.path / "decision.json"
    path.write_text('{"format": 2}')
    words = ["verify", "shop", "--repair", "--out", str(trained_study.root)]
    assert register()(words, standalone_mode=False) == 3
    assert "use the version of fusefront that wrote it" in capsys.readouterr().err
    assert path.exists()


def test_the_verb_says_where_things_lie_and_ends_with_0(
    trained_study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trained_study.path / "matrix.json"
    path.write_text("[]")
    words = ["verify", "--repair", "--out", str(trained_study.root)]
    assert not register()(words, standalone_mode=False)
    printed = capsys.readouterr()
    assert f"{path}: the whole: " in printed.err
    assert f"moved {path} to {trained_study.root}/quarantine/" in printed.out
    assert not path.exists()


def test_a_trial_is_made_again_with_its_run_and_the_winner_with_it(
    trained_study: StudyFolder,
) -> None:
    late = next(e for e in trained_study.completed() if e.strategy == "late_fusion")
    tuning = trained_study.path / "tuning" / "late_fusion"
    tuning.mkdir(parents=True)
    trial = {"format": 1, "number": 0, "state": "ok", "value": 0.5, "run_id": late.run_id}
    (tuning / "trial-0000.json").write_text(json.dumps(trial))
    (tuning / "trial-0001.json").write_text(json.dumps({**trial, "number": 1, "run_id": "x"}))
    (tuning / "claim-0000.json").write_text('{"params": {}}')
    winner = {"strategy": "late_fusion", "number": 0, "params": {}, "valid_auc": 0.5, "trials": 2}
    (tuning / "winner-2.json").write_text(json.dumps({**winner, "seconds": 1.0, "evidence": "x"}))
    (late.path / "summary.json").write_text("null")
    moved = repair(verify("shop", trained_study.root), trained_study.root)
    assert {first.path for first in moved} == {
        late.path,
        tuning / "trial-0000.json",
        tuning / "winner-2.json",
    }


@pytest.mark.parametrize("kind", ["folder", "run", "store", "study"])
def test_whoever_is_at_work_is_waited_for_and_named(
    trained_study: StudyFolder, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trained_study.root
    late = next(entry.path for entry in trained_study.completed() if entry.seed == 1)
    broken = {
        "run": late / "model" / "weights.safetensors",
        "store": trained_study.store_path / "test" / "row" / "label.npy",
    }.get(kind, trained_study.path / "comparison.json")
    broken.write_bytes(b"{")
    lock = {
        "folder": at_work_file(root),
        "run": lock_file(root, "run", late.name),
        "store": lock_file(root, "store", trained_study.store_path.name),
        "study": lock_file(root, "study", "shop"),
    }[kind]
    monkeypatch.setenv(LIMIT, "0.2")
    words = ["verify", "shop", "--repair", "--out", str(root)]
    with locked(lock, Wait(""), shared=kind == "folder"):
        with pytest.raises(PlaceError, match=r"after 0\.2 s"):
            register()(words, standalone_mode=False)
        assert broken.exists()
    assert not register()(words, standalone_mode=False)
    assert not broken.exists()


def test_what_was_mended_meanwhile_stays(
    trained_study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trained_study.path / "comparison.json"
    whole = path.read_bytes()
    path.write_text("{")
    waited = repair_module.at_rest

    def mended(out: Path, tell: object = None) -> object:
        path.write_bytes(whole)
        return waited(out)

    monkeypatch.setattr(repair_module, "at_rest", mended)
    words = ["verify", "shop", "--repair", "--out", str(trained_study.root)]
    assert not register()(words, standalone_mode=False)
    assert path.read_bytes() == whole
    assert not (trained_study.root / "quarantine").exists()


def test_two_repairs_in_a_second_lie_apart(trained_study: StudyFolder) -> None:
    for _ in range(2):
        (trained_study.path / "audit.json").write_text("{")
        repair(verify("shop", trained_study.root), trained_study.root)
    assert len(list((trained_study.root / "quarantine").iterdir())) == 2
    assert len(list((trained_study.root / "quarantine").glob("*/studies/shop/audit.json"))) == 2


def damaged(*paths: Path, sentence: str = "is damaged") -> list[Verification]:
    return [
        Verification("store", path, (RecordDamage(f"{path.name} {sentence}", path),))
        for path in paths
    ]


def test_what_lies_outside_goes_beside_it_and_what_is_gone_is_passed_over(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    inner, outer, lost = out / "prepared" / "d", elsewhere / "bundle", out / "lost"
    for path in (inner, outer):
        path.mkdir(parents=True)
        (path / "x").write_text(path.name)
    moved = repair(damaged(inner, outer, lost), out)
    (here,), (there,) = ((base / "quarantine").iterdir() for base in (out, elsewhere))
    assert moved == [(inner, here / "prepared" / "d"), (outer, there / "bundle")]
    assert [(place.to / "x").read_text() for place in moved] == ["d", "bundle"]
    assert not inner.exists()
    assert not outer.exists()
    notes = [json.loads((place / "why.json").read_text())["moved"] for place in (here, there)]
    assert [[row["from"] for row in note] for note in notes] == [[str(inner)], [str(outer)]]
    assert notes[1][0]["reasons"] == ["bundle is damaged"]
    for folder in (here, there):
        assert re.fullmatch(r"\d{8}T\d{6}Z", folder.name)  # no number where none is needed


@pytest.mark.parametrize("names", ["itself", "nothing", "another file"])
def test_a_link_is_moved_and_not_what_it_names(tmp_path: Path, names: str) -> None:
    """A link to itself ended the verb; one that named nothing or another file stayed."""
    claim, other = tmp_path / "studies" / "s" / "claim-0000.json", tmp_path / "other.json"
    claim.parent.mkdir(parents=True)
    other.write_text("{}")
    claim.symlink_to({"itself": claim, "nothing": tmp_path / "gone"}.get(names, other))
    (moved,) = repair(damaged(claim), tmp_path)
    assert moved.path == claim
    assert moved.to.is_symlink()
    assert not claim.is_symlink()
    assert other.read_text() == "{}"


def test_a_folder_goes_with_all_that_is_in_it_and_a_log_with_its_head(tmp_path: Path) -> None:
    run, study = tmp_path / "runs" / "d" / "a" / "r", tmp_path / "studies" / "s"
    run.mkdir(parents=True)
    study.mkdir(parents=True)
    (run / "metrics.jsonl").write_text("{")
    log = study / "decisions.jsonl"
    chain.append(log, {"a": 1})
    head = chain.head_of(log)
    moved = repair(damaged(run / "metrics.jsonl", run, log), tmp_path)
    assert [place.path for place in moved] == [run, log, head]
    assert not head.exists()
    assert (moved[0].to / "metrics.jsonl").read_text() == "{"


def test_the_second_and_third_repair_of_a_second_are_numbered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        @staticmethod
        def now(zone: object) -> datetime:
            return datetime(2026, 5, 1, 10, 0, 7, tzinfo=UTC)

    monkeypatch.setattr(repairs, "datetime", Clock)
    for _ in range(3):
        (tmp_path / "x").touch()
        repair(damaged(tmp_path / "x"), tmp_path)
    names = sorted(path.name for path in (tmp_path / "quarantine").iterdir())
    assert names == ["20260501T100007Z", "20260501T100007Z-2", "20260501T100007Z-3"]


def test_what_is_gone_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "studies" / "s").mkdir(parents=True)
    lost = (tmp_path / "studies" / "s" / "audit.json", tmp_path / "runs", tmp_path / "prepared")
    assert repair(damaged(*lost), tmp_path) == []
    assert list((tmp_path / "quarantine").iterdir()) == []


def test_a_log_of_looks_begins_again_with_unknown_ones(tmp_path: Path) -> None:
    """Moved aside, it must not make the next look the first; a log of decisions just begins."""
    study = tmp_path / "studies" / "s"
    study.mkdir(parents=True)
    looks, decisions = study / "opened.jsonl", study / "decisions.jsonl"
    for log in (looks, decisions):
        chain.append(log, {"a": 1})
    moved = repair(damaged(looks, decisions), tmp_path)
    assert len(moved) == 4
    assert [look.purpose for look in openings(study)] == [UNKNOWN_LOOKS.purpose]
    assert not decisions.exists()
    (target,) = (tmp_path / "quarantine").iterdir()
    record = json.loads((target / "why.json").read_text())
    assert record["format"] == 1
    assert {row["from"]: row["reasons"] for row in record["moved"]} == {
        str(looks): ["opened.jsonl is damaged"],
        str(decisions): ["decisions.jsonl is damaged"],
        str(chain.head_of(looks)): [f"is made again with {looks}"],
        str(chain.head_of(decisions)): [f"is made again with {decisions}"],
    }


def test_only_a_log_has_a_head(tmp_path: Path) -> None:
    record, beside = tmp_path / "audit.json", tmp_path / "audit.json.head.json"
    for path in (record, beside):
        path.write_text("{")
    assert [place.path for place in repair(damaged(record), tmp_path)] == [record]
    assert beside.exists()


def test_one_place_by_two_paths_is_moved_once(tmp_path: Path) -> None:
    folder, link = tmp_path / "studies", tmp_path / "link"
    folder.mkdir()
    (folder / "x").write_text("x")
    link.symlink_to(folder)
    (moved,) = repair(damaged(folder / "x", link / "x"), tmp_path)
    assert moved.path == folder / "x"


def test_a_claim_is_made_again_with_its_trial_and_winner(tmp_path: Path) -> None:
    """Those of other trials and of other searches stay."""
    for search in ("a", "b"):
        tuning = tmp_path / "studies" / "s" / "tuning" / search
        tuning.mkdir(parents=True)
        for name in ("claim-0000", "claim-0001", "trial-0000", "trial-0001", "winner-2"):
            (tuning / f"{name}.json").write_text("{")
    tuning = tuning.with_name("a")
    moved = repair(damaged(tuning / "claim-0001.json"), tmp_path)
    assert [place.path for place in moved] == [
        tuning / f"{name}.json" for name in ("claim-0001", "trial-0001", "winner-2")
    ]
