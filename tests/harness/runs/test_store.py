"""Studies and runs found again from their files: states, roles, places, names and looks."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.runs import environment as surroundings
from fusefront.harness.runs import seal
from fusefront.harness.runs import spec as specs
from fusefront.harness.runs.environment import environment
from fusefront.harness.runs.seal import LOG, open_test, open_test_of_run, openings
from fusefront.harness.runs.spec import Cell, RunSpec, code_version
from fusefront.harness.runs.store import StudyFolder, find_study, run_index
from fusefront.harness.runs.study import Study, assign, check_study, load_study
from fusefront.harness.runs.table import code_measures, find_run, summaries


def spec(strategy: str, seed: int) -> RunSpec:
    return RunSpec("shop", "f00", strategy, {"k": 2}, {"epochs": 1}, seed, code="c")


def record(root: Path, strategy: str, run: str, /, state: str = "", **summary: object) -> Path:
    """A run's folder with its record, or with a state alone."""
    folder = root / "runs" / "shop" / strategy / run
    folder.mkdir(parents=True, exist_ok=True)
    if state:
        (folder / "status.json").write_text(json.dumps({"format": 1, "state": state}))
    if summary:
        (folder / "summary.json").write_text(json.dumps({"run_id": run, **summary}))
    return folder


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """Five cells: complete under another study's name, complete, failed, running, missing."""
    cells = [
        Cell("a", "strategy", spec("a", 4)),
        Cell("a", "strategy", spec("a", 9)),
        Cell("b", "control", spec("b", 4)),
        Cell("b", "control", spec("b", 9)),
        Cell("c", "trial", spec("c", 4)),
    ]
    ids = [cell.spec.run_id for cell in cells]
    record(tmp_path, "elsewhere", ids[0], family="early", valid_auc=0.7, seed=4)
    record(tmp_path, "a", ids[1], "failed", family="late", valid_auc=0.8, seed=9)
    record(tmp_path, "b", ids[2], "failed")
    record(tmp_path, "b", ids[3], "running")
    folder = tmp_path / "studies" / "s"
    folder.mkdir(parents=True)
    strategies = {name: {"baseline": "early_fusion"} for name in "abc"}
    content = {"name": "s", "dataset": "d.yaml", "baseline": "a", "strategies": strategies}
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    rows = [cell.to_json() for cell in cells]
    matrix = {"dataset": "shop", "fingerprint": "f00", "store": "prepared/x", "cells": rows}
    (folder / "matrix.json").write_text(json.dumps(matrix))
    for name, seed in (("z", 1), ("y", 2)):
        extra = [{**Cell(f"a without {name}", "ablation", spec(name, seed)).to_json()}]
        if name == "y":
            extra[0]["family"] = "own"
        (folder / f"ablation-{name}.json").write_text(json.dumps({"cells": extra}))
    return find_study("s", tmp_path)


def test_entries_have_the_state_that_their_files_say(study: StudyFolder) -> None:
    entries = study.entries()
    assert [(e.strategy, e.role, e.seed, e.state, e.family) for e in entries] == [
        ("a", "strategy", 4, "completed", "early"),
        ("a", "strategy", 9, "completed", "late"),
        ("b", "control", 4, "failed", "control"),
        ("b", "control", 9, "running", "control"),
    ]
    assert entries[0].path == study.root / "runs" / "shop" / "elsewhere" / entries[0].run_id
    assert [e.summary.get("valid_auc") for e in entries] == [0.7, 0.8, None, None]
    assert entries[2].summary == {"run_id": entries[2].run_id}
    assert [e.seed for e in study.completed()] == [4, 9]
    (trial,) = study.entries(roles=("trial",))
    assert (trial.strategy, trial.state) == ("c", "missing")
    assert trial.path == study.root / "runs" / "shop" / "c" / trial.run_id
    assert study.completed(roles=("control", "trial")) == []


def test_ablations_come_on_request_in_the_order_of_their_files(study: StudyFolder) -> None:
    entries = study.entries(roles=("ablation",))
    assert [(e.strategy, e.seed, e.family) for e in entries] == [
        ("a without y", 2, "own"),
        ("a without z", 1, "control"),
    ]


def test_one_ablation_is_read_alone(study: StudyFolder) -> None:
    """Two plans may have runs of the same name that are not the same runs."""
    alone = replace(study, ablation="ablation-z.json")
    assert [e.strategy for e in alone.entries(roles=("ablation",))] == ["a without z"]
    assert len(alone.ablations()[0]) == 1
    assert alone.entries() == study.entries()
    assert replace(study, ablation="ablation-x.json").entries(roles=("ablation",)) == []


def test_a_study_is_found_by_name_by_folder_and_by_file(study: StudyFolder, tmp_path: Path) -> None:
    assert (study.name, study.root, study.store_path) == ("s", tmp_path, tmp_path / "prepared/x")
    file = tmp_path / "mine.yaml"
    file.write_text((study.path / "study.yaml").read_text())
    for text in ("s", str(study.path), str(file)):
        assert find_study(text, tmp_path).path == study.path
    file.write_text("name: other\n")
    with pytest.raises(NothingToDoError, match=r"^study 'other' has no runs under .*mine\.yaml`"):
        find_study(str(file), tmp_path)
    file.write_text("dataset: x\n")
    with pytest.raises(NothingToDoError, match=r"^study '' has no runs"):
        find_study(str(file), tmp_path)
    with pytest.raises(UsageError, match=r"^got study 't', expected .* or one of: s$"):
        find_study("t", tmp_path)
    with pytest.raises(UsageError, match=r"one of: none yet$"):
        find_study("t", tmp_path / "nowhere")


def test_runs_are_indexed_by_their_ids_over_all_names(study: StudyFolder, tmp_path: Path) -> None:
    (tmp_path / "runs" / "shop" / "a" / "note.txt").touch()
    (tmp_path / "runs" / "shop" / "note.txt").touch()
    index = run_index(tmp_path, "shop")
    assert len(index) == 4
    assert all(path.name == run_id for run_id, path in index.items())
    assert {path.parent.name for path in index.values()} == {"elsewhere", "a", "b"}
    assert run_index(tmp_path, "other") == {}


@pytest.mark.parametrize("further", ["a", "b"])
def test_of_two_folders_of_a_run_the_one_that_came_further_counts(
    tmp_path: Path, further: str
) -> None:
    """One study was killed while it trained `a`, another, which calls it `b`, trained it whole."""
    folders = {name: tmp_path / "runs" / "shop" / name / "3c09e7e43809" for name in "ab"}
    for folder in folders.values():
        (folder / "predictions").mkdir(parents=True)
    assert run_index(tmp_path, "shop") == {"3c09e7e43809": folders["a"]}
    (folders[further] / "summary.json").touch()
    assert run_index(tmp_path, "shop") == {"3c09e7e43809": folders[further]}
    for folder in folders.values():
        (folder / "summary.json").touch()
    (folders[further] / "predictions" / "test.parquet").touch()
    assert run_index(tmp_path, "shop") == {"3c09e7e43809": folders[further]}


def test_summaries_are_filtered_and_the_oldest_is_first(tmp_path: Path) -> None:
    for age, (name, seed) in enumerate((("a", 1), ("b", 2), ("a", 2))):
        path = record(tmp_path, name, f"run{age}", strategy=name, seed=seed)
        os.utime(path / "summary.json", (1000 - age, 1000 - age))
    assert [row["run_id"] for row in summaries(tmp_path, {}).rows] == ["run2", "run1", "run0"]
    assert [row["run_id"] for row in summaries(tmp_path, {"strategy": "a"}).rows] == [
        "run2",
        "run0",
    ]
    (row,) = summaries(tmp_path, {"strategy": "a", "seed": "2"}).rows
    assert row["path"] == str(tmp_path / "runs" / "shop" / "a" / "run2")
    assert summaries(tmp_path, {"unknown": "x"}) == ([], [])
    (tmp_path / "runs" / "shop" / "b" / "run1" / "summary.json").write_text("{")
    listed = summaries(tmp_path, {})
    assert [row["run_id"] for row in listed.rows] == ["run2", "run0"]
    (sentence,) = listed.damaged
    assert "run1" in sentence


def test_a_run_is_found_by_the_first_digits_of_its_id(tmp_path: Path) -> None:
    first = record(tmp_path, "a", "0123ab", strategy="a")
    second = record(tmp_path, "b", "01ff00", strategy="b")
    record(tmp_path, "b", "0199", "running")
    assert find_run(tmp_path, "0123ab") == find_run(tmp_path, "012") == first
    assert find_run(tmp_path, str(second)) == second
    assert find_run(tmp_path, "01") is None  # two
    assert find_run(tmp_path, "0199") is None  # not complete
    assert find_run(tmp_path, "") is None


def test_measures_of_codes_are_those_of_a_modality(tmp_path: Path) -> None:
    values: dict[str, Any] = {"report_text.use": 0.5, "report_a.b.use": 2, "report_whole": 1.0}
    run = record(tmp_path, "a", "0", valid_auc=0.5, **values)
    assert code_measures(run) == [
        {"modality": "text", "measure": "use", "value": 0.5},
        {"modality": "a.b", "measure": "use", "value": 2.0},
    ]


def test_a_look_is_written_once_and_a_changed_study_is_a_second_one(study: StudyFolder) -> None:
    first = open_test(study.path, "compare")
    assert (first.second, first.sentence, first.before) == (False, "", ())
    again = open_test(study.path, "compare")
    assert (again.second, again.sentence, len(again.before)) == (False, "", 1)
    assert len(openings(study.path)) == 1
    other = open_test(study.path, "decide")  # for another purpose: written, and nothing new
    assert (other.second, len(openings(study.path))) == (False, 2)
    matrix = json.loads((study.path / "matrix.json").read_text())
    (study.path / "matrix.json").write_text(json.dumps({**matrix, "cells": matrix["cells"][:-1]}))
    changed = open_test(study.path, "compare")
    assert changed.second
    assert changed.sentence == (
        "The test split was opened before for another version of this study "
        f"(looks: 2, first {first.opening.time}): what was chosen since may be fitted to it."
    )
    assert [look.purpose for look in openings(study.path)] == ["compare", "decide", "compare"]
    lines = (study.path / LOG).read_text().splitlines()
    assert json.loads(lines[0])["format"] == 1
    (study.path / "study.yaml").write_text((study.path / "study.yaml").read_text() + "\n")
    assert open_test(study.path, "compare").sentence.count("(looks: 3,") == 1


def test_a_look_that_is_on_record_waits_for_nobody(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_test(study.path, "compare")

    def waited(*_: object) -> None:
        raise AssertionError("a lock is taken where nothing is written")

    monkeypatch.setattr(seal, "locked", waited)
    assert len(open_test(study.path, "compare").before) == 1
    with pytest.raises(AssertionError, match="a lock is taken"):
        open_test(study.path, "decide")  # this one is written


def test_the_order_of_runs_makes_no_other_study(study: StudyFolder) -> None:
    open_test(study.path, "compare")
    matrix = json.loads((study.path / "matrix.json").read_text())
    (study.path / "matrix.json").write_text(json.dumps({**matrix, "cells": matrix["cells"][::-1]}))
    assert not open_test(study.path, "compare").second


def test_a_line_after_one_cut_short_begins_anew(study: StudyFolder) -> None:
    (study.path / LOG).write_text('{"time": "now", "purp')
    open_test(study.path, "compare")
    unknown, known = openings(study.path)
    assert (unknown.time, unknown.purpose) == ("at an unknown time", "unreadable record")
    assert known.purpose == "compare"


def test_a_look_at_a_run_is_one_at_each_study_that_has_it(study: StudyFolder) -> None:
    other = study.root / "studies" / "t"
    other.mkdir()
    matrix = json.loads((study.path / "matrix.json").read_text())
    (other / "matrix.json").write_text(json.dumps({**matrix, "cells": matrix["cells"][1:]}))
    (other / "study.yaml").write_text("name: t\n")
    ids = [cell["run_id"] for cell in matrix["cells"]]
    open_test_of_run(study.root, ids[0], "export")
    assert [len(openings(path)) for path in (study.path, other)] == [1, 0]
    open_test_of_run(study.root, ids[1], "predict")
    assert [len(openings(path)) for path in (study.path, other)] == [2, 1]


def test_the_environment_is_what_the_run_ran_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    content = environment(5)
    assert (content["format"], content["threads"], content["cores"]) == (1, 5, os.cpu_count())
    assert (content["device"], environment(1, "NVIDIA H100")["device"]) == ("cpu", "NVIDIA H100")
    assert content["environment"]["OMP_NUM_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in content["environment"]
    assert content["code"] == code_version()
    assert content["packages"]["torch"] == version("torch")
    assert content["packages"]["polars"] == version("polars")
    assert surroundings._version("no-such-package-here") is None


def test_the_code_version_is_of_the_names_and_contents_of_sources() -> None:
    root = Path(specs.__file__).parents[2]
    whole = hashlib.sha256()
    for folder in specs._SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            whole.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    assert code_version() == whole.hexdigest()[:12]


def test_a_spec_that_says_no_more_trains_on_one_thread_and_deals_nothing() -> None:
    assert spec("a", 4).to_json() == {
        "dataset": "shop",
        "fingerprint": "f00",
        "baseline": "a",
        "settings": {"k": 2},
        "training": {"epochs": 1},
        "seed": 4,
        "threads": 1,
        "shuffle": [],
        "code": "c",
        "plugins": "",
    }
    cell = Cell("a", "strategy", spec("a", 4))
    assert (cell.with_test, cell.recipe) == (True, "common")


def test_a_runs_id_is_the_hash_of_all_that_it_depends_on() -> None:
    first = spec("a", 4)
    content = json.dumps(first.to_json(), sort_keys=True, separators=(",", ":"))
    assert first.run_id == hashlib.sha256(content.encode()).hexdigest()[:12]
    changes: dict[str, Any] = {
        "dataset": "x",
        "fingerprint": "x",
        "baseline": "x",
        "settings": {"k": 3},
        "training": {"epochs": 2},
        "seed": 5,
        "threads": 2,
        "shuffle": ("text",),
        "code": "x",
        "plugins": "x",
    }
    ids = {replace(first, **{key: value}).run_id for key, value in changes.items()}
    assert len(ids) == len(changes)
    assert first.run_id not in ids
    cell = Cell("name", "role", first)
    assert cell.seed == 4
    assert (
        cell.to_json().items()
        >= {
            "strategy": "name",
            "role": "role",
            "seed": 4,
            "run_id": first.run_id,
            "baseline": "a",
            "settings": {"k": 2},
        }.items()
    )


def test_settings_are_put_where_their_names_say() -> None:
    raw: dict[str, Any] = {"a": {"b": 1}, "c": 2}
    assign(raw, "a.d.e", 3)
    assign(raw, "c", 4)
    assert raw == {"a": {"b": 1, "d": {"e": 3}}, "c": 4}
    with pytest.raises(UsageError, match=r"^--set c\.x: 'c' holds a value, not a mapping$"):
        assign(raw, "c.x", 5)


STUDY: dict[str, Any] = {
    "name": "s",
    "dataset": "d.yaml",
    "baseline": "a",
    "strategies": {"a": {"baseline": "early_fusion"}},
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strategies": {}}, "strategies is empty; name at least one"),
        ({"baseline": "b"}, "baseline 'b' is not among strategies a"),
        ({"seeds": [1, 1]}, r"seeds \[1, 1\] must be distinct and at least one"),
        ({"seeds": []}, r"seeds \[\] must be distinct and at least one"),
        ({"strategies": {"a": {}, "b/c": {}}}, "strategy name 'b/c' cannot be a folder name"),
        ({"strategies": {"a": {}, ".b": {}}}, "strategy name '.b' cannot be a folder name"),
        ({"strategies": {"a": {}, " ": {}}}, "strategy name ' ' cannot be a folder name"),
        ({"latency": {"candidates": [0, 100]}}, "must be one or more, each from 1"),
        ({"latency": {"candidates": [], "decide_at": 1}}, "must be one or more, each from 1"),
        ({"latency": {"decide_at": 7}}, "decide_at 7 is not among candidates"),
        ({"latency": {"rounds": 2}}, "latency.rounds: .*greater than or equal to 3"),
        (
            {"tuning": {"space": {"k": {"low": 2, "high": 1}}}},
            "range 2 to 1 is empty, or log with an end of 0 or less",
        ),
        (
            {"tuning": {"space": {"k": {"low": 0, "high": 1, "log": True}}}},
            "range 0 to 1 is empty, or log with an end of 0 or less",
        ),
        ({"sedes": [1]}, "unknown key 'sedes'; did you mean 'seeds'"),
        ({"money": {"price": 1}}, "unknown key 'money.price'"),
        ({"dataset": {"synthetic": "tour", "tarin": 3}}, "unknown key 'dataset.tarin'.*'train'"),
    ],
)
def test_a_study_that_means_nothing_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_study({**STUDY, **change}, "s.yaml")


def test_a_study_takes_what_lies_at_its_limits() -> None:
    study = check_study(
        {
            **STUDY,
            "latency": {"candidates": [1], "decide_at": 1, "rounds": 3},
            "tuning": {"space": {"k": {"low": 1, "high": 1}, "l": {"low": 0.5, "high": 1}}},
        },
        "s.yaml",
    )
    assert study.latency.rounds == 3
    assert study.seeds == (0, 1, 2)


def test_a_study_is_read_from_its_file_with_what_is_set(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    study = Study.from_yaml(path, ("seeds=[7]", "strategies.a.k=3"))
    assert (study.seeds, study.strategies["a"].settings) == ((7,), {"k": 3})
    assert study == load_study(path, ("seeds=[7]", "strategies.a.k=3"))
    with pytest.raises(UsageError, match=r"^--set 'seeds': got no '=', expected a\.b=value$"):
        load_study(path, ("seeds",))
    path.write_text("interactions: {path: x}\n")
    with pytest.raises(UsageError, match="got a data set spec, expected a study"):
        load_study(path)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[1", r"expected ',' or '\]', but got '<stream end>'"),
        ("2020-13-45", r"month must be in 1\.\.12"),
    ],
)
def test_what_is_set_and_cannot_be_read_says_why(tmp_path: Path, value: str, problem: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    with pytest.raises(UsageError, match=rf": the value is no YAML \({problem}\); fix it$"):
        load_study(path, (f"owner={value}",))


def test_a_study_that_names_no_space_searches_rates_and_decays() -> None:
    space = check_study(STUDY, "s.yaml").tuning.space
    assert space["training.id_tau"] == (0.1, 0.3, 1.0, 3.0)
    assert space["training.learning_rate"] == (0.003, 0.01)


@pytest.fixture
def fresh_surroundings() -> Iterator[None]:
    """What is looked up once a process is looked up anew, and again after the test."""
    for looked_up in (surroundings._git, surroundings._processor):
        looked_up.cache_clear()
    yield
    for looked_up in (surroundings._git, surroundings._processor):
        looked_up.cache_clear()


@pytest.mark.usefixtures("fresh_surroundings")
def test_the_processor_is_what_the_system_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "processor\t: 0\nmodel name\t: Chip: 9 (2.0)\nmodel name\t: Chip: 8\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert surroundings._processor() == "Chip: 9 (2.0)"
    surroundings._processor.cache_clear()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "processor\t: 0\n")
    assert surroundings._processor() == ""


@pytest.mark.usefixtures("fresh_surroundings")
def test_the_state_of_the_sources_is_theirs_and_not_of_a_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is installed inside somebody's repository has no commit of its own."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    inner = tmp_path / "installed" / "harness" / "runs" / "environment.py"
    inner.parent.mkdir(parents=True)
    monkeypatch.setattr(surroundings, "__file__", str(inner))
    assert surroundings._git() is None
    surroundings._git.cache_clear()
    own = tmp_path / "harness" / "runs" / "environment.py"
    monkeypatch.setattr(surroundings, "__file__", str(own))
    state = surroundings._git()
    assert state is not None
    assert len(state["sha"]) == 40
    assert state["dirty"] is False  # an empty folder is no change
    surroundings._git.cache_clear()
    (tmp_path / "new").touch()
    assert surroundings._git() == {**state, "dirty": True}
