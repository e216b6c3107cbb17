"""Searches and matrices through real trainings: what is trained, once, and what is said."""

import json
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml
from rich.console import Console

from fusefront.datasets.errors import SpecError
from fusefront.harness.cli.app import run as run_verb
from fusefront.harness.errors import FusefrontError, NothingToDoError, UsageError
from fusefront.harness.jobs import pipeline
from fusefront.harness.jobs.pipeline import Conclusion, begin, run_study, train, tune_study
from fusefront.harness.jobs.train import Workspace, fill, tune
from fusefront.harness.training import run as training

THIN = {"strategies": {"early_fusion": {}, "late_fusion": {}}, "training": {"epochs": 1}}


def break_seed(monkeypatch: pytest.MonkeyPatch, *seeds: int) -> None:
    """Trainings at these seeds fail."""
    fit = training.fit

    def refuse(module: Any, data: Any, recipe: Any, epochs: Any, until: int) -> None:
        if epochs.cell.seed in seeds:
            raise ValueError(f"{epochs.cell.strategy} broke")
        fit(module, data, recipe, epochs, until)

    monkeypatch.setattr(training, "fit", refuse)


def printed(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def test_a_study_begins_with_its_files(jobs: Any, console: Console) -> None:
    request = jobs.request("begun", **THIN, owner="me")
    plan, workspace = begin(request, console)
    assert (workspace.root, workspace.folder) == (request.out, request.out / "studies" / "small")
    assert (workspace.workers.root, workspace.workers.store_path) == (request.out, plan.store.path)
    assert (workspace.workers.jobs, workspace.mirror) == (2, None)
    written = yaml.safe_load((workspace.folder / "study.yaml").read_text())
    assert (written["owner"], list(written["strategies"])) == (
        "me",
        ["early_fusion", "late_fusion"],
    )
    assert json.loads((workspace.folder / "audit.json").read_text())
    assert not (workspace.folder / "include.json").exists()
    lines = len(printed(console))
    begin(request, console)
    assert not [line for line in printed(console)[lines:] if "trained by other code" in line]


def test_a_study_that_has_been_there_is_begun_by_its_name(jobs: Any, console: Console) -> None:
    """Its data lies beside the file that it was given in, wherever its record lies."""
    request = jobs.request("named", **THIN, owner="me")
    begin(request, console)
    plan, workspace = begin(replace(request, study_file=Path("small")), console)
    assert (plan.study.owner, workspace.folder.name) == ("me", "small")
    by_folder = replace(request, study_file=workspace.folder, overrides=("owner=you",))
    assert begin(by_folder, console)[0].study.owner == "you"
    again = begin(replace(request, study_file=Path("small")), console)[0]
    assert again.study.owner == "you"
    with pytest.raises(SpecError, match="smell"):
        begin(replace(request, study_file=Path("smell")), console)


def test_a_search_begun_otherwise_is_refused_before_the_study_is_written(
    jobs: Any, console: Console
) -> None:
    """Its name alone would stand for what was refused."""
    request = jobs.request("begun", **THIN, tuning={"trials": 2})
    plan, workspace = begin(request, console)
    plan.searches(workspace.folder)
    before = (workspace.folder / "study.yaml").read_text()
    with pytest.raises(UsageError, match="begun with another seed, lag, space or sampler"):
        begin(replace(request, overrides=("tuning.seed=5",)), console)
    assert (workspace.folder / "study.yaml").read_text() == before


def test_a_limit_keeps_the_first_strategies_and_what_runs_today(
    jobs: Any, console: Console
) -> None:
    strategies = {name: {"baseline": "early_fusion"} for name in ("a", "b")}
    more = {"late_fusion": {}, "c": {"baseline": "early_fusion"}}
    request = jobs.request("limited", strategies={**strategies, **more})
    for limit, names in (
        (1, ["a", "late_fusion"]),
        (2, ["a", "b", "late_fusion"]),
        (3, ["a", "b", "late_fusion"]),
        (None, ["a", "b", "late_fusion", "c"]),
    ):
        plan, _ = begin(replace(request, limit=limit), console)
        assert list(plan.strategies) == names
    plan, _ = begin(
        replace(request, overrides=("seeds=[7]", "strategies.a.token_width=8")), console
    )
    assert plan.study.seeds == (7,)
    assert plan.strategies["a"].settings == {"token_width": 8}


def test_a_matrix_is_written_before_and_trained_once(jobs: Any, console: Console) -> None:
    """Two names of one strategy are one run."""
    strategies = {**THIN["strategies"], "again": {"baseline": "early_fusion"}}
    request = jobs.request("trained", strategies=strategies)
    plan, workspace = begin(request, console)
    cells, failed, _ = train(plan, workspace)
    assert failed == []
    assert [(cell.strategy, cell.seed) for cell in cells] == [
        (name, seed) for name in strategies for seed in (4, 9)
    ]
    assert [cell.strategy for cell in jobs.workers[-1].trained] == [
        *["early_fusion"] * 2,
        *["late_fusion"] * 2,
    ]
    assert jobs.workers[-1].closed
    matrix = json.loads((workspace.folder / "matrix.json").read_text())
    assert (matrix["dataset"], matrix["fingerprint"]) == ("ragged", plan.store.fingerprint)
    assert (request.out / matrix["store"]).resolve() == plan.store.path.resolve()
    assert [cell["run_id"] for cell in matrix["cells"]] == [cell.spec.run_id for cell in cells]
    lines = [line for line in printed(console) if line.startswith("run ")]
    assert [line.split(":")[0] for line in lines] == [f"run {n} of 4" for n in (1, 2, 3, 4)]
    assert "early_fusion seed 4 epoch 1/1" in lines[0]
    assert lines[3].endswith(", 0 s left")

    plan, workspace = begin(request, console)
    before = len(printed(console))
    assert fill(plan, workspace, cells, "run") == []
    assert jobs.workers[-1].trained == []
    assert printed(console)[before:] == []


def test_runs_that_fail_are_told_and_the_others_go_on(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_seed(monkeypatch, 9)
    monkeypatch.setattr(pipeline, "conclude", lambda *_: Conclusion(Path("the page"), "take it"))
    request = jobs.request("broken", **THIN)
    with pytest.raises(
        FusefrontError,
        match=r"^2 of 4 runs failed \(early_fusion seed 9, late_fusion seed 9\); the others are in "
        r"the page; first reason: ValueError: early_fusion broke$",
    ):
        run_study(request, console)
    assert jobs.workers[-1].closed
    assert "run early_fusion seed 9 starts failed: ValueError: early_fusion broke" in printed(
        console
    )


def test_a_whole_study_ends_with_its_conclusion(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Conclusion(Path("the page"), "take it")
    folders = []

    def conclude(folder: Any, workspace: Any) -> Conclusion:
        folders.append((folder.root, folder.path, folder.spec.name, workspace.workers.closed))
        return expected

    monkeypatch.setattr(pipeline, "conclude", conclude)
    request = jobs.request("whole", **THIN)
    assert run_study(request, console) == expected
    assert folders == [(request.out, request.out / "studies" / "small", "small", True)]


def test_an_unequal_search_ends_run_and_tune_with_4_unless_it_is_accepted(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line: a trial of late_fusion breaks, so early_fusion was searched more."""
    fit = training.fit

    def breaks(module: Any, data: Any, recipe: Any, epochs: Any, until: int) -> None:
        if epochs.cell.strategy == "late_fusion" and recipe.learning_rate < 0.005:
            raise RuntimeError("broke")
        fit(module, data, recipe, epochs, until)

    monkeypatch.setattr(training, "fit", breaks)
    monkeypatch.setattr(pipeline, "conclude", lambda *_: Conclusion(Path("the page"), "take it"))
    own = {**{key: [] for key in CHOICES}, "training.learning_rate": [0.004, 0.00401]}
    request = jobs.request(
        "unequal",
        strategies={name: {"space": deepcopy(own)} for name in ("early_fusion", "late_fusion")},
        tuning={"trials": 2, "space": {"training.clip": [9.0, 10.0]}},  # trial 0: the defaults
    )
    words = ["--out", str(request.out)]

    def ends(verb: str, *more: str) -> tuple[int | None, str]:
        monkeypatch.setattr(sys, "argv", ["fusefront", verb, *more, *words])
        code = run_verb()
        return code, capsys.readouterr().err

    spent = "late_fusion got 1 trials, others 2 (1 ended by error)"
    study = str(request.study_file)
    code, sentence = ends("run", study, "--no-wandb")
    assert code == 4, sentence
    assert spent in sentence
    assert "the page is the page" in sentence
    code, sentence = ends("tune", study, "--no-wandb")
    assert (code, spent in sentence) == (4, True)
    accepted = ("--set", "tuning.accept={late_fusion: it breaks by design}")
    assert ends("tune", study, "--no-wandb", *accepted)[0] is None
    assert ends("run", study, "--no-wandb", *accepted)[0] is None


def test_a_search_gives_every_run_its_winners_parameters(jobs: Any, console: Console) -> None:
    space = {"training.learning_rate": [0.001, 0.002, 0.003]}
    strategies = {
        "early_fusion": {"space": {key: [] for key in CHOICES}},
        "late_fusion": {"tune": False},
    }
    request = jobs.request(
        "searched", strategies=strategies, tuning={"trials": 3, "space": space}, seeds=[4]
    )
    searched = tune_study(request, console, request.out / "trials.db")
    (winner,), (spent,) = searched.winners.values(), searched.spent
    assert (spent.strategy, spent.finished, spent.cap) == ("early_fusion", 3, 3)
    assert (searched.unequal, searched.without) == ("", [])
    assert spent.seconds == winner["seconds"] > 0
    (mirror,) = optuna.load_study(
        study_name="small/early_fusion", storage=f"sqlite:///{request.out / 'trials.db'}"
    ).get_trials()[:1]
    assert list(mirror.intermediate_values) == [1]  # its epoch
    assert jobs.workers[-1].closed
    trained = jobs.workers[-1].trained
    assert [(cell.strategy, cell.role, cell.with_test) for cell in trained] == [
        ("early_fusion", "trial", False)
    ] * 3
    assert winner["strategy"] == "early_fusion"
    assert winner["trials"] == 3
    assert [line.split(":")[0] for line in printed(console) if line.startswith("trial ")] == [
        f"trial {n} of 3" for n in (1, 2, 3)
    ]
    records = [
        json.loads(path.read_text())
        for path in sorted(request.out.glob("studies/small/tuning/early_fusion/trial-*.json"))
    ]
    best = max(records, key=lambda record: (record["value"], -record["number"]))
    assert (winner["number"], winner["params"]) == (best["number"], best["params"])
    plan, workspace = begin(request, console)
    assert tune(plan, workspace).params == {"early_fusion": best["params"]}
    assert jobs.workers[-1].trained == []  # its trials have their records
    cells, *_ = train(plan, workspace)
    rate = best["params"].get("training.learning_rate", 0.01)
    assert [cell.spec.training["learning_rate"] for cell in cells] == [rate, 0.01]


def test_finalists_choose_before_the_seeds_that_are_reported(jobs: Any, console: Console) -> None:
    space = {"training.learning_rate": [0.001, 0.002, 0.003, 0.004]}
    strategies = {
        "early_fusion": {"space": {key: [] for key in CHOICES}},
        "late_fusion": {"tune": False},
    }
    tuning = {"trials": 4, "finalists": 2, "space": space}
    request = jobs.request("finals", strategies=strategies, tuning=tuning, seeds=[4])
    (winner,) = tune_study(request, console).winners.values()
    trained = jobs.workers[-1].trained
    again = [cell.spec.seed for cell in trained if cell.spec.seed != 1_000_003]
    assert sorted(again) == [2_000_006, 2_000_006, 3_000_009, 3_000_009]
    assert not any(cell.with_test for cell in trained)
    assert len(winner["finalists"]) == 2
    means = {f["number"]: sum(f["values"]) / 3 for f in winner["finalists"]}
    assert all(len(f["values"]) == 3 for f in winner["finalists"])
    assert winner["number"] == max(means, key=lambda number: (means[number], -number))
    plan, workspace = begin(request, console)
    assert tune(plan, workspace).params == {"early_fusion": winner["params"]}
    assert jobs.workers[-1].trained == []  # the choice is frozen
    cells, *_ = train(plan, workspace)
    assert {cell.spec.seed for cell in cells} == {4}
    with pytest.raises(UsageError, match="seed 2000006 is used by the search to choose"):
        begin(replace(request, overrides=("seeds=[2000006]",)), console)


CHOICES = (
    "token_width",
    "id_width",
    "compressor.k",
    "head.hidden",
    "head.dropout",
    "presence_features",
    "modality_dropout",
)


def test_a_search_none_of_whose_trials_ended_leaves_the_defaults(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_seed(monkeypatch, 1_000_003)
    request = jobs.request("unsearched", **THIN, tuning={"trials": 1}, seeds=[4])
    plan, workspace = begin(request, console)
    assert tune(plan, workspace) == ({}, {})
    lines = [line for line in printed(console) if "its runs try the defaults" in line]
    assert [line.split(":")[0] for line in lines] == ["early_fusion", "late_fusion"]
    assert "ValueError: early_fusion broke" in lines[0]


def test_nothing_to_search_is_said(jobs: Any, console: Console) -> None:
    with pytest.raises(NothingToDoError, match=r"tuning\.trials is 0; give --trials N$"):
        tune_study(jobs.request("nothing", **THIN), console)


def test_data_that_is_not_there_is_said(jobs: Any, console: Console) -> None:
    request = jobs.request("nowhere", **THIN, dataset="gone.yaml")
    with pytest.raises(UsageError, match=r"dataset 'gone\.yaml' is not a file beside the study"):
        begin(request, console)
    request = replace(jobs.request("nowhere", **THIN), data=jobs.folder / "gone")
    with pytest.raises(UsageError, match=r"--data .*gone: not a folder; give the one"):
        begin(request, console)
    moved = jobs.folder / "moved"
    if not moved.exists():
        moved.symlink_to(jobs.folder)
    plan, _ = begin(replace(jobs.request("moved-out", **THIN), data=moved), console)
    assert plan.store.name == "ragged"


def test_data_outside_its_folder_is_read_only_where_a_person_allows_it(
    jobs: Any, console: Console
) -> None:
    """The data set that a study names may be anybody's."""
    inner = jobs.folder / "inner"
    inner.mkdir(exist_ok=True)
    raw = yaml.safe_load((jobs.folder / "ragged.yaml").read_text())
    for part in (raw["interactions"], raw["items"], *raw["modalities"].values()):
        part["path"] = f"../{part['path']}"
    (inner / "d.yaml").write_text(yaml.safe_dump(raw))
    request = jobs.request("outside", **THIN, dataset="inner/d.yaml")
    with pytest.raises(SpecError, match="outside"):
        begin(request, console)
    plan, _ = begin(replace(request, allow_outside=True), console)
    assert plan.store.name == "ragged"


def test_a_single_good_trial_is_no_choice_and_is_not_trained_again(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three trials two break: nothing is left for finalists to decide."""
    fit = training.fit

    def breaks(module: Any, data: Any, recipe: Any, epochs: Any, until: int) -> None:
        if recipe.learning_rate < 0.005:
            raise ValueError("broke")
        fit(module, data, recipe, epochs, until)

    monkeypatch.setattr(training, "fit", breaks)
    own = {**{key: [] for key in CHOICES}, "training.learning_rate": [0.004, 0.00401]}
    strategies = {"early_fusion": {"space": own}, "late_fusion": {"tune": False}}
    tuning = {"trials": 3, "finalists": 2, "space": {"training.clip": [9.0, 10.0]}}
    request = jobs.request("alone", strategies=strategies, tuning=tuning, seeds=[4])
    plan, workspace = begin(request, console)
    (winner,) = tune(plan, workspace).winners.values()
    assert {cell.spec.seed for cell in jobs.workers[-1].trained} == {1_000_003}
    assert [f["number"] for f in winner["finalists"]] == [winner["number"]] == [0]


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_end_closes_the_workers_and_the_mirror(tmp_path: Path, mirrored: bool) -> None:
    closed: list[str] = []
    workers: Any = SimpleNamespace(close=lambda: closed.append("workers"))
    mirror: Any = SimpleNamespace(close=lambda: closed.append("mirror")) if mirrored else None
    pipeline.end(Workspace(tmp_path, tmp_path, workers, Console(), mirror))
    assert closed == ["workers", *["mirror"] * mirrored]
