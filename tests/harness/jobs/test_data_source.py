"""Where a study's data comes from: a world written once, or a spec beside the study."""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fusefront.datasets.allowed import Allowed
from fusefront.datasets.errors import SpecError
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs import data_source, propose
from fusefront.harness.jobs.data_source import (
    Origin,
    describe,
    described,
    note_origin,
    origin_of,
    prepared,
    write_synthetic,
)
from fusefront.harness.jobs.demo import demo_file
from fusefront.harness.jobs.propose import write_proposal
from fusefront.harness.runs.study import Study, Synthetic, check_study, load_study

WORLD = Synthetic(synthetic="tour", seed=2, train=30, valid=10, test=20)


def study(dataset: object) -> Study:
    raw = {"name": "s", "dataset": dataset, "baseline": "b", "strategies": {"b": {}}}
    return check_study(raw, "s.yaml")


def prepared_of(of: Study, file: Path, out: Path) -> PreparedDataset:
    return prepared(described(of, file, None, out, ()), out, lambda _: None)


def test_a_world_is_written_once_and_whole(tmp_path: Path) -> None:
    spec = write_synthetic(WORLD, tmp_path)
    (folder,) = (tmp_path / "data").iterdir()
    assert re.fullmatch(r"tour-[0-9a-f]{8}", folder.name)
    assert spec == folder / "dataset.yaml"
    assert json.loads((folder / "complete.json").read_text()) == {
        "format": 1,
        "spec": "dataset.yaml",
    }
    assert load_spec(spec).name == "tour_2"
    before = (folder / "interactions.parquet").stat().st_mtime_ns
    assert write_synthetic(WORLD, tmp_path) == spec
    assert (folder / "interactions.parquet").stat().st_mtime_ns == before
    (folder / "complete.json").unlink()  # cut short: written anew, without what lay there
    (folder / "left.txt").touch()
    (tmp_path / "data" / ".tour-0.tmp-1-ff").mkdir()  # of a process that was killed
    assert write_synthetic(WORLD, tmp_path) == spec
    assert not (folder / "left.txt").exists()
    other = write_synthetic(WORLD.model_copy(update={"seed": 3}), tmp_path)
    assert other.parent != folder
    assert len(list((tmp_path / "data").iterdir())) == 2  # and nothing of the killed one


def test_a_world_that_another_process_wrote_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    whole = write_synthetic(WORLD, tmp_path / "there").parent
    locks: list[Path] = []

    @contextlib.contextmanager
    def late(path: Path, _: object) -> Iterator[None]:
        locks.append(path)
        shutil.copytree(whole, tmp_path / "here" / "data" / whole.name)
        yield

    monkeypatch.setattr(data_source, "locked", late)
    monkeypatch.setattr(data_source, "_write", lambda *_: pytest.fail("written twice"))
    spec = write_synthetic(WORLD, tmp_path / "here")
    assert load_spec(spec) == load_spec(whole / "dataset.yaml")
    assert write_synthetic(WORLD, tmp_path / "here") == spec
    assert len(locks) == 1  # none for a world that is there


def test_a_study_keeps_where_it_and_its_data_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name or folder; a file goes first, and so does a data folder that is given."""
    monkeypatch.chdir(tmp_path)
    out, name, data = tmp_path / "out", Path("s"), Path("d")
    folder = out / "studies" / "s"
    folder.mkdir(parents=True)
    assert origin_of(name, None, out) == (name, name, None)
    recorded = folder / "study.yaml"
    recorded.touch()
    for known in (name, folder):
        assert origin_of(known, data, out) == (recorded, recorded, data)
    for noted, read in ((None, None), (data, tmp_path / "d")):
        note_origin(folder, Origin(recorded, Path("mine.yaml"), noted))
        for known in (name, folder):
            assert origin_of(known, None, out) == (recorded, tmp_path / "mine.yaml", read)
            assert origin_of(known, Path("e"), out)[1:] == (tmp_path / "mine.yaml", Path("e"))
    other = Path("elsewhere") / "s"
    assert origin_of(other, None, out) == (other, other, None)
    name.touch()
    assert origin_of(name, None, out) == (name, name, None)


def test_a_spec_stands_beside_the_study_and_its_data_in_a_folder(tmp_path: Path) -> None:
    """And what leads outside of that folder is not read without leave."""
    spec = write_synthetic(WORLD, tmp_path)
    file = spec.parent / "study.yaml"
    of = described(study("dataset.yaml"), file, None, tmp_path, ())
    assert (of.data, of.allowed.outside) == (spec.parent, False)
    assert describe(spec, None, ()).allowed.outside is False
    assert describe(spec, None, (), outside=True).allowed.outside is True
    with pytest.raises(
        UsageError, match=r"study\.yaml: dataset 'other\.yaml' is not a file beside the study"
    ):
        described(study("other.yaml"), file, None, tmp_path, ())
    with pytest.raises(UsageError, match=r"^--data .*interactions\.parquet: not a folder; give"):
        describe(spec, spec.parent / "interactions.parquet", ())


def test_the_world_has_the_sizes_and_the_seed_of_the_study(tmp_path: Path) -> None:
    lines: list[str] = []
    of = described(study(WORLD.model_dump()), tmp_path / "s.yaml", None, tmp_path, ())
    store = prepared(of, tmp_path, lines.append)
    counts = [len(store.split(name).group) for name in ("train", "valid", "test")]
    assert counts == [30, 10, 20]
    assert (store.name, of.spec.name) == ("tour_2", "tour_2")
    assert store.path.is_relative_to(tmp_path / "prepared")


def test_a_world_that_cannot_be_leaves_nothing(tmp_path: Path) -> None:
    unknown = WORLD.model_copy(update={"synthetic": "nowhere"})
    with pytest.raises(SpecError, match="nowhere"):
        write_synthetic(unknown, tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("quick", [True, False])
def test_the_demo_is_a_study_of_a_world(quick: bool) -> None:
    path = demo_file(quick=quick)
    assert path.is_file()
    assert ("quick" in path.name) is quick
    assert isinstance(load_study(path).dataset, Synthetic)


def test_a_proposed_world_is_a_study_that_can_be_read(tmp_path: Path) -> None:
    path = propose.write_synthetic("tour", tmp_path / "w", seed=5, train=24, force=False)
    assert path == tmp_path / "w" / "study.yaml"
    first = load_study(path)
    assert (first.name, first.dataset, first.baseline) == ("tour_5", "dataset.yaml", "late_fusion")
    assert list(first.strategies)[:2] == ["early_fusion", "late_fusion"]
    store = prepared_of(first, path, tmp_path / "out")
    counts = [len(store.split(name).group) for name in ("train", "valid", "test")]
    assert counts == [24, 6, 24]
    with pytest.raises(UsageError, match=r"dataset\.yaml exists; give another path"):
        propose.write_synthetic("tour", tmp_path / "w", seed=5, train=3, force=False)
    (tmp_path / "w" / "dataset.yaml").unlink()
    with pytest.raises(UsageError, match=r"study\.yaml exists; give another path"):
        propose.write_synthetic("tour", tmp_path / "w", seed=5, train=3, force=False)
    again = propose.write_synthetic("tour", tmp_path / "w", seed=6, train=3, force=True)
    assert load_study(again).name == "tour_6"
    store = prepared_of(load_study(again), again, tmp_path / "out")
    assert len(store.split("valid").group) == 1  # a quarter, and one at least
    with pytest.raises(SpecError, match="nowhere"):
        propose.write_synthetic("nowhere", tmp_path / "v", seed=0, train=3, force=False)
    assert not (tmp_path / "v").exists()


def test_a_published_layout_is_one_folder(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    with pytest.raises(UsageError, match="--verify compares with a published layout; name it"):
        write_proposal([tmp_path], spec, verified=True)
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    for paths in ([tmp_path, tmp_path], [file], []):
        with pytest.raises(UsageError, match="--layout takes one folder, the one that holds"):
            write_proposal(paths, spec, layout="mind")
    assert not spec.exists()


def test_the_spec_of_a_published_layout_is_written_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with --verify only once the files are those that were published."""
    folder, spec = write_synthetic(WORLD, tmp_path).parent, tmp_path / "spec.yaml"
    allowed = Allowed(layouts={"shop": lambda path: load_spec(path / "dataset.yaml")})
    checked: list[tuple[str, Path]] = []
    monkeypatch.setattr(propose, "verify", lambda name, path, _: checked.append((name, path)))
    proposed = write_proposal([folder], spec, layout="shop", allowed=allowed)
    assert (proposed.study, checked) == (tmp_path / "study.yaml", [])
    assert (proposed.trial, proposed.unknown, proposed.left_out) == ("", {}, {})
    assert spec.read_text().startswith("# The published layout 'shop'; see docs/datasets.md.\n")
    assert load_spec(spec) == load_spec(folder / "dataset.yaml")
    assert load_study(proposed.study).name == "tour_2"
    with pytest.raises(UsageError, match="exists; give another path"):
        write_proposal([folder], spec, layout="shop", allowed=allowed)
    write_proposal([folder], spec, layout="shop", verified=True, force=True, allowed=allowed)
    assert checked == [("shop", folder)]


def test_a_proposal_with_gaps_is_written_and_only_a_whole_one_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(propose, "load_spec", read.append)
    whole, gaps = tmp_path / "whole.csv", tmp_path / "gaps.csv"
    rows = [f"u{n % 7},i{n % 5},{n % 3 // 2},{1_700_000_000 + n}" for n in range(60)]
    whole.write_text("\n".join(["user_id,item_id,click,timestamp", *rows]) + "\n")
    gaps.write_text(
        "\n".join(["user_id,item_id", *(f"u{n % 7},i{n % 5}" for n in range(60))]) + "\n"
    )
    proposed = write_proposal([whole], tmp_path / "whole" / "dataset.yaml")
    assert (proposed.unknown, read) == ({}, [tmp_path / "whole" / "dataset.yaml"])
    proposed = write_proposal([gaps], tmp_path / "gaps" / "dataset.yaml")
    assert proposed.unknown
    assert len(read) == 1
    for name in ("whole", "gaps"):
        assert f"{name}.csv" in (tmp_path / name / "dataset.yaml").read_text()
    assert proposed.study == tmp_path / "gaps" / "study.yaml"
    assert proposed.study.is_file()
