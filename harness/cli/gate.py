"""`fusefront gate STUDY --against BASE_STUDY`: exit 4 when a strategy got worse."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out, StudyName


def gate(
    study: StudyName,
    against: Annotated[
        str, typer.Option("--against", help="The study that ran before.", metavar="BASE_STUDY")
    ],
    margin: Annotated[
        float | None,
        typer.Option(min=0.0, help="Loss of AUC that is allowed [default: the study's margin]."),
    ] = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Fail when a strategy lost more AUC than the margin, and the interval says so.

    Both studies need the same data and the same test rows. What the data cannot tell is no failure,
    but it is said, with the loss that would have been found.
    """
    import json
    import sys
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from fusefront.harness.decision.gate import sentence
    from fusefront.harness.decision.study.gate import gate_studies
    from fusefront.harness.errors import GateError
    from fusefront.harness.runs.store import find_study

    new, old = find_study(study, out), find_study(against, out)
    allowed = new.spec.margin if margin is None else margin
    checks = gate_studies(new, old, allowed)
    lost = any(check.verdict == "regression" for check in checks)
    if as_json:
        rows = [{**asdict(c), "difference": c.difference._asdict()} for c in checks]
        state = "regression" if lost else "passed"
        text = {"state": state, "margin": allowed, "sentence": sentence(checks, allowed)}
        sys.stdout.write(json.dumps({**text, "checks": rows}, indent=1, ensure_ascii=False) + "\n")
    else:
        table = Table("strategy", "new − old AUC", "interval", "verdict", "would find", box=None)
        for check in checks:
            value, low, high = check.difference
            table.add_row(
                check.strategy,
                f"{value:+.4f}",
                f"[{low:.4f}, {high:.4f}]",
                check.verdict,
                f"−{check.detectable:.4f}",
            )
        console = Console(markup=False, emoji=False)
        console.print(table)
        if not lost:
            console.print(sentence(checks, allowed), soft_wrap=True, highlight=False)
    if lost:
        raise GateError(sentence(checks, allowed))
