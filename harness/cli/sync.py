"""`fusefront sync`: sends the offline mirrors to a Weights & Biases server."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import DryRun, Entity, Out


def sync(
    out: Out = Path("out"),
    dry_run: DryRun = False,
    project: Annotated[
        str, typer.Option(help="Another project at Weights & Biases.", show_default="as mirrored")
    ] = "",
    entity: Entity = "",
    patience: Annotated[
        float,
        typer.Option(min=1, max=86_400, help="Most seconds that the server may take for one run."),
    ] = 120.0,
) -> None:
    """Mirror what has no mirror yet, then send the mirrors that the server does not have.

    A run keeps its id, and sending is recorded, so that a second sync makes no duplicates.
    """
    from fusefront.harness.cli.show import console
    from fusefront.harness.jobs.sync import mirror_missing, send, unsent
    from fusefront.harness.runs.tracking import Account

    screen = console()
    account = Account(project, entity)
    mirror_missing(out, account, lambda line: screen.print(line, markup=False))
    folders = unsent(out)
    screen.print(f"{len(folders)} mirrors to send")
    if not dry_run:
        send(folders, account, patience)
