"""How a study begins: what is checked, swept and said before anything is trained."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from fusefront.datasets.errors import DataContractError, PlaceError
from fusefront.datasets.locks import LIMIT, Wait, locked
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs import pipeline
from fusefront.harness.jobs.pipeline import StudyRequest, at_work, begin
from fusefront.harness.jobs.train import Tuned
from fusefront.harness.parts.included import RecordedPart
from fusefront.harness.parts.kinds import DATA_KINDS, KINDS
from fusefront.harness.runs.tracking import USUAL
from fusefront.harness.runs.unneeded import at_work_file
from fusefront.harness.serving.latency.lock import measuring_lock
from fusefront.harness.training.capacity import Capacity
from fusefront.harness.tuning.search import NoWinnerError

THIN = {"strategies": {"early_fusion": {}, "late_fusion": {}}}


def printed(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def test_a_request_without_more_mirrors_reads_no_foreign_path_and_takes_all(tmp_path: Path) -> None:
    """And hashes the store once a day; two workers."""
    request = StudyRequest(Path("s.yaml"), tmp_path)
    assert (request.jobs, request.wandb, request.account) == (2, True, USUAL)
    assert (request.allow_outside, request.verify) == (False, False)
    assert (request.data, request.limit, request.overrides, request.include) == (None, None, (), ())


def test_a_study_that_begins_sweeps_and_says_what_it_lacks(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What killed processes left is gone; brackets are printed as they are."""
    refused = {"boosted": "an [hour]"}
    request = jobs.request("lacks", **THIN, controls=refused, tuning={"trials": 1}, owner="Zoë")
    request = replace(request, wandb=True)
    plan, workspace = begin(request, console)
    assert "Control boosted was refused: an [hour]." in printed(console)
    assert "owner: Zoë" in (workspace.folder / "study.yaml").read_text("utf-8")
    mirror = workspace.mirror
    assert mirror is not None
    assert (mirror.study, mirror.account) == ("small", USUAL)
    plan.searches(workspace.folder)
    left = [
        folder / ".status.json.tmp-1-ff"
        for folder in (workspace.folder, workspace.folder / "tuning" / "early_fusion")
    ]
    for path in left:
        path.touch()
    monkeypatch.setattr(pipeline, "reidentified", lambda *_: "3 runs of [other] code")
    begin(request, console)
    assert "3 runs of [other] code" in printed(console)
    assert [path for path in left if path.exists()] == []
    mirror.tell("the mirror [is] silent")
    assert printed(console)[-1] == "the mirror [is] silent"


def test_how_many_train_at_a_time_is_measured_where_it_is_left_open(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while latency is measured, and not where a number is given."""
    during: list[str] = []

    def measured(store: PreparedDataset) -> Capacity:
        with measuring_lock(timeout=0.01) if during else nullcontext():
            during.append(store.name)
        return Capacity(3, 2.4, 5)

    monkeypatch.setattr(pipeline, "measured_capacity", measured)
    request = jobs.request("measured", **THIN)
    _, workspace = begin(replace(request, jobs=5), console)
    assert (workspace.workers.jobs, during) == (5, [])
    _, workspace = begin(replace(request, jobs=0), console)
    assert (workspace.workers.jobs, len(during)) == (3, 1)
    assert Capacity(3, 2.4, 5).sentence() in printed(console)
    with pytest.raises(PlaceError, match="training"):
        begin(replace(request, jobs=0), console)


def test_a_store_that_has_changed_is_not_trained_on(jobs: Any, console: Console) -> None:
    request = jobs.request("changed", **THIN)
    plan, _ = begin(request, console)
    label = plan.store.path / "test" / "row" / "label.npy"
    content = label.read_bytes()
    label.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataContractError, match=r"label\.npy: changed since it was written"):
        begin(replace(request, verify=True), console)


def test_severe_findings_are_on_record_before_they_end_the_study(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(findings: Any, accept: Any) -> None:
        raise DataContractError(f"accepted: {accept!r}")

    request = jobs.request("severe", **THIN, tuning={"trials": 1})
    monkeypatch.setattr(pipeline, "refuse_severe", refuse)
    with pytest.raises(DataContractError, match=r"^accepted: \(\)$"):
        begin(request, console)
    folder = request.out / "studies" / "small"
    assert json.loads((folder / "audit.json").read_text())["format"] == 1
    assert not (folder / "study.yaml").exists()
    assert not (folder / "tuning").exists()  # no search has begun


def test_a_metric_that_nobody_offers_ends_a_study_as_it_begins(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output folder is durable by then, with every folder above it."""
    durable: list[Path] = []
    monkeypatch.setattr(pipeline, "make_folder", durable.append)
    request = jobs.request("unknown", **THIN, comparison={"metrics": ["auc", "gaim"]})
    with pytest.raises(UsageError, match=r"^metric 'gaim' is not known; known: "):
        begin(request, console)
    assert durable == [request.out]


def test_commands_at_work_share_an_output_folder(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "0.1")
    with at_work(tmp_path, console), at_work(tmp_path, console):
        pass
    with (
        locked(at_work_file(tmp_path), Wait("")),  # as `fusefront gc` does
        pytest.raises(PlaceError, match="to end"),
        at_work(tmp_path, console),
    ):
        pytest.fail("it was not waited for")


def test_a_search_without_a_winner_says_why(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is left out has said so before; of one with a winner there is nothing to say."""
    frozen: list[str] = []

    def search(name: str) -> Any:
        def freeze() -> None:
            frozen.append(name)
            raise NoWinnerError(f"{name}: no trial finished")

        return SimpleNamespace(strategy=name, freeze=freeze)

    study = SimpleNamespace(name="s", tuning=SimpleNamespace(trials=1, accept={"a": "dear"}))
    searches = [search(name) for name in ("won", "lost", "out")]
    plan = SimpleNamespace(study=study, searches=lambda _: searches, searched=lambda: ["lost"])
    workspace = SimpleNamespace(root=tmp_path, folder=tmp_path)
    tuned: Any = Tuned({"won": {}}, {"out": "damaged"})  # type: ignore[dict-item, typeddict-item]
    monkeypatch.setattr(pipeline, "begin", lambda *_: (plan, workspace))
    monkeypatch.setattr(pipeline, "tune", lambda *_: tuned)
    monkeypatch.setattr(pipeline, "end", lambda _: None)
    monkeypatch.setattr(pipeline, "budgets", lambda *of: [of])
    monkeypatch.setattr(pipeline, "unequal", lambda *of: str(of))
    outcome = pipeline.tune_study(StudyRequest(Path("s.yaml"), tmp_path), console)
    assert (outcome.without, frozen) == (["lost: no trial finished"], ["lost"])
    assert (outcome.winners, outcome.left_out) == tuple(tuned)
    spent = [(tmp_path, study.tuning, ["lost"])]
    assert (outcome.spent, outcome.unequal) == (spent, str((spent, {"a": "dear"})))


def test_parts_of_the_data_are_read_where_they_are_and_missed_by_nobody(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strategy's part that is gone is missed only where the study still names it."""
    calls: list[tuple[Any, ...]] = []

    def noted(*of: Any, **words: Any) -> tuple[Path, ...]:
        calls.append((*of, words))
        return ()

    monkeypatch.setattr(pipeline, "included", noted)
    request = jobs.request("parts", **THIN)
    begin(request, console)
    (folder, paths, must, may, _), (again, files, words) = calls
    assert (folder, again) == (request.out / "studies" / "small",) * 2
    assert (list(paths), list(files)) == ([], [])
    kinds = [kind.word for kind in KINDS]
    parts = [RecordedPart(kind=kind, name="mine") for kind in kinds]
    assert not any(must(part) for part in parts)
    assert [part.kind for part in parts if may(part)] == [
        word for word in kinds if word in {kind.word for kind in DATA_KINDS}
    ]
    assert len(DATA_KINDS) < len(KINDS)
    assert not any(words["must"](part) for part in parts)
