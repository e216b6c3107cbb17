"""`verify` folder by folder: what is checked, what it is mended by, and what is a remark."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from fusefront.datasets.integrity import NOTE
from fusefront.harness.dossier.decision_record import DECISIONS
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs import checked
from fusefront.harness.jobs.checked import Verification, broken_lines, unreadable_bench
from fusefront.harness.jobs.verify import NO_RUNS, verify
from fusefront.harness.runs import chain
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.serving.bundle.write import export_run, load_run


def run_of(study: StudyFolder, strategy: str = "late_fusion") -> Path:
    return next(e.path for e in study.completed() if e.strategy == strategy)


def kinds(checks: list[Verification]) -> list[tuple[str, Path]]:
    return [(check.kind, check.path.resolve()) for check in checks]


def mended(checks: list[Verification]) -> dict[str, Path | None]:
    """By the file that a sentence begins with: what must be made again."""
    return {
        damage.sentence.split(": ")[0]: damage.remake
        for check in checks
        for damage in check.damages
    }


def test_all_of_a_folder_is_checked_each_once(trained_study: StudyFolder) -> None:
    """A store and a run of no study are checked as well; a store whose manifest is lost, too."""
    root, store, run = trained_study.root, trained_study.store_path, run_of(trained_study)
    whole = verify(None, root)
    assert len(whole) == 6
    assert whole == verify("shop", root)
    other, lost = store.with_name("0" * 12), store.with_name("1" * 12)
    shutil.copytree(store, other)
    (lost / "items").mkdir(parents=True)
    for passed_over in (".part", "empty"):
        (store.parent / passed_over).mkdir()
    shutil.copytree(store, store.with_name(".part") / "copy")
    shutil.copytree(store / "items", store.with_name(".part") / "items")
    alone = run.with_name("2" * 12)
    alone.mkdir()
    checks = verify(None, root)
    assert kinds(checks[6:]) == [("store", other), ("store", lost), ("run", alone)]
    assert [check.damaged != () for check in checks[6:]] == [False, True, True]
    assert kinds(verify(store.parent.name, root)) == kinds([*checks[6:8], checks[1]])
    assert kinds(verify(str(store.parent), root)) == kinds([*checks[6:8], checks[1]])


def test_a_damaged_store_is_not_noted_as_whole(trained_study: StudyFolder) -> None:
    store, label = trained_study.store_path, trained_study.store_path / "test" / "row" / "label.npy"
    (store / NOTE).unlink(missing_ok=True)
    content = label.read_bytes()
    label.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert mended(verify(str(store), trained_study.root)) == {str(label): store}
    assert not (store / NOTE).exists()
    label.write_bytes(content)
    assert mended(verify(str(store), trained_study.root)) == {}
    assert (store / NOTE).exists()


def test_a_folder_without_anything_asks_for_another(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"got no store, run or study, expected some; give --out$"):
        verify(None, tmp_path)
    with pytest.raises(UsageError, match=r"got 'x', .*one of: nothing yet \(under "):
        verify("x", tmp_path)


def test_a_name_is_a_study_and_no_path_to_one(trained_study: StudyFolder) -> None:
    with pytest.raises(UsageError, match=r"got '\.\./studies/shop', "):
        verify("../studies/shop", trained_study.root)


def test_a_run_is_checked_as_far_as_it_got(trained_study: StudyFolder) -> None:
    """Whatever is broken of it, the whole run is made again, unless a newer version wrote it."""
    root, run = trained_study.root, run_of(trained_study)
    summary = (run / "summary.json").read_text()
    (run / "summary.json").unlink()
    (check,) = verify(str(run), root)
    assert (check.damages, check.remarks) == ((), ("the run is not complete",))
    for name in ("status.json", "include.json"):
        (run / name).write_text("{")
    (run / "config.yaml").write_text("a: 1")
    broken = {str(run / name): run for name in ("config.yaml", "status.json", "include.json")}
    assert mended(verify(str(run), root)) == broken
    (run / "summary.json").write_text('{"format": 9}')
    assert mended(verify(str(run), root)) == {**broken, str(run / "summary.json"): None}
    (run / "summary.json").write_text(summary)
    (run / "metrics.jsonl").unlink()
    (run / "model" / "spec.json").write_text("{}")
    assert mended(verify(str(run), root)) == {
        **broken,
        str(run / "model" / "spec.json"): run,
        str(run / "metrics.jsonl"): run,
    }


def test_a_bundle_that_lies_in_its_run_is_checked_with_it(trained_study: StudyFolder) -> None:
    run = run_of(trained_study)
    export_run(load_run(run, trained_study.root), run / "export", rows="float32")
    assert kinds(verify(run.name, trained_study.root)) == [("run", run), ("bundle", run / "export")]
    (run / "export" / "weights.safetensors").write_bytes(b"")
    checks = verify(run.name, trained_study.root)
    assert list(mended(checks).values()) == [run / "export"]
    assert checks[0].damages == ()


def test_each_record_of_a_study_is_mended_by_itself(trained_study: StudyFolder) -> None:
    study, root = trained_study.path, trained_study.root
    chain.append(study / "opened.jsonl", {"a": 1})
    chain.append(study / DECISIONS, {"sha256": "0" * 64})
    (study / "decision.json").write_text('{"format": 1}')
    (study / "comparison.json").write_text('{"format": 9}')
    expected = {str(study / "decision.json"): study / "decision.json"}
    remakes = mended(verify("shop", root))
    assert remakes.items() >= expected.items()
    assert remakes[str(study / "comparison.json")] is None
    (study / "comparison.json").write_text("{")
    (study / "audit.json").write_text("[")
    (study / "include.json").write_text("[")
    for log in ("opened.jsonl", DECISIONS):
        (study / log).write_text('{"before": "x"}\n')
    names = ("comparison.json", "audit.json", "include.json", "opened.jsonl", DECISIONS)
    remakes = mended(verify("shop", root))
    assert {place: remakes[place] for place in (str(study / name) for name in names)} == {
        str(study / name): study / name for name in names
    }
    sentences = verify("shop", root)[0].damaged
    assert sum(DECISIONS in sentence for sentence in sentences) == 1  # said once
    (study / "study.yaml").write_text("a: [")
    (check,) = verify("shop", root)
    assert mended([check])[str(study / "study.yaml")] == study / "study.yaml"


@pytest.mark.parametrize("name", ["bench", "comparison.json", "decision.json", "opened.jsonl", ""])
def test_a_matrix_is_missed_where_something_came_after_it(
    trained_study: StudyFolder, name: str
) -> None:
    study = trained_study.path
    text = (study / "comparison.json").read_text()
    for later in ("matrix.json", "comparison.json", "opened.jsonl", "opened.jsonl.head.json"):
        (study / later).unlink()
    if name == "bench":
        (study / name).mkdir()
    elif name:
        (study / name).write_text({"comparison.json": text}.get(name, ""))
    (check,) = verify("shop", trained_study.root)
    lost = [damage for damage in check.damages if "matrix.json" in damage.sentence]
    assert [damage.remake for damage in lost] == ([None] if name else [])
    assert check.remarks == (() if name else (NO_RUNS,))
    assert str(study / "comparison.json") not in mended(
        [check]
    )  # where there is none, none is missed


def test_a_matrix_that_cannot_be_read_is_named_once(trained_study: StudyFolder) -> None:
    matrix = trained_study.path / "matrix.json"
    matrix.write_text("{")
    (check,) = verify("shop", trained_study.root)
    assert [damage.remake for damage in check.damages] == [matrix]


def test_the_runs_of_trials_are_checked_with_their_study(trained_study: StudyFolder) -> None:
    """Each once; a trial that cannot be read is named, and one whose run is gone is passed over."""
    run, tuning = run_of(trained_study), trained_study.path / "tuning" / "late_fusion"
    tuning.mkdir(parents=True)
    alone = run.with_name("2" * 12)
    alone.mkdir()
    (alone / "summary.json").write_text("{}")
    trial = {"format": 1, "state": "ok", "value": 0.5}
    for number, run_id in enumerate((run.name, alone.name, "3" * 12)):
        text = json.dumps({**trial, "number": number, "run_id": run_id})
        (tuning / f"trial-{number:04}.json").write_text(text)
    (tuning / "trial-0003.json").write_text("{")
    (tuning / "trial-0004.json").write_text(json.dumps({**trial, "number": 4}))
    checks = verify("shop", trained_study.root)
    paths = [path for kind, path in kinds(checks) if kind == "run"]
    assert len(paths) == 5
    assert paths[-1] == alone
    assert mended(checks[:1]) == {str(tuning / "trial-0003.json"): tuning / "trial-0003.json"}
    assert checks[0].remarks == ()


def test_tables_of_a_session_are_mended_by_a_new_session(tmp_path: Path) -> None:
    study = tmp_path / "study[1]"  # a name, not a pattern
    (study / "bench").mkdir(parents=True)
    pl.DataFrame({"ms": [1.0]}).write_parquet(study / "bench" / "a.parquet")
    assert list(unreadable_bench(study)) == []
    newer, torn = study / "bench" / "b.parquet", study / "bench" / "c.parquet"
    pl.DataFrame({"ms": [1.0]}).write_parquet(newer, metadata={"fusefront.format": "2"})
    torn.write_bytes((study / "bench" / "a.parquet").read_bytes()[:-9])
    damages = {damage.sentence.split(": ")[0]: damage.remake for damage in unreadable_bench(study)}
    assert damages == {str(newer): None, str(torn): study / "bench"}


def test_a_tables_content_is_read_and_the_reason_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bench").mkdir()
    pl.DataFrame({"ms": [1.0]}).write_parquet(tmp_path / "bench" / "a.parquet")

    def torn(*_: object, **__: object) -> None:
        raise OSError("x" * 170 + "\nmore")

    monkeypatch.setattr(checked.pl, "read_parquet", torn)
    (damage,) = unreadable_bench(tmp_path)
    assert f"unreadable ({'x' * 160}); " in damage.sentence


def test_every_line_of_a_file_of_lines_is_json(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    (sentence,) = broken_lines(path)
    assert sentence.startswith(f"{path}: missing; ")
    path.write_text('{"a": 1}\n[2]\n')
    assert list(broken_lines(path)) == []
    path.write_text('{"a": 1}\n{\n{"b": 2}\n')
    (sentence,) = broken_lines(path)
    assert sentence.startswith(f"{path}: a line is no JSON; ")


def test_a_study_whose_file_is_lost_is_named_beside_those_that_are_there(
    trained_study: StudyFolder,
) -> None:
    shutil.copytree(trained_study.path, trained_study.path.with_name("other"))
    (trained_study.path / "study.yaml").unlink()
    (check,) = verify(str(trained_study.path), trained_study.root)
    (damage,) = check.damages
    assert damage.sentence.endswith("one of: other")
    assert damage.remake == trained_study.path / "study.yaml"
