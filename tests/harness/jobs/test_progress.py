"""What a person sees of a long job: a bar on a terminal, lines elsewhere."""

import io
import re

import pytest
from rich.console import Console

from fusefront.harness.jobs import progress
from fusefront.harness.jobs.progress import RunProgress
from fusefront.harness.runs.spec import Cell, RunSpec


def cell(strategy: str, seed: int) -> Cell:
    spec = RunSpec("tour", "f" * 12, strategy, {}, {"epochs": 4}, seed)
    return Cell(strategy, "strategy", spec)


def shown(terminal: bool) -> str:
    """Two runs of three end, one of them badly; the third is in its second epoch."""
    out = io.StringIO()
    with RunProgress(3, "run", Console(file=out, force_terminal=terminal, width=160)) as bar:
        bar.tell("start", cell("a", 0), {})
        bar.tell("epoch", cell("a", 0), {"epoch": 4, "rows_per_second": 1234})
        bar.tell("done", cell("a", 0), {})
        bar.tell("failed", cell("b", 1), {"reason": "ValueError: [no] bracket is lost"})
        bar.tell("epoch", cell("c", 2), {"epoch": 2, "rows_per_second": 99_000})
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())


def test_a_terminal_shows_the_bar_with_run_epoch_speed_and_time_left() -> None:
    last = shown(terminal=True)
    assert "2/3" in last
    assert "c seed 2 epoch 2/4 99,000 rows/s" in last
    assert re.search(r"\d+ s left", last)
    assert "failed: ValueError: [no] bracket is lost" in last
    assert "of 3" not in last  # the lines of a log


def test_elsewhere_each_end_is_one_line() -> None:
    lines = shown(terminal=False).splitlines()
    assert re.fullmatch(r"run 1 of 3: a seed 0 epoch 4/4 1,234 rows/s, \d+ s left", lines[0])
    assert lines[1] == "run b seed 1 failed: ValueError: [no] bracket is lost"
    assert len(lines) == 2


def test_the_time_left_counts_the_epochs_of_runs_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    bar = RunProgress(4, "run", Console(file=io.StringIO()))
    assert bar.left() == ""
    bar.fraction = {"a seed 0": 0.75, "b seed 0": 0.75}  # 1.5 of 4 in 30 s: 50 s to go
    assert bar.left() == "50 s left"


@pytest.mark.parametrize(
    ("passed", "sentence"),
    [
        (39.0, "117 s left"),
        (39.9, "120 s left"),
        (40.0, "2 min left"),
        (41.0, "2 min left"),
        (400.0, "20 min left"),
        (4000.0, "200 min left"),
    ],
)
def test_two_minutes_and_more_are_said_in_minutes(
    monkeypatch: pytest.MonkeyPatch, passed: float, sentence: str
) -> None:
    """One run of four has ended."""
    clock = iter([7.0, 7.0 + passed])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    bar = RunProgress(4, "run", Console(file=io.StringIO()))
    bar.over = {"a run"}
    assert bar.left() == sentence


def test_what_has_ended_is_counted_and_no_longer_under_way() -> None:
    bar = RunProgress(3, "run", Console(file=io.StringIO()))
    bar.tell("start", cell("a", 0), {})
    assert bar.detail == {"a seed 0": "a seed 0 starts"}
    bar.tell("epoch", cell("a", 0), {"epoch": 1, "rows_per_second": 10})
    bar.tell("epoch", cell("b", 0), {"epoch": 3, "rows_per_second": 1200})
    assert bar.fraction == {"a seed 0": 0.25, "b seed 0": 0.75}
    bar.tell("failed", cell("b", 0), {"reason": "no"})
    bar.tell("done", cell("a", 0), {})
    assert bar.ended == 2
    assert bar.fraction == bar.detail == {}


def test_a_terminal_has_no_bar_where_nothing_is_to_do() -> None:
    out = io.StringIO()
    with RunProgress(0, "run", Console(file=out, force_terminal=True)) as bar:
        assert bar.bar is None
    assert out.getvalue() == ""


def test_a_table_stands_under_the_bar_and_is_drawn_at_every_event() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160)
    drawn: list[str] = []

    def table() -> str:
        drawn.append(f"front {len(drawn)}")
        return drawn[-1]

    with RunProgress(2, "trial", console, table) as bar:
        live = bar.live
        assert live is not None
        assert live.is_started
        assert drawn == ["front 0"]
        bar.tell("start", cell("a", 0), {})
        bar.tell("done", cell("a", 0), {})
        assert drawn == ["front 0", "front 1", "front 2"]
    assert not live.is_started
    assert bar.bar is not None
    assert bar.bar.finished is False
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert "1/2" in text.split("front 2")[-2]
    plain = RunProgress(2, "trial", Console(file=io.StringIO()), table)
    with plain:
        plain.tell("start", cell("a", 0), {})
    assert (plain.live, plain.bar, len(drawn)) == (None, None, 3)


def test_a_bar_without_a_table_ends_with_its_block() -> None:
    with RunProgress(
        2, "run", Console(file=io.StringIO(), force_terminal=True, width=160)
    ) as progress_:
        bar = progress_.bar
        assert bar is not None
        assert bar.live.is_started
        assert progress_.live is None
        progress_.tell("start", cell("a", 0), {})
    assert not bar.live.is_started


def test_what_waits_or_pauses_says_so() -> None:
    """A line of its own, whatever brackets it holds; a run that paused counts once."""
    out = io.StringIO()
    bar = RunProgress(2, "run", Console(file=out, width=160))
    bar.tell("waiting", cell("[a]", 0), {"line": "waiting [for] a measurement"})
    bar.tell("epoch", cell("[a]", 0), {"epoch": 2, "rows_per_second": 5})
    bar.tell("paused", cell("[a]", 0), {})
    bar.tell("done", cell("[a]", 0), {})
    lines = out.getvalue().splitlines()
    assert lines[0] == "waiting [for] a measurement"
    assert lines[1].startswith("run 1 of 2: [a] seed 0 epoch 2/4 5 rows/s, paused, ")
    assert lines[2].startswith("run 1 of 2: [a] seed 0, ")
    assert bar.ended == 1


def test_a_bar_says_how_far_all_runs_under_way_are() -> None:
    """A bar of 24 places, full at the end."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160)
    with RunProgress(1, "run", console) as progress_:
        bar = progress_.bar
        assert bar is not None
        (task,) = bar.tasks
        assert (task.total, task.completed, task.fields) == (1, 0, {"left": "", "detail": ""})
        progress_.tell("start", cell("a", 0), {})
        assert (task.fields["left"], task.completed) == ("", 0)
        progress_.tell("epoch", cell("b", 1), {"epoch": 1, "rows_per_second": 10})
        assert task.fields["detail"] == "a seed 0 starts · b seed 1 epoch 1/4 10 rows/s"
        progress_.tell("done", cell("a", 0), {})
        assert (task.fields["detail"], task.completed) == ("b seed 1 epoch 1/4 10 rows/s", 1)
    assert max(map(len, re.findall("━+", out.getvalue()))) == 24


def test_a_failure_is_red_and_plain_lines_have_no_colour() -> None:
    out = io.StringIO()
    bar = RunProgress(2, "run", Console(file=out, force_terminal=True, width=160))
    bar.tell("waiting", cell("a", 0), {"line": "waiting for 3 of 'x'"})
    bar.tell("done", cell("a", 0), {})
    assert "\x1b" not in out.getvalue()
    bar.tell("failed", cell("b", 1), {"reason": "ValueError: 3 [rows]"})
    assert out.getvalue().splitlines()[2].startswith("\x1b[31mrun b seed ")
