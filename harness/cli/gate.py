"""`fusefront gate STUDY --against BASE_STUDY`: exit 4 if a strategy became worse."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusefront.harness.cli.options import Json, Out, StudyName
from fusefront.reports import numbers

if TYPE_CHECKING:
    from fusefront.harness.decision.gate import Check

WIDTH = 120


def gate(
    study: StudyName,
    against: Annotated[
        str,
        typer.Option("--against", help="The earlier study to compare with.", metavar="BASE_STUDY"),
    ],
    margin: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="AUC that a strategy may lose (default: the study's margin)."
        ),
    ] = None,
    max_gap: Annotated[
        list[str] | None,
        typer.Option(
            "--max-gap",
            help="Largest gap between groups of a sensitive slice: auc=0.02, pcoc=0.1,"
            " exposure=0.05.",
            metavar="MEASURE=SIZE",
        ),
    ] = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Fail if a strategy has lost more AUC than the margin, and the interval shows it.

    Both studies need the same data and the same test rows (else exit 3). A loss that the data can
    neither show nor rule out is no failure; the output says so, with the loss that would be
    detected. Exit 4 on a regression, and if no regression could be detected at all (a single seed,
    too few test users); the message says what to run.
    """
    import json
    import sys
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from fusefront.harness.decision.gate import sentence
    from fusefront.harness.dossier.gate import gate_studies
    from fusefront.harness.dossier.group_gaps import allowed_gaps, beyond, read_gaps
    from fusefront.harness.errors import GateError, UsageError
    from fusefront.harness.runs.store import find_study
    from fusefront.harness.tuning.budget import study_budgets, unequal

    new, old = find_study(study, out), find_study(against, out)
    try:
        largest = allowed_gaps(max_gap or [])
    except ValueError as error:
        raise UsageError(str(error)) from None
    gaps = read_gaps(new)
    if largest and not gaps:
        raise GateError(
            f"study {new.name!r} has no recorded gaps: its data set marks no slice as sensitive, "
            "or it was not compared since; `fusefront compare` it"
        )
    unfair = beyond(gaps, largest)
    allowed = new.spec.margin if margin is None else margin
    checks, left_out, damaged = gate_studies(new, old, allowed)
    for damage in damaged:
        typer.echo(f"left out: {damage}", err=True)
    conclusion = sentence(checks, allowed, left_out)
    verdicts = {check.verdict for check in checks}
    lost = "regression" in verdicts
    uneven = unequal(study_budgets(new), new.spec.tuning.accept)
    if as_json:
        even = "cannot tell" if "cannot tell" in verdicts else "passed"
        state = "regression" if lost else "unequal search" if uneven else even
        rows = [{**asdict(c), "difference": c.difference._asdict()} for c in checks]
        state = "gap" if unfair and not lost else state
        text = {
            "gaps": unfair,
            "state": state,
            "margin": allowed,
            "sentence": conclusion,
            "left_out": left_out,
        }
        sys.stdout.write(json.dumps({**text, "checks": rows}, indent=1, ensure_ascii=False) + "\n")
    else:
        table = Table(box=None)
        for head in ("strategy", "new − old AUC", "interval", "verdict", "finds from"):
            table.add_column(head, no_wrap=head != "strategy", overflow="fold")
        for check in checks:
            table.add_row(check.strategy, *_row(check))
        console = Console(markup=False, emoji=False, highlight=False)
        console.width = max(console.width, WIDTH)  # one line for each strategy, also in a log file
        console.print(table)
        if not lost:
            console.print(conclusion, soft_wrap=True)
    if lost:
        raise GateError(conclusion)
    if unfair:
        raise GateError("; ".join(unfair))
    if uneven:
        raise GateError(uneven)


def _row(check: "Check") -> tuple[str, ...]:
    if check.same_runs:
        return ("0", "", "the same runs", "")
    value, low, high = check.difference
    ends = f"[{numbers.fixed(low, 4)}, {numbers.fixed(high, 4)}]"
    return (
        numbers.signed(value),
        ends,
        check.verdict,
        numbers.fixed(-check.detectable, 4),
    )
