"""`fusefront sync`: replay the offline mirrors to a Weights & Biases server."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import DryRun, Entity, Out


def sync(
    out: Out = Path("out"),
    dry_run: DryRun = False,
    project: Annotated[
        str, typer.Option(help="Another project there.", show_default="as mirrored")
    ] = "",
    entity: Entity = "",
    patience: Annotated[
        float, typer.Option(min=1, max=86_400, help="Seconds that a server may take for one run.")
    ] = 120.0,
) -> None:
    """Mirror what is not mirrored yet, then send what the server does not have yet.

    A run keeps its id, and what was sent is written down, so a second sync makes no duplicate.
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
