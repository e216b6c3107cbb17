"""`fusefront bench STUDY`: serving latency of every strategy, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out, StudyName, Wait


def bench(
    study: StudyName,
    final: Annotated[
        bool,
        typer.Option("--final/--quick", help="40 rounds instead of 20; tail intervals narrow."),
    ] = False,
    backends: Annotated[
        list[str] | None,
        typer.Option(
            help="onnx, onnx-int8, eager, compile, your own; more than one may be named.",
            show_default="onnx and the study's",
        ),
    ] = None,
    candidates: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Candidates of a request.", show_default="1 50 200 500"),
    ] = None,
    rows: Annotated[str, typer.Option(help="Code table: float32, float16, int8.")] = "float16",
    server: Annotated[bool, typer.Option(help="Measure the server at fixed loads.")] = True,
    out: Out = Path("out"),
    include_path: Include = None,
    as_json: Json = False,
    wait: Wait = None,
) -> None:
    """Measure what would ship: parity first, then rounds in random order, intervals and a floor.

    Waits for trainings on this machine to end, and lets none begin meanwhile.
    """
    from fusefront.harness.cli.show import console, show
    from fusefront.harness.errors import UsageError
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
        show({"format": 1, "facts": result.facts, "rows": result.rows})
        return
    from rich.console import Console

    screen = Console(highlight=False, markup=False)
    for part in bench_parts(result):
        screen.print(part)
