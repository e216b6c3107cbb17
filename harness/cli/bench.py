"""`fusefront bench STUDY`: serving latency of every strategy, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out, StudyName, Wait


def bench(
    study: StudyName,
    final: Annotated[
        bool,
        typer.Option(
            "--final/--quick",
            help="Measure 40 rounds instead of 20, for narrower intervals of p99.",
        ),
    ] = False,
    backends: Annotated[
        list[str] | None,
        typer.Option(
            help="onnx, onnx-int8, onnx-searched, eager, compile or your own; may be repeated.",
            show_default="onnx and the study's",
        ),
    ] = None,
    candidates: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Number of candidates a request; may be repeated.",
            show_default="1 50 200 500",
        ),
    ] = None,
    rows: Annotated[
        str, typer.Option(help="Number format of the code table: float32, float16 or int8.")
    ] = "float16",
    server: Annotated[
        bool, typer.Option(help="Also measure a server behind a queue, at fixed loads.")
    ] = True,
    precision: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=10.0,
            help="Add rounds until the deciding intervals of p50 and p99 are this narrow (share).",
        ),
    ] = 0.1,
    at_most: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            max=86_400.0,
            help="Most seconds that the rounds may take.",
            show_default="120, 600",
        ),
    ] = None,
    add: Annotated[
        bool,
        typer.Option("--add", help="Measure one more session and pool it with the recorded ones."),
    ] = False,
    at_once: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=4096,
            help="Requests scored in one call (offline throughput); may be repeated.",
            show_default="16",
        ),
    ] = None,
    qps: Annotated[
        list[float] | None,
        typer.Option(
            min=0.01, max=1e6, help="Requests that arrive at the server a second; may be repeated."
        ),
    ] = None,
    out: Out = Path("out"),
    include_path: Include = None,
    as_json: Json = False,
    wait: Wait = None,
) -> None:
    """Measure serving latency: each graph is compared with its model, then timed in random order.

    Waits until trainings on this machine end, and lets none begin meanwhile. Exit 4 if other work
    disturbed the session so much that nothing can be decided on it; the session is kept: measure
    again.
    """
    from fusefront.harness.cli.show import console, show
    from fusefront.harness.decision.policy import again
    from fusefront.harness.errors import GateError, UsageError
    from fusefront.harness.runs.store import find_study
    from fusefront.harness.serving.export.tables import ROW_FORMATS
    from fusefront.harness.serving.latency.show import bench_parts, round_progress
    from fusefront.harness.serving.latency.study import (
        FINAL_ROUNDS,
        QUICK_ROUNDS,
        BenchOptions,
        bench_study,
        shipped_and,
    )

    if rows not in ROW_FORMATS:
        raise UsageError(f"got --rows {rows!r}, expected one of {', '.join(ROW_FORMATS)}")
    folder = find_study(study, out)
    messages = console(quiet=as_json)
    options = BenchOptions(
        rounds=FINAL_ROUNDS if final else QUICK_ROUNDS,
        candidates=tuple(candidates or (1, 50, 200, 500)),
        decide_at=folder.spec.latency.decide_at,
        backends=tuple(backends or shipped_and(folder.spec.latency.backends)),
        rows=rows,
        server=server,
        budget_s=400.0 if final else 80.0,
        precision=precision,
        most_s=at_most or (600.0 if final else 120.0),
        add=add,
        at_once=tuple(at_once or folder.spec.latency.at_once),
        qps=tuple(qps or folder.spec.latency.qps),
        include=tuple(include_path or ()),
    )
    with round_progress(messages) as progress:
        result = bench_study(
            folder,
            options=options,
            tell=lambda line: messages.print(line, markup=False),
            progress=progress,
        )
    if as_json:
        show({"format": 2, "facts": result.facts, "rows": result.rows})
    else:
        from rich.console import Console

        screen = Console(highlight=False, markup=False)
        for part in bench_parts(result):
            screen.print(part)
    if disturbed := result.facts["quality"]["disturbed"]:
        more = again(folder.command("bench"))
        raise GateError(f"The session was disturbed: {' and '.join(disturbed)}; {more}.")
