"""`fusefront robustness STUDY`: what is left when a modality goes missing at serving time."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out, StudyName


def robustness(
    study: StudyName,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            help="Whom to look at beside what runs today (default: the decision's choice).",
        ),
    ] = None,
    share: Annotated[
        list[float] | None,
        typer.Option("--share", help="Share of the items to hide (default: 0.25 0.5 0.75 1)."),
    ] = None,
    include_path: Include = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Hide each modality for a share of the items and score the test split again, without training.

    Writes robustness.json into the study's folder; `report` shows it. Intervals hold test rows and
    seeds.
    """
    from fusefront.harness.cli.show import console, show
    from fusefront.harness.robustness.study import SHARES, HidingOptions, measure
    from fusefront.harness.runs.store import find_study

    options = HidingOptions(
        tuple(strategy or ()), tuple(share or SHARES), tuple(include_path or ())
    )
    messages = console(quiet=as_json)
    curves = measure(find_study(study, out), options, messages.print)
    if as_json:
        show(curves)
        return
    for curve in curves:
        last = curve["gain"][-1]
        typer.echo(
            f"{curve['strategy']} without {curve['modality']} for {curve['shares'][-1]:.0%} of "
            f"the items: {last['value']:+.4f} AUC from what runs today with nothing hidden"
        )
