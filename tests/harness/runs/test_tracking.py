"""What is handed to Weights & Biases: each epoch once, a summary, a decision as a table."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from fusefront.harness.runs import tracking
from fusefront.harness.runs.tracking import Account, TrackingCard

LONG = "s" * 70


class Session:
    """A stand-in for the package `wandb` that writes down what it is given."""

    def __init__(self) -> None:
        self.words: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self.lines: list[tuple[dict[str, Any], int | None]] = []
        self.summary: dict[str, Any] = {}
        self.ended = 0

    def init(self, **words: Any) -> "Session":
        assert Path(words["dir"], "wandb").is_dir()
        self.words = words
        return self

    def log(self, line: dict[str, Any], step: int | None = None) -> None:
        self.lines.append((line, step))

    def finish(self) -> None:
        self.ended += 1

    def package(self) -> types.ModuleType:
        module = types.ModuleType("wandb")
        module.__dict__.update(
            init=self.init,
            Settings=lambda **words: self.settings.update(words),
            Table=lambda columns, data: (columns, data),
            Image=lambda path: ("image", path),
        )
        return module


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    monkeypatch.setitem(sys.modules, "wandb", session.package())
    return session


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "wandb" / "left").mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 3\ntraining: {epochs: 2}\n")
    summary = {"run_id": "run", "seed": 3, "valid_auc": 0.7, "later": None}
    (folder / "summary.json").write_text(json.dumps(summary))
    lines = [json.dumps({"epoch": n, "valid_auc": n / 10}) for n in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


CARD = TrackingCard("run", LONG, "control", 3, "shop")


def test_trials_stand_in_their_studys_group_as_a_job_type(session: Session, run: Path) -> None:
    """One group a study, whatever the strategy: runs, controls and trials are told apart in it."""
    groups = []
    for strategy, role in (("early", "trial"), ("late", "trial"), ("early", "strategy")):
        card = CARD._replace(strategy=strategy, role=role)
        tracking.begin(run, card, Account(), "offline")
        groups.append((session.words["group"], session.words["job_type"]))
    assert groups == [("shop", "trial"), ("shop", "trial"), ("shop", "strategy")]


@pytest.mark.parametrize(("mode", "resume"), [("online", "allow"), ("offline", None)])
def test_a_run_is_filed_under_its_own_id_and_its_study(
    session: Session, run: Path, mode: tracking.Mode, resume: str | None
) -> None:
    tracking.begin(run, CARD, Account("p", ""), mode)
    words = session.words
    assert {key: words[key] for key in ("project", "entity", "id", "group", "job_type")} == {
        "project": "p",
        "entity": None,
        "id": "run",
        "group": "shop",
        "job_type": "control",
    }
    assert words["name"] == f"{LONG}-3"
    assert words["tags"] == [LONG[:64], "control", "seed 3"]  # 64: what a tag may be long
    assert words["config"] == {"seed": 3, "training": {"epochs": 2}}
    assert (words["mode"], words["resume"], words["dir"]) == (mode, resume, str(run))
    assert words["reinit"] == "create_new"
    assert list((run / "wandb").iterdir()) == []  # what a kill left is gone
    assert session.settings == {
        "silent": True,
        "console": "off",
        "init_timeout": 20.0,
        "x_disable_stats": True,
        "x_disable_meta": True,
        "disable_git": True,
        "disable_code": True,
    }
    tracking.begin(run, CARD, Account("p", "team"), mode)
    assert session.words["entity"] == "team"


def test_epochs_that_were_sent_are_not_sent_again(session: Session, run: Path) -> None:
    for after, epochs in ((0, [1, 2, 3]), (1, [2, 3]), (3, [])):
        session.lines.clear()
        tracking.finish(session, run, after)  # type: ignore[arg-type]
        assert session.lines == [({"epoch": n, "valid_auc": n / 10}, n) for n in epochs]
    assert session.summary == {"run_id": "run", "seed": 3, "valid_auc": 0.7}
    assert session.ended == 3
    (run / "metrics.jsonl").unlink()  # a control that is solved has none
    session.lines.clear()
    tracking.finish(session, run)  # type: ignore[arg-type]
    assert session.lines == []


@pytest.mark.parametrize(
    ("word", "mode"),
    [("online", "online"), ("disabled", "disabled"), ("", "offline"), ("nonsense", "offline")],
)
def test_nothing_is_online_unless_a_person_says_so(
    monkeypatch: pytest.MonkeyPatch, word: str, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", word)
    assert tracking.mode_here() == mode
    monkeypatch.delenv("WANDB_MODE")
    assert tracking.mode_here() == "offline"


def test_a_mark_says_whether_a_server_has_it(tmp_path: Path) -> None:
    assert not tracking.is_mirrored(tmp_path)
    assert not tracking.is_synced(tmp_path)
    for synced in (False, True):
        tracking.note(tmp_path, "run", synced=synced)
        assert tracking.is_mirrored(tmp_path)
        assert tracking.is_synced(tmp_path) is synced
    mark = tmp_path / "wandb" / tracking.MARK
    assert json.loads(mark.read_text()) == {"format": 1, "run_id": "run", "synced": True}
    mark.write_text('{"run_id": "run"}')  # of an earlier version
    assert not tracking.is_synced(tmp_path)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "studies" / "shop"
    folder.mkdir(parents=True)
    auc = {"value": 0.71, "low": None}
    decision = {
        "dataset": "d",
        "fingerprint": "f",
        "sentence": "Keep a.",
        "strategies": [
            {"strategy": "a", "auc": auc, "seeds": [0, 1]},
            {"strategy": "b", "auc": {"value": 0.6}, "mde": 0.5},
        ],
    }
    (folder / "decision.json").write_text(json.dumps(decision))
    return folder


def test_a_decision_is_a_table_with_every_number_and_once(
    session: Session, study: Path, tmp_path: Path
) -> None:
    page = tmp_path / "reports" / "shop" / "index.html"
    assert tracking.mirror_study(study, page, Account(), "offline")
    assert session.words["config"] == {"dataset": "d", "fingerprint": "f"}
    assert (session.words["name"], session.words["tags"]) == ("shop: decision", ["decision"])
    assert session.words["project"] == "fusefront"
    assert session.summary == {
        "a/strategy": "a",
        "a/auc.value": 0.71,
        "a/seeds": "0, 1",
        "b/strategy": "b",
        "b/auc.value": 0.6,
        "b/mde": 0.5,
        "decision": "Keep a.",
    }
    columns = ["auc.low", "auc.value", "mde", "seeds", "strategy"]
    rows = [[None, 0.71, None, "0, 1", "a"], [None, 0.6, 0.5, None, "b"]]
    assert session.lines == [({"strategies": (columns, rows)}, None)]
    assert session.ended == 1
    assert not tracking.is_synced(study)
    assert not tracking.mirror_study(study, page, Account(), "offline")  # the same decision
    assert session.ended == 1
    first = session.words["id"]
    decision = json.loads((study / "decision.json").read_text())
    (study / "decision.json").write_text(json.dumps({**decision, "sentence": "Take b."}))
    picture = page.parent / "figures" / "frontier-wide.png"
    picture.parent.mkdir(parents=True)
    picture.touch()
    assert tracking.mirror_study(study, page, Account(), "online")
    assert session.words["id"] == first  # the same study on the same data
    assert session.lines[-1][0]["frontier"] == ("image", str(picture))
    assert tracking.is_synced(study)
