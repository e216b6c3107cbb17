"""`verify`: one sentence for each damaged file of a store, run, study or bundle, and exit code
3."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from fusefront.datasets.integrity import NOTE
from fusefront.harness.cli.app import register
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.checked import Verification
from fusefront.harness.jobs.verify import verify
from fusefront.harness.runs.hashes import FILES
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.serving.bundle.write import export_run, load_run


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def late(study: StudyFolder) -> Path:
    return next(e.path for e in study.completed() if e.strategy == "late_fusion")


def sentences(checked: list[Verification]) -> list[str]:
    return [sentence for first in checked for sentence in first.damaged]


def test_a_study_is_whole_with_its_store_and_its_runs(trained_study: StudyFolder) -> None:
    checked = verify("shop", trained_study.root)
    assert [first.kind for first in checked] == ["study", "store", "run", "run", "run", "run"]
    assert sentences(checked) == []
    assert not any(first.remarks for first in checked)
    assert checked == verify(str(trained_study.path), trained_study.root)
    assert (trained_study.store_path / NOTE).exists()  # today's whole check of a study's start


def test_a_store_is_found_by_its_data_sets_name_and_by_its_folder(
    trained_study: StudyFolder,
) -> None:
    name = trained_study.store_path.parent.name
    (first,) = verify(name, trained_study.root)
    assert first == verify(str(trained_study.store_path), trained_study.root)[0]
    assert [first] == verify(str(trained_study.store_path.parent), trained_study.root)
    damaged = ("items/modality_text.npy", "train/row/label.npy", "test/row/item.npy")
    starts = "train/request/row_start.npy"
    for part in (*damaged, starts):
        flip(trained_study.store_path / part)
    (first,) = verify(name, trained_study.root)
    assert len(first.damaged) == 4
    for part in (*damaged, starts):
        assert any(sentence.startswith(str(first.path / part)) for sentence in first.damaged)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_of_weights_or_predictions_is_found(
    trained_study: StudyFolder, name: str
) -> None:
    path = late(trained_study)
    flip(path / name)
    for what in (path.name, str(path), path.name[:6]):
        (first,) = verify(what, trained_study.root)
        assert first.damaged == (
            f"{path / name}: changed since the run was recorded (its SHA-256 differs); "
            f"`fusefront verify {path.name} --repair --out {trained_study.root}` moves it aside, "
            "then the same command makes it again",
        )


def test_a_run_is_held_against_its_config(trained_study: StudyFolder) -> None:
    path = late(trained_study)
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["seed"] = 7
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (first,) = verify(str(path), trained_study.root)
    (sentence,) = first.damaged
    assert sentence.startswith(f"{path / 'config.yaml'}: describes run ")
    assert f"expected {path.name}" in sentence
    moved = path.with_name("0" * 12)
    shutil.copytree(path, moved)
    (first,) = verify(str(moved), trained_study.root)
    files = {sentence.split(": ")[0].rsplit("/", 1)[1] for sentence in first.damaged}
    assert files == {"config.yaml", "summary.json", "spec.json"}


def test_every_record_of_a_run_and_a_study_is_read(trained_study: StudyFolder) -> None:
    path = late(trained_study)
    for name in ("environment.json", "status.json", "code.json", "metrics.jsonl"):
        (path / name).write_text("{")
    (path / "summary.json").write_bytes(b"")
    (trained_study.path / "comparison.json").write_text('{"format": 9}')
    result = sentences(verify("shop", trained_study.root))
    assert result[0].startswith(
        f"{trained_study.path / 'comparison.json'}: got format 9, this program"
    )
    assert result[1:] == sentences(verify(str(path), trained_study.root))
    result = result[1:]
    names = [sentence.split(": ")[0].rsplit("/", 1)[1] for sentence in result]
    assert sorted(names) == [
        *("code.json", "environment.json", "metrics.jsonl", "status.json", "summary.json"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("matrix.json", "[]", "expected the record of Matrix"),
        ("matrix.json", '{"format": 1}', "dataset: field required"),
        ("matrix.json", None, "not there; restore it from a copy"),
        ("study.yaml", "a: [", "not valid YAML"),
        ("study.yaml", "a: 1", "study"),
    ],
)
def test_a_studys_own_records_are_one_sentence_each(
    trained_study: StudyFolder, name: str, content: str | None, sentence: str
) -> None:
    path = trained_study.path / name
    path.unlink() if content is None else path.write_text(content)
    (first,) = verify("shop", trained_study.root)
    assert len(first.damaged) == 1
    assert str(path) in first.damaged[0]
    assert sentence in first.damaged[0]
    assert "\n" not in first.damaged[0]


def test_what_cannot_be_told_is_a_remark(trained_study: StudyFolder) -> None:
    first, *others = (entry.path for entry in trained_study.completed())
    summary = json.loads((first / "summary.json").read_text())
    del summary["sha256"]
    (first / "summary.json").write_text(json.dumps(summary))
    (others[0] / "summary.json").unlink()
    shutil.rmtree(others[1])
    checked = {check.path: check for check in verify("shop", trained_study.root)}
    assert sentences(list(checked.values())) == []
    before = "recorded before hashes of weights and predictions were kept"
    assert checked[first].remarks == (before,)
    assert checked[others[0]].remarks == ("the run is not complete",)
    assert checked[trained_study.path].remarks == ("1 of 4 runs are not there",)


def test_a_bundle_is_compared_with_what_was_exported(trained_study: StudyFolder) -> None:
    bundle = export_run(
        load_run(late(trained_study), trained_study.root), trained_study.root / "b", rows="float32"
    )
    (first,) = verify(str(bundle), trained_study.root)
    assert (first.kind, first.damaged) == ("bundle", ())
    flip(bundle / "weights.safetensors")
    (first,) = verify(str(bundle), trained_study.root)
    assert str(bundle / "weights.safetensors") in first.damaged[0]


def test_a_name_of_nothing_lists_what_there_is(trained_study: StudyFolder, tmp_path: Path) -> None:
    store = trained_study.store_path.parent.name
    with pytest.raises(UsageError, match=f"one of: shop, {store}"):
        verify("nosuch", trained_study.root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no store, run, study or bundle"):
        verify(str(tmp_path / "empty"), trained_study.root)


def test_the_verb_ends_with_3_and_a_sentence_a_file(
    trained_study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    app, out = register(), ["--out", str(trained_study.root)]
    assert not app(["verify", "shop", *out], standalone_mode=False)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert [line.split()[0] for line in printed.out.splitlines()] == ["study", "store"] + 4 * [
        "run"
    ]
    broken = [late(trained_study) / name for name in FILES]
    for path in broken:
        flip(path)
    assert app(["verify", "shop", *out], standalone_mode=False) == 3
    printed = capsys.readouterr()
    assert [line.split(": ")[0] for line in printed.err.splitlines()] == list(map(str, broken))
    assert app(["verify", "shop", "--json", *out], standalone_mode=False) == 3
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert [row["whole"] for row in rows].count(False) == 1
    assert set(rows[0]) == {"kind", "path", "whole", "damaged", "remarks"}
