"""`fusefront decide STUDY`: the operating point, its evidence and what would change it."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out, StudyName

WIDTH = 190


def decide(
    study: StudyName,
    slo_ms: Annotated[
        float | None,
        typer.Option(
            "--slo-ms",
            min=1e-6,
            max=1e9,
            help="Limit on p99 of a request, ms (default: the study's).",
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1e12,
            help=(
                "Limit on the cost of a million predictions, in the study's currency (default: "
                "none)."
            ),
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            max=1.0,
            help="Margin of equivalence: AUC that counts as no difference (default: the study's).",
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(help="Who is responsible for the decision (default: the study's owner)."),
    ] = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Choose a strategy within the latency limit and write decision.json.

    A strategy fits if its whole p99 interval is at or below the limit. Among those, the one with
    the best lower bound of the AUC gain leads; chosen is the cheapest one that is equivalent to it,
    or what runs today if nothing is shown to be better. Exit 4 if nothing fits or the evidence is
    too thin; the message says what to measure.
    """
    from fusefront.harness.dossier.decide import DecisionOptions, record_decision, refuse
    from fusefront.harness.dossier.decision_record import cautions
    from fusefront.harness.runs.store import find_study

    folder = find_study(study, out)
    evidence = record_decision(folder, DecisionOptions(slo_ms, max_cost, margin, owner))
    for caution in cautions(evidence):
        typer.echo(caution, err=True)
    if as_json:
        _print_json(folder.path / "decision.json")
    elif evidence.decision.choice is not None:
        _print(evidence)
    refuse(evidence)


def _print_json(path: Path) -> None:
    import sys

    sys.stdout.write(path.read_text(encoding="utf-8"))


def _print(evidence: object) -> None:
    """Print the sentence, the alternatives and what would change the decision."""
    from rich.console import Console
    from rich.table import Table

    from fusefront.harness.cli.show_decision import (
        alternative_rows,
        change_lines,
        firmness_lines,
        tied_line,
    )
    from fusefront.reports.evidence import Evidence
    from fusefront.reports.words.decision import headline

    assert isinstance(evidence, Evidence)
    console = Console(markup=False, emoji=False, highlight=False)
    console.width = max(console.width, WIDTH)  # one line for each strategy, also in a log file
    console.print(headline(evidence, "en").text, soft_wrap=True)
    table = Table(box=None)
    for head in ("", "strategy", "AUC gain", "against choice", "p50 ms", "p99 ms"):
        table.add_column(head, no_wrap=head != "strategy", overflow="fold")
    for row in alternative_rows(evidence):
        table.add_row(*row)
    console.print(table)
    for line in (*firmness_lines(evidence), tied_line(evidence), *change_lines(evidence)):
        if line:
            console.print(line, soft_wrap=True)
