"""What was included is found again by later verbs, or the sentence says which file is needed."""

import json
import sys

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.reproduce import reproduce_run
from fusefront.harness.parts.bare import code_digest
from fusefront.harness.parts.included import (
    FILE,
    RecordedPart,
    included,
    read_record,
    remember,
    uses,
)
from fusefront.harness.parts.outside_parts import own_parts
from fusefront.harness.parts.plugins import load_parts, parts_of_runs
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.serving.bundle.write import load_run
from fusefront.harness.training.run import run

RECIPE = {"epochs": 1, "batch_rows": 512}


@pytest.fixture
def files(page_files, tmp_path):
    """Two files of one's own."""
    for name in ("largest.py", "recent.py"):
        (tmp_path / name).write_text(page_files[name])
    return tmp_path / "largest.py", tmp_path / "recent.py"


def recorded(part: RecordedPart) -> str:
    return part.name


def test_a_record_holds_kind_name_file_and_code(files, tmp_path):
    assert read_record(tmp_path).parts == ()
    remember(tmp_path, [])
    assert not (tmp_path / FILE).exists()
    remember(tmp_path, own_parts(files))
    first, second = read_record(tmp_path).parts
    assert first == RecordedPart(
        kind="operator", name="largest", file=str(files[0]), code=code_digest(files[0])
    )
    assert (second.kind, second.name, second.file) == ("pooler", "recent", str(files[1]))
    remember(tmp_path, own_parts([files[0]]))  # once more: in place of the first
    assert read_record(tmp_path).parts == (first, second)


def test_what_is_on_record_is_taken_when_nothing_is_given(files, tmp_path):
    remember(tmp_path, own_parts(files))
    assert included(tmp_path, []) == files
    assert included(tmp_path, [], must=lambda part: part.name == "recent") == files[1:]
    assert included(tmp_path, [files[1]]) == (files[1], files[0])
    assert included(tmp_path / "elsewhere", []) == ()


def test_a_file_that_is_gone_or_changed_is_named_unless_another_takes_its_place(files, tmp_path):
    remember(tmp_path, own_parts(files))
    moved = tmp_path / "moved.py"
    files[0].rename(moved)
    with pytest.raises(UsageError) as refused:
        included(tmp_path, [])
    assert str(refused.value) == (
        f"{tmp_path.name}: it was made with operator 'largest' of {files[0]}, which is gone; "
        "give the file with --include-path"
    )
    assert included(tmp_path, [moved]) == (moved, files[1])
    assert included(tmp_path, [], must=lambda part: part.name == "recent") == files[1:]
    optional = {"must": lambda part: part.name == "recent", "may": lambda _: True}
    assert included(tmp_path, [], **optional) == files[1:]
    files[0].write_text(moved.read_text().replace("amax(-2)", "amin(-2)"))
    with pytest.raises(
        UsageError, match=r"largest.py, whose code has changed since; bring it back"
    ):
        included(tmp_path, [])
    assert included(tmp_path, [files[0]]) == files


def test_comments_docstrings_and_layout_are_no_change_of_code(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("def f(x):\n    return x + 1\n")
    first = code_digest(file)
    file.write_text(
        '"""What it is."""\n\n\ndef f(x):  # adds\n    """One more."""\n    return (x +\n 1)\n'
    )
    assert code_digest(file) == first
    file.write_text("def f(x):\n    return x + 2\n")
    assert code_digest(file) != first
    file.write_text("def f(x):\n    return 'x' + '1'\n")
    text = code_digest(file)
    file.write_text("def f(x):\n    return 'y' + '1'\n")
    assert code_digest(file) != text
    file.write_text("def (")
    assert len(code_digest(file)) == 64


def test_a_package_that_is_not_installed_any_more_is_named(page_files, tmp_path, monkeypatch):
    site, folder = tmp_path / "site", tmp_path / "study"
    info = site / "shopparts-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shopparts\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[fusefront.operators]\nlargest = shopmax:Largest\n")
    (site / "shopmax.py").write_text(page_files["largest.py"])
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(site))
        remember(folder, own_parts([]))
        assert included(folder, []) == ()
    sys.modules.pop("shopmax", None)
    (part,) = read_record(folder).parts
    assert (part.package, part.file) == ("shopparts 1.5", "")
    with pytest.raises(
        UsageError, match=r"operator 'largest' of package shopparts 1.5, which is not"
    ):
        included(folder, [])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "content: invalid JSON"),
        ('{"format": 2, "parts": []}', "format: expected 1"),
        ('{"format": 1, "parts": [{"kind": "head"}]}', "parts.0.name: field required"),
        ('{"format": 1, "parts": [], "more": 1}', "more: extra inputs are not permitted"),
    ],
)
def test_a_record_of_another_form_is_refused(tmp_path, text, sentence):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DataContractError) as refused:
        included(tmp_path, [])
    assert str(refused.value).startswith(f"{tmp_path / FILE}: {sentence}")


def test_what_a_study_uses_is_what_its_strategies_name():
    needed = uses([("composed", {"operator": "largest"}), ("production", {})])
    parts = {
        "operator": ("largest", "other"),
        "pooler": ("largest", "recent"),  # a name among settings may be of any kind
        "baseline": ("production", "largest"),
        "unheard of": ("largest",),
    }
    used = {
        (kind, name)
        for kind, names in parts.items()
        for name in names
        if needed(RecordedPart(kind=kind, name=name))
    }
    assert used == {("operator", "largest"), ("pooler", "largest"), ("baseline", "production")}


def test_a_run_of_ones_own_model_is_loaded_and_reproduced_without_naming_its_file(
    page_files, tmp_path, world
):
    """Trained with a file; its folder says which, until the file is gone."""
    file, root = tmp_path / "production.py", world.path.parents[2]
    file.write_text(page_files["production.py"])
    (tmp_path / "largest.py").write_text(page_files["largest.py"])  # given, but not used
    spec = RunSpec(world.name, world.fingerprint, "production", {"width": 4}, RECIPE, 3)
    cell = Cell("ours", "strategy", spec)
    record = run(cell, root, world, load_parts([tmp_path]), include=[tmp_path])
    assert record.summary["family"] == "own"
    ids = (world.manifest.schema_.items + 1) * 4
    assert record.summary["parameters_id_embedding"] == ids
    recorded = json.loads((record.path / FILE).read_text())
    assert [(part["kind"], part["name"], part["file"]) for part in recorded["parts"]] == [
        ("baseline", "production", str(file))
    ]
    loaded = load_run(record.path, root)
    assert type(loaded.model).__name__ == "Production"
    assert loaded.model.settings.width == 4
    assert "production" in parts_of_runs([record.path], []).baselines
    again = reproduce_run(str(record.path), root, [])
    assert again["largest_difference"] == 0.0
    moved = file.rename(tmp_path / "elsewhere.py")
    with pytest.raises(
        UsageError, match=r"made with baseline 'production' of .*production.py, which is g"
    ):
        load_run(record.path, root)
    assert type(load_run(record.path, root, [moved]).model).__name__ == "Production"
