"""A bench for people: progress, the table, what the session could tell."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fusefront.harness.latency.bench import TWIN, BenchResult
from fusefront.harness.runs.files import Json

Told = Callable[[int, int], None]


@contextmanager
def round_progress(console: Console) -> Iterator[Told]:
    """Round i of n with the time left; lines where there is no terminal."""
    if not console.is_terminal:
        yield (
            lambda done, of: (
                console.print(f"round {done} of {of}") if done % 5 == 0 or done == of else None
            )
        )
        return
    columns = (TextColumn("rounds"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("rounds", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def bench_parts(result: BenchResult) -> list[Table | str]:
    """Table of subjects, servers, offline; then floor, smallest differences, machine."""
    parts: list[Table | str] = [_subjects(result)]
    if result.facts.get("server"):
        parts.append(_server(result.facts["server"]))
    parts.append(_said(result.facts))
    return parts


def _subjects(result: BenchResult) -> Table:
    table = Table(
        "strategy", "backend", "scope", "K", "p50 ms", "95 % interval", "p99 ms", "95 % interval",
        "contended", "predicted QPS", box=None,
    )  # fmt: skip
    shown = [row for row in result.rows if not str(row["scope"]).startswith(TWIN)]
    for row in sorted(
        shown, key=lambda r: (r["scope"], r["candidates"], r["backend"], r["p50_ms"])
    ):
        rate = row.get("predicted_per_second")
        table.add_row(
            str(row["strategy"]),
            str(row["backend"]),
            str(row["scope"]),
            str(row["candidates"]),
            f"{row['p50_ms']:.3f}",
            _interval(row, "p50"),
            f"{row['p99_ms']:.3f}",
            _interval(row, "p99"),
            f"{row['contended_visits']}/{row['rounds']}",
            "" if rate is None else f"{rate:,.0f}",
        )
    return table


def _interval(row: dict[str, Json], name: str) -> str:
    at_least = "at least " if row[f"{name}_at_least"] else ""
    return f"{row[f'{name}_low']:.3f} to {at_least}{row[f'{name}_high']:.3f}"


def _server(lines: list[dict[str, Json]]) -> Table:
    table = Table("server, measured", "load", "QPS", "late", "95 % interval", "p99 ms", box=None)
    for line in lines:
        p99 = "overloaded" if line["p99_ms"] is None else f"{line['p99_ms']:.2f}"
        table.add_row(
            str(line["strategy"]),
            f"{line['load']:.1f}",
            f"{line['per_second']:,.0f}",
            f"{line['late_share']:.2%}",
            f"{line['late_low']:.2%} to {line['late_high']:.2%}",
            p99,
        )
    return table


def _said(facts: dict[str, Json]) -> str:
    call = facts.get("call_floor_ms")
    lines = [
        f"machine {facts['fingerprint']}: {facts['in_words']}",
        f"hot closed loop unless paced (10 ms gaps); intervals speak of {facts['session_text']}",
        "predicted QPS: p99 within 3 x p50 if nothing disturbs the machine; p50 ranks, p99 checks",
    ]
    if call is not None:
        lines.append(f"a graph that does nothing takes {call:.3f} ms of each (subtracted nowhere)")
    return "\n".join(lines)
