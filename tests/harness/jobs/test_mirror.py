"""The mirror: what is sent when, what is counted as missing, and the one warning."""

import json
import multiprocessing
import os
import queue
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusefront.harness.jobs import mirror as mirrors
from fusefront.harness.jobs.mirror import Mirror, serve
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.tracking import USUAL, Account, Mode, TrackingCard, note

CELL = Cell("late", "control", RunSpec("d", "f", "late_fusion", {}, {"epochs": 2}, 3, code="c"))
CARD = TrackingCard(CELL.spec.run_id, "late", "control", 3, "shop")


class Pipe(queue.Queue[Any]):
    """A queue with what a queue between processes has beside; notes how long it is waited for."""

    left, closed = False, False

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self.waits.append(timeout)
        return super().get(block, timeout)

    def cancel_join_thread(self) -> None:
        self.left = True

    def close(self) -> None:
        self.closed = True


class Process:
    """A process that answers what it was given beforehand."""

    def __init__(self, target: Any, args: tuple[Any, ...], *, daemon: bool) -> None:
        assert daemon
        self.target, self.arguments = target, args
        self.alive, self.killed, self.started, self.joined = True, 0, 0, 0

    def start(self) -> None:
        self.started += 1

    def is_alive(self) -> bool:
        return self.alive

    def kill(self) -> None:
        self.killed += 1

    def join(self, seconds: float) -> None:
        assert seconds == 0.01  # as long as for an answer
        self.joined += 1


class Context:
    """Makes queues that hold the answers of a test, and processes that do nothing."""

    def __init__(self, answers: list[tuple[str, str]]) -> None:
        self.answers, self.queues, self.processes = answers, list[Pipe](), list[Process]()

    def Queue(self) -> Pipe:
        self.queues.append(Pipe())
        if len(self.queues) == 2:
            for answer in self.answers:
                self.queues[-1].put(answer)
        return self.queues[-1]

    def Process(self, **words: Any) -> Process:
        self.processes.append(Process(**words))
        return self.processes[-1]


def begun(
    monkeypatch: pytest.MonkeyPatch, mode: Mode, answers: list[tuple[str, str]]
) -> tuple[Mirror, Context, list[str]]:
    context, lines = Context(answers), list[str]()
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: context)
    mirror = Mirror(USUAL, "shop", lines.append, patience=0.01)
    mirror.mode = mode
    return mirror, context, lines


def sent(context: Context) -> list[str]:
    """Kinds of the events so far; END where the process is told to end."""
    return [event[0] if event else "END" for event in list(context.queues[0].queue)]


def test_a_mirror_that_was_given_nothing_starts_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mirror, context, lines = begun(monkeypatch, "disabled", [])
    (tmp_path / "decision.json").touch()
    mirror.complete(CELL, tmp_path)
    mirror.decided(tmp_path, tmp_path / "page")
    mirror.epoch(CELL, tmp_path, {"epoch": 1})
    mirror.mode = "offline"
    mirror.epoch(CELL, tmp_path, {"epoch": 1})
    mirror.decided(tmp_path / "undecided", tmp_path / "page")
    note(tmp_path, "run", synced=False)
    mirror.complete(CELL, tmp_path)  # mirrored before
    assert mirror.close() == 0
    assert (context.processes, lines) == ([], [])


def test_runs_and_decisions_are_sent_and_counted_when_they_are_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mirror, context, lines = begun(monkeypatch, "online", [("done", ""), ("done", "")])
    (tmp_path / "decision.json").touch()
    mirror.epoch(CELL, tmp_path, {"epoch": 1})
    mirror.complete(CELL, tmp_path)
    mirror.decided(tmp_path, tmp_path / "page")
    (process,) = context.processes
    assert process.started == 1
    assert process.arguments[2:] == (USUAL, "online")
    kinds = [("epoch", "line"), ("done", "card"), ("study", "page")]
    contents = [content for _, content in list(context.queues[0].queue)]
    assert [(kind, key) for (kind, key), at in zip(kinds, contents, strict=True) if key in at] == (
        kinds
    )
    assert contents[0]["card"] == contents[1]["card"] == CARD
    assert mirror.close() == 0
    assert sent(context) == ["epoch", "done", "study", "END"]
    assert (process.killed, process.joined, mirror.process, lines) == (0, 1, None, [])
    assert all(pipe.closed and pipe.left for pipe in context.queues)  # nobody reads what is left
    assert set(context.queues[1].waits) == {0.001}  # a study does not wait for its mirror


def test_what_is_missed_is_counted_once_and_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = [("warning", "no network"), ("missed", "again no network"), ("done", "")]
    mirror, context, lines = begun(monkeypatch, "online", answers)
    mirror.complete(CELL, tmp_path)
    mirror.complete(CELL, tmp_path)
    mirror.epoch(CELL, tmp_path, {"epoch": 2})  # after the warning none is sent
    assert mirror.close() == 1
    assert sent(context) == ["done", "done", "END"]
    assert lines == [
        "the Weights & Biases mirror does not get on (no network); the study goes on, `fusefront "
        "sync` sends what is missing later"
    ]
    assert mirror.close() == 0  # told once
    mirror.complete(CELL, tmp_path)
    assert context.processes[-1].arguments[3] == "offline"  # a later process does not try again


@pytest.mark.parametrize("alive", [True, False])
def test_without_an_answer_all_is_missing_and_the_process_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, alive: bool
) -> None:
    mirror, context, lines = begun(monkeypatch, "offline", [("done", "")])
    for _ in range(3):
        mirror.complete(CELL, tmp_path)
    context.processes[0].alive = alive
    assert mirror.close() == 2
    assert context.processes[0].killed == 1
    assert "(no answer for 0.01 s)" in lines[0]
    assert (mirror.missed, mirror.pending) == (0, 0)


def test_an_answer_is_waited_for_as_long_as_the_process_lives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seconds are taken from the patience one at a time; a dead process is not waited for."""
    mirror, context, _ = begun(monkeypatch, "offline", [])
    mirror.complete(CELL, tmp_path)
    waits: list[float] = []

    def silent(timeout: float) -> None:
        waits.append(timeout)
        raise queue.Empty

    monkeypatch.setattr(context.queues[1], "get", silent)
    assert not mirror._take(3.5)
    assert waits == [1.0, 1.0, 1.0, 0.5]
    assert not mirror._take(0.0)
    assert waits[4:] == [0.001]
    assert not mirror._take(1.0)
    assert waits[5:] == [1.0]
    context.processes[0].alive = False
    assert not mirror._take(3.5)
    assert waits[6:] == [1.0]


def test_silence_is_borne_as_long_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    page = (Path(__file__).parents[3] / "docs" / "running.md").read_text("utf-8")
    patience = Mirror(USUAL, "shop", lambda _: None).patience
    assert f"gives it up after {patience:g} s of silence" in page


def test_answers_that_come_late_are_all_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mirror, context, lines = begun(monkeypatch, "offline", [])
    for _ in range(3):
        mirror.complete(CELL, tmp_path)
    for _ in range(3):
        context.queues[1].put(("done", ""))
    assert (mirror.pending, mirror.close(), lines) == (3, 0, [])
    assert context.processes[0].killed == 0


class Wandb:
    """What the process does to the package, and where it fails."""

    def __init__(self, fails: tuple[str, ...] = ()) -> None:
        self.fails, self.calls, self.torn = fails, list[tuple[Any, ...]](), 0

    def begin(self, run: Path, card: TrackingCard, account: Account, mode: Mode) -> "Wandb":
        assert os.environ["WANDB_SILENT"] == "true"  # nothing is said to its makers
        self.calls.append(("begin", run.name, mode))
        if f"begin {mode}" in self.fails:
            raise ConnectionError("\n  no route\nand more")
        return self

    def finish(self, mirrored: "Wandb", run: Path, after: int) -> None:
        self.calls.append(("finish", run.name, after))

    def log(self, line: dict[str, Any], step: int) -> None:
        self.calls.append(("log", line, step))
        if f"log {step}" in self.fails:
            raise ConnectionError("lost")

    def study(self, study: Path, page: Path, account: Account, mode: Mode) -> None:
        self.calls.append(("study", study.name, mode))
        if f"study {mode}" in self.fails:
            raise SystemExit


def served(
    monkeypatch: pytest.MonkeyPatch, mode: Mode, wandb: Wandb, events: list[Any]
) -> list[tuple[str, str]]:
    """The answers to these events, served in this process."""
    asks, answers, ends_with = Pipe(), Pipe(), list[str]()
    for event in [*events, None]:
        asks.put(event)
    with monkeypatch.context() as patch:
        patch.setattr(mirrors, "follow_parent", lambda: ends_with.append("its parent"))
        for name in ("begin", "finish"):
            patch.setattr(mirrors, name, getattr(wandb, name))
        patch.setattr(mirrors, "mirror_study", wandb.study)
        patch.setattr(mirrors, "_end_service", lambda: setattr(wandb, "torn", wandb.torn + 1))
        patch.setenv("WANDB_SILENT", "")
        serve(asks, answers, USUAL, mode)
    assert ends_with == ["its parent"]
    return list(answers.queue)


def of_run(run: Path, epoch: int | None = None) -> tuple[str, dict[str, Any]]:
    content: dict[str, Any] = {"run": run, "card": CARD}
    if epoch is None:
        return "done", content
    return "epoch", {**content, "line": {"epoch": epoch}}


def test_online_an_epoch_is_sent_as_it_ends_and_the_rest_with_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, other = tmp_path / "r1", tmp_path / "r2"
    events = [of_run(first, 1), of_run(first, 2), of_run(first), of_run(first), of_run(other)]
    wandb = Wandb()
    assert served(monkeypatch, "online", wandb, events) == [("done", "")] * 3
    assert wandb.calls == [
        ("begin", "r1", "online"),
        ("log", {"epoch": 1}, 1),
        ("log", {"epoch": 2}, 2),
        ("finish", "r1", 2),  # and not a second time: it has its mark
        ("begin", "r2", "online"),
        ("finish", "r2", 0),
    ]
    mark = json.loads((first / "wandb" / "mirrored.json").read_text())
    assert mark == {"format": 1, "run_id": CARD.run_id, "synced": True}


def test_offline_an_epoch_comes_with_its_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, wandb = tmp_path / "r1", Wandb()
    events = [of_run(run, 1), of_run(run), ("study", {"study": tmp_path, "page": tmp_path})]
    assert served(monkeypatch, "offline", wandb, events) == [("done", ""), ("done", "")]
    assert wandb.calls == [
        ("begin", "r1", "offline"),
        ("finish", "r1", 0),
        ("study", tmp_path.name, "offline"),
    ]
    assert not json.loads((run / "wandb" / "mirrored.json").read_text())["synced"]


def test_after_a_failure_online_it_goes_on_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The run is mirrored offline at once; nothing is tried online again."""
    first, other = tmp_path / "r1", tmp_path / "r2"
    wandb = Wandb(fails=("begin online",))
    assert served(monkeypatch, "online", wandb, [of_run(first), of_run(other)]) == [
        ("warning", "no route"),
        ("done", ""),
        ("done", ""),
    ]
    modes = [call[2] for call in wandb.calls if call[0] == "begin"]
    assert modes == ["online", "offline", "offline"]
    assert wandb.torn == 1


def test_an_epoch_that_failed_is_sent_with_its_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wandb = Wandb(fails=("begin online",))
    events = [of_run(tmp_path / "r1", 1), of_run(tmp_path / "r1")]
    assert served(monkeypatch, "online", wandb, events) == [("warning", "no route"), ("done", "")]
    assert wandb.calls[-1] == ("finish", "r1", 0)


def test_a_mirror_that_broke_online_is_begun_anew_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, wandb = tmp_path / "r1", Wandb(fails=("log 2",))
    events = [of_run(run, 1), of_run(run, 2), of_run(run)]
    assert served(monkeypatch, "online", wandb, events) == [("warning", "lost"), ("done", "")]
    assert wandb.calls[-2:] == [("begin", "r1", "offline"), ("finish", "r1", 0)]


def test_what_fails_offline_is_missed_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wandb = Wandb(fails=("begin online", "begin offline"))
    assert served(monkeypatch, "offline", wandb, [of_run(tmp_path / "r1")]) == [
        ("warning", "no route"),
        ("missed", ""),
    ]
    assert len(wandb.calls) == 1
    assert served(monkeypatch, "online", wandb, [of_run(tmp_path / "r1")]) == [
        ("warning", "no route"),
        ("missed", "no route"),
    ]
    assert len(wandb.calls) == 3
    page = ("study", {"study": tmp_path, "page": tmp_path})
    assert served(monkeypatch, "online", Wandb(fails=("study online",)), [page]) == [
        ("warning", "SystemExit"),
        ("done", ""),
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("  first\nsecond"), "first"),
        (ValueError(" "), "ValueError"),
        (ValueError("x" * 159 + "yz"), "x" * 159 + "y"),  # 160 characters
    ],
)
def test_a_reason_is_the_first_line_of_an_error(error: Exception, reason: str) -> None:
    assert mirrors._reason(error) == reason


def test_the_service_of_a_run_that_failed_is_ended_if_it_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    def teardown() -> None:
        ended.append("once")
        raise RuntimeError("no service")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(teardown=teardown))
    mirrors._end_service()
    assert ended == ["once"]
    monkeypatch.setitem(sys.modules, "wandb", None)  # not installed
    mirrors._end_service()
