"""Shows a bench on the terminal: progress, the table, and how reliable the session is."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fusefront.harness.serving.latency.bench import TWIN, BenchResult
from fusefront.harness.serving.latency.bench_record import (
    BenchFacts,
    BenchRow,
    Quality,
    Quantile,
    ServerLine,
    SessionLine,
    quantile_of,
)

ReportRound = Callable[[int, int], None]


@contextmanager
def round_progress(console: Console) -> Iterator[ReportRound]:
    """Round i of n with the time left; plain lines if there is no terminal."""
    if not console.is_terminal:
        yield (
            lambda round_, of: (
                console.print(f"round {round_} of {of}")
                if round_ % 5 == 0 or round_ == of
                else None
            )
        )
        return
    columns = (TextColumn("rounds"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("rounds", total=None)
        yield lambda round_, of: bar.update(task, completed=round_, total=of)


def bench_parts(result: BenchResult) -> list[Table | str]:
    """A table for each scope and K, then servers, floor, smallest differences, machine."""
    shown = [row for row in result.rows if not row["scope"].startswith(TWIN)]
    groups = sorted({(row["scope"], row["candidates"]) for row in shown})
    parts: list[Table | str] = []
    for scope, k in groups:
        rows = [row for row in shown if (row["scope"], row["candidates"]) == (scope, k)]
        backends = sorted({row["backend"] for row in rows})
        title = f"{scope.replace('_', ' ')}, K = {k}, {' and '.join(backends)}"
        parts += [title, _subjects(rows, several=len(backends) > 1), ""]
    if result.facts.get("server"):
        parts += [_server(result.facts["server"]), ""]
    return [*parts, _session(result.facts)]


def _subjects(rows: list[BenchRow], *, several: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy", no_wrap=True)
    for name in ("p50 ms", "95 %", "p99 ms", "95 %", "busy", "QPS"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: row["p50_ms"]):
        rate = row.get("predicted_per_second")
        table.add_row(
            f"{row['strategy']}{' ' + row['backend'] if several else ''}",
            f"{row['p50_ms']:.3f}",
            _interval(row, "p50"),
            "" if row["p99_ms"] is None else f"{row['p99_ms']:.3f}",
            _interval(row, "p99"),
            f"{row.get('contended_visits', 0)}/{row['rounds']}",
            "" if rate is None else f"{rate:,.0f}",
        )
    return table


def _interval(row: BenchRow, name: Quantile) -> str:
    own = quantile_of(row, name)
    if own is None:
        return "too few"
    return f"{own['low']:.3f}-{own['high']:.3f}{'+' if own['at_least'] else ''}"


def _server(lines: list[ServerLine]) -> Table:
    table = Table("server, measured", "load", "QPS", "late", "95 % interval", "p99 ms", box=None)
    for line in lines:
        p99 = "overloaded" if line["p99_ms"] is None else f"{line['p99_ms']:.2f}"
        table.add_row(
            line["strategy"],
            f"{line['load']:.1f}",
            f"{line['per_second']:,.0f}",
            f"{line['late_share']:.2%}",
            f"{line['late_low']:.2%} to {line['late_high']:.2%}",
            p99,
        )
    return table


def _session(facts: BenchFacts) -> str:
    call = facts.get("call_floor_ms")
    lines = [
        f"machine {facts['fingerprint']}: {facts['in_words']}",
        f"hot closed loop unless paced (10 ms gaps); intervals speak of {facts['session_text']}",
        "p50 ranks, p99 checks the limit and needs 1,000 requests; + = at least; busy = visits "
        "that waited for a core; QPS "
        "= the undisturbed ceiling, predicted: p99 within the study's limit if nothing disturbs "
        "the machine",
    ]
    if (quality := facts.get("quality")) is not None:
        lines.append(_quality(quality, facts.get("sessions", [])))
    if call is not None:
        lines.append(f"a graph that does nothing takes {call:.3f} ms of each (subtracted nowhere)")
    return "\n".join(lines)


_ENDED = {"precise": "precise enough", "time": "out of time", "rounds": "as many as asked for"}


def _quality(quality: Quality, sessions: list[SessionLine]) -> str:
    """How precise the deciding quantiles are, and how well sessions repeat."""
    widths = (_percent(quality["half_p50"]), _percent(quality["half_p99"]))
    text = (
        f"what decides: {quality['rounds']} rounds, within {widths[0]} at p50 and {widths[1]} at "
        f"p99, {quality['contended_visits']} of {quality['visits']} visits waited"
    )
    if sessions:
        text += f", {_ENDED[sessions[-1]['ended']]}"
    if quality["between_p50"] is not None:
        tail = quality["between_p99"]
        text += (
            f"; {quality['sessions']} sessions differ by {_percent(quality['between_p50'])} (sd) at"
            f" p50{'' if tail is None else f' and {_percent(tail)} at p99'}"
        )
    return text


def _percent(log: float | None) -> str:
    """A log ratio as a percentage; "no bound" if an end is open or the quantile is missing."""
    return "no bound" if log is None or log > 5.0 else f"{math.expm1(log):.1%}"
