"""The mirror never hurts: no request offline, one warning and the study goes on, nothing sent
twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from standin import StandIn

from fusefront.harness.errors import FusefrontError
from fusefront.harness.jobs.mirror import Mirror
from fusefront.harness.jobs.sync import mirror_missing, send, unsent
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.tracking import USUAL, Account, TrackingCard, is_mirrored, is_synced

IDS = ("a" * 12, "b" * 12)
NOWHERE = Account("", "")  # as recorded


@pytest.fixture(autouse=True)
def nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_ERROR_REPORTING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there


def log_in(monkeypatch: pytest.MonkeyPatch, api: StandIn) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", api.url)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)


def complete_run(out: Path, run_id: str) -> Path:
    """The files of a run that the mirror reads."""
    run = out / "runs" / "shop" / "late_fusion" / run_id
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("seed: 0\ntraining: {epochs: 2}\n")
    summary = {"run_id": run_id, "strategy": "late_fusion", "role": "strategy", "seed": 0}
    (run / "summary.json").write_text(json.dumps({"format": 1, **summary, "valid_auc": 0.7}))
    lines = ['{"epoch": 1, "valid_auc": 0.6}', '{"epoch": 2, "valid_auc": 0.7}']
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return run


def decided_study(out: Path) -> Path:
    """A study's decision and the matrix that names its runs."""
    study = out / "studies" / "first"
    study.mkdir(parents=True)
    cells = [
        {"strategy": "late_fusion", "role": "strategy", "seed": 0, "run_id": run_id}
        for run_id in IDS
    ]
    matrix = {"dataset": "shop", "fingerprint": "f", "store": "prepared/shop/f", "cells": cells}
    (study / "matrix.json").write_text(json.dumps(matrix))
    auc = {"value": 0.71, "low": 0.70, "high": 0.72}
    decision = {"dataset": "shop", "fingerprint": "f", "sentence": "Keep late_fusion."}
    rows = [{"strategy": "late_fusion", "auc": auc, "run_ids": list(IDS)}]
    (study / "decision.json").write_text(json.dumps({**decision, "strategies": rows}))
    return study


def card(run: Path) -> TrackingCard:
    return TrackingCard(run.name, "late_fusion", "strategy", 0, "first")


def in_own_network(run: Path, what: str) -> dict[str, list[object]]:
    script = Path(__file__).with_name("own_network.py")
    command = ["unshare", "-rmn", sys.executable, str(script), str(run), what]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    counted: dict[str, list[object]] = json.loads(process.stdout.splitlines()[-1])
    return counted


@pytest.mark.needs("unshare")
def test_offline_asks_for_no_name_and_opens_no_connection(tmp_path: Path) -> None:
    run = complete_run(tmp_path, IDS[0])
    assert in_own_network(run, "mirror") == {"names": [], "connections": []}
    assert is_mirrored(run)
    assert not is_synced(run)


@pytest.mark.needs("unshare")
def test_the_counting_network_sees_a_process_that_asks_and_connects(tmp_path: Path) -> None:
    counted = in_own_network(complete_run(tmp_path, IDS[0]), "asking")
    assert set(counted["names"]) == {"api.example.org"}
    assert counted["connections"] == [443]


@pytest.mark.parametrize("key", ["", "k" * 40])
def test_without_a_key_or_a_server_one_warning_and_the_mirror_is_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    lines: list[str] = []
    mirror = Mirror(USUAL, "first", lines.append)
    runs = [complete_run(tmp_path, run_id) for run_id in IDS]
    for run in runs:
        mirror.send_run(run, card(run))
    assert mirror.close() == 0
    assert len(lines) == 1
    assert lines[0].endswith("; the study goes on, `fusefront sync` sends what is missing later")
    assert all(is_mirrored(run) and not is_synced(run) for run in runs)
    assert unsent(tmp_path) == runs


def test_a_server_that_never_answers_costs_no_more_than_the_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    run = complete_run(tmp_path, IDS[0])
    with StandIn(silent=True) as api:
        log_in(monkeypatch, api)
        monkeypatch.setenv("WANDB_MODE", "online")
        mirror = Mirror(USUAL, "first", lines.append, patience=10)
        mirror.send_run(run, card(run))
        assert mirror.close() == 1
    assert lines == [
        "the Weights & Biases mirror does not get on (no answer for 10 s); the study goes on, "
        "`fusefront sync` sends what is missing later"
    ]
    assert not is_mirrored(run)  # so that sync makes it anew


def test_what_sync_sends_arrives_once_with_group_tags_epochs_and_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [complete_run(tmp_path, run_id) for run_id in IDS]
    study = decided_study(tmp_path)
    with StandIn() as api:
        log_in(monkeypatch, api)
        mirror_missing(tmp_path, USUAL, print)
        assert api.requests == 0
        send(unsent(tmp_path), NOWHERE, 120)
        sent = {run["name"]: run for run in api.runs if run["groupName"]}
        assert len(sent) == 3
        for run in runs:
            assert sent[run.name]["groupName"] == "first"
            assert sent[run.name]["project"] == "fusefront"
            assert sent[run.name]["jobType"] == "strategy"
            assert sent[run.name]["tags"] == ["late_fusion", "strategy", "seed 0"]
            rows = api.history[run.name]
            assert [(row["epoch"], row["valid_auc"]) for row in rows] == [(1, 0.6), (2, 0.7)]
        (summary,) = (run for run in sent.values() if run["jobType"] == "decision")
        (figures,) = api.history[summary["name"]]
        assert figures["strategies"]["_type"] == "table-file"
        before = api.requests
        mirror_missing(tmp_path, USUAL, print)
        assert unsent(tmp_path) == []
        send(unsent(tmp_path), NOWHERE, 120)
        assert api.requests == before  # a second sync sends nothing
        assert is_synced(study)


def test_a_sync_that_was_refused_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in IDS:
        complete_run(tmp_path, run_id)
    mirror_missing(tmp_path, USUAL, print)
    with StandIn(refused=frozenset([IDS[1]])) as api:
        log_in(monkeypatch, api)
        with pytest.raises(FusefrontError, match=r"^1 of 2 mirrors sent, then b{12} was not \("):
            send(unsent(tmp_path), NOWHERE, 120)
    with StandIn() as api:
        log_in(monkeypatch, api)
        assert [path.name for path in unsent(tmp_path)] == [IDS[1]]
        send(unsent(tmp_path), Account("other", "team"), 120)
        assert {run["name"] for run in api.runs} == {IDS[1]}
        assert api.runs[0]["project"] == "other"


def test_online_epochs_arrive_live_and_not_again_with_their_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = complete_run(tmp_path, IDS[0])
    spec = RunSpec("shop", "f", "late_fusion", {}, {"epochs": 2}, 0)
    cell = Cell("late_fusion", "strategy", spec)
    with StandIn() as api:
        log_in(monkeypatch, api)
        monkeypatch.setenv("WANDB_MODE", "online")
        lines: list[str] = []
        mirror = Mirror(USUAL, "first", lines.append)
        mirror.epoch(cell, run, {"epoch": 1, "valid_auc": 0.6})
        mirror.complete(cell, run)
        assert mirror.close() == 0
        assert lines == []
        (rows,) = api.history.values()
        assert [row["epoch"] for row in rows] == [1, 2]
    assert is_synced(run)
