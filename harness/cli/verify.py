"""`fusefront verify PATH|NAME`: whether what was recorded is still what it was."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out

DAMAGED = 3


def verify(
    what: Annotated[
        str,
        typer.Argument(
            help="Folder of a store, run, study or bundle; or the name of a data set, study or run.",
            metavar="PATH|NAME",
        ),
    ],
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Compare every file with its recorded hash, runs with their config, records with their format.

    One sentence for each damaged file and exit code 3; 0 when all is whole.
    """
    from fusefront.harness.cli.show import show
    from fusefront.harness.jobs.verify import verify as compare

    checked = compare(what, out)
    if as_json:
        show([check.to_json() for check in checked])
    else:
        for check in checked:
            for sentence in check.damaged:
                typer.echo(sentence, err=True)
            if not check.damaged:
                remarks = f" ({'; '.join(check.remarks)})" if check.remarks else ""
                typer.echo(f"{check.kind} {check.path}: whole{remarks}")
    if any(check.damaged for check in checked):
        raise typer.Exit(DAMAGED)
