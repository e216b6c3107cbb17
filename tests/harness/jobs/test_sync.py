"""`fusefront sync`: what no server has is mirrored and sent once, and what hinders it is said."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fusefront.harness.errors import FusefrontError, NothingToDoError
from fusefront.harness.jobs import sync
from fusefront.harness.runs import tracking
from fusefront.harness.runs.tracking import Account, TrackingCard, is_synced, note


class Mirrored:
    """A stand-in for the mirror that keeps what it is given."""

    missing = 0
    last: "Mirrored"

    def __init__(self, account: Account, study: str, tell: sync.Tell) -> None:
        self.account, self.study, self.tell, self.mode = account, study, tell, "online"
        self.runs: list[tuple[str, TrackingCard]] = []
        self.studies: list[tuple[Path, Path]] = []
        Mirrored.last = self

    def send_run(self, run: Path, card: TrackingCard) -> None:
        self.runs.append((run.name, card))

    def decided(self, study: Path, page: Path) -> None:
        self.studies.append((study, page))

    def close(self) -> int:
        return self.missing


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> type[Mirrored]:
    monkeypatch.setattr(sync, "Mirror", Mirrored)
    monkeypatch.setattr(Mirrored, "missing", 0)
    return Mirrored


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def recorded(out: Path, run_id: str, seed: int, role: str = "strategy") -> Path:
    run = out / "runs" / "d" / "a" / run_id
    write(run / "summary.json", {"run_id": run_id, "strategy": "a", "role": role, "seed": seed})
    return run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two studies of three runs and a trial: one run is mirrored already, one in both studies."""
    for seed, run_id in enumerate(("r0", "r1", "r2")):
        recorded(tmp_path, run_id, seed)
    recorded(tmp_path, "t0", 7, "trial")
    note(tmp_path / "runs" / "d" / "a" / "r1", "r1", synced=False)
    for study, run_ids in (("late", ("r0", "r1")), ("early", ("r1", "r2"))):
        cells = [{"strategy": "a", "role": "strategy", "seed": 0, "run_id": r} for r in run_ids]
        matrix = {"dataset": "d", "fingerprint": "f", "store": "s", "cells": cells}
        write(tmp_path / "studies" / study / "matrix.json", matrix)
    trial = {"number": 0, "run_id": "t0", "state": "ok", "value": 0.5}
    write(tmp_path / "studies" / "trying" / "tuning" / "a" / "trial-0000.json", trial)
    write(tmp_path / "studies" / "late" / "decision.json", {})
    return tmp_path


def test_every_run_without_a_mirror_is_sent_under_its_study(
    out: Path, mirror: type[Mirrored]
) -> None:
    (out / "runs" / "d" / "a" / "broken").mkdir()
    (out / "runs" / "d" / "a" / "broken" / "summary.json").write_text("{")
    lines: list[str] = []
    sync.mirror_missing(out, Account("", "team"), lines.append)
    assert sorted(mirror.last.runs) == [
        ("r0", TrackingCard("r0", "a", "strategy", 0, "late")),
        ("r2", TrackingCard("r2", "a", "strategy", 2, "early")),
        ("t0", TrackingCard("t0", "a", "trial", 7, "trying")),
    ]
    assert mirror.last.studies == [
        (out / "studies" / "late", out / "reports" / "late" / "index.html")
    ]
    assert (mirror.last.account, mirror.last.mode) == (Account("fusefront", "team"), "offline")
    assert len(lines) == 1
    assert lines[0].startswith(f"left out: {out / 'runs' / 'd' / 'a' / 'broken'}")
    sync.mirror_missing(out, Account("own", ""), lines.append)
    assert mirror.last.account == Account("own", "")


def test_a_run_of_two_studies_is_filed_under_the_first_by_name(out: Path) -> None:
    studies = sync.studies_of_runs(out)
    assert studies == {"r0": "late", "r1": "early", "r2": "early", "t0": "trying"}


def test_what_is_missing_is_counted_and_nothing_is_said(
    out: Path, mirror: type[Mirrored], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "missing", 2)
    with pytest.raises(FusefrontError, match=r"^2 runs could not be mirrored; sync again$"):
        sync.mirror_missing(out, Account(), lambda _: None)
    with pytest.raises(NothingToDoError, match="no runs under"):
        sync.mirror_missing(out / "nowhere", Account(), lambda _: None)


def test_what_no_server_has_is_listed_by_its_mark(out: Path) -> None:
    runs, studies = out / "runs" / "d" / "a", out / "studies"
    note(runs / "r0", "r0", synced=True)
    note(studies / "late", "x", synced=False)
    assert sync.unsent(out) == [runs / "r1", studies / "late"]
    assert tracking.MARK == "mirrored.json"


class Server:
    """`wandb sync` as a stand-in: the mirrors it takes get a file with the end .synced."""

    def __init__(self, takes: Sequence[str] = (), *, says: str = "", code: int = 0) -> None:
        self.takes, self.says, self.code = takes, says, code
        self.calls: list[list[str]] = []
        self.words: dict[str, Any] = {}

    def run(self, command: list[str], **words: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append(command[1:])
        self.words = words
        for word in command:
            if Path(word).name in self.takes:
                Path(word, "run.wandb.synced").touch()
        return subprocess.CompletedProcess(command, self.code, stdout="", stderr=self.says)


def offline(out: Path, *names: str) -> Path:
    """A mirrored run with offline mirrors of these names."""
    run = out / "runs" / "d" / "a" / "r1"
    for name in names:
        (run / "wandb" / name).mkdir()
    return run


def test_a_mirror_that_arrived_is_marked(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = offline(out, "offline-run-1", "offline-run-2")
    server = Server(["offline-run-1", "offline-run-2"], code=1)  # its code says nothing
    monkeypatch.setattr(subprocess, "run", server.run)
    sync.send([run], Account("p", "team"), 30.0)
    mirrors = [str(run / "wandb" / f"offline-run-{n}") for n in (1, 2)]
    assert server.calls == [
        ["-m", "wandb", "sync", "--project", "p", "--entity", "team", *mirrors],
    ]
    assert server.words["timeout"] == 30.0
    keys = ("check", "capture_output", "text", "stdin")
    assert [server.words[key] for key in keys] == [False, True, True, subprocess.DEVNULL]
    assert server.words["env"]["WANDB_SILENT"] == "false"
    assert server.words["env"]["WANDB_ERROR_REPORTING"] == "false"
    assert is_synced(run)
    assert sync.unsent(out) == []
    sync.send([run], Account("", ""), 30.0)
    assert server.calls[-1] == ["-m", "wandb", "sync", *mirrors]


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(["offline-run-1"], says="one\nwandb: no permission\n"), "no permission"),
        (Server(says="", code=3), "wandb sync ended with code 3"),
        (Server(says="x" * 300), "x" * 160),
    ],
)
def test_a_mirror_that_did_not_arrive_ends_it_with_the_reason(
    out: Path, monkeypatch: pytest.MonkeyPatch, server: Server, reason: str
) -> None:
    """One of its two parts arrived at most."""
    run = offline(out, "offline-run-1", "offline-run-2")
    monkeypatch.setattr(subprocess, "run", server.run)
    with pytest.raises(
        FusefrontError, match=rf"^0 of 2 mirrors sent, then r1 was not \({reason}\)"
    ):
        sync.send([run, run], Account(), 1.0)
    assert len(server.calls) == 1
    assert not is_synced(run)


def test_a_run_without_its_mirror_has_not_arrived(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", Server().run)
    with pytest.raises(FusefrontError, match="wandb sync ended with code 0"):
        sync.send([out / "runs" / "d" / "a" / "r1"], Account(), 1.0)


def test_a_server_that_does_not_answer_is_waited_for_so_long(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(command: list[str], **words: Any) -> None:
        raise subprocess.TimeoutExpired(command, words["timeout"])

    run = offline(out, "offline-run-1")
    monkeypatch.setattr(subprocess, "run", silent)
    with pytest.raises(FusefrontError, match=r"\(no answer for 2\.5 s\)"):
        sync.send([run], Account(), 2.5)
