"""`fusefront verify [PATH|NAME]`: whether what was recorded is still what it was."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out, Wait

DAMAGED = 3


def verify(
    what: Annotated[
        str | None,
        typer.Argument(
            help="Folder of a store, run, study or bundle; or the name of a data set, study or run "
            "(default: everything under --out).",
            metavar="PATH|NAME",
            show_default=False,
        ),
    ] = None,
    out: Out = Path("out"),
    mend: Annotated[
        bool,
        typer.Option(
            "--repair", help="Move what is broken aside, so that the same command makes it again."
        ),
    ] = False,
    as_json: Json = False,
    wait: Wait = None,
) -> None:
    """Compare every file with its recorded hash, runs with their config, records with their format.

    One sentence for each damaged file and exit code 3; 0 when all is whole. With --repair what is
    broken lies under quarantine/ afterwards, nothing is deleted, and the code is 0 where all could
    be moved: run the study, `prepare` or `export` again. Commands at work under --out are waited
    for, and so is whoever writes what is moved.
    """
    from functools import partial

    from fusefront.harness.cli.show import show
    from fusefront.harness.jobs.repair import at_rest, repair
    from fusefront.harness.jobs.verify import verify as compare

    checked, moved = compare(what, out), []
    if mend and any(check.damages for check in checked):
        tell = partial(typer.echo, err=True)
        with at_rest(out, tell):
            checked = compare(what, out)  # whoever was at work may have mended it
            moved = repair(checked, out, tell)
    if as_json:
        places = {str(move.path): str(move.to) for move in moved}
        show([{**check.to_json(), **({"moved": places} if mend else {})} for check in checked])
    else:
        for check in checked:
            for sentence in check.damaged:
                typer.echo(sentence, err=True)
            if not check.damaged:
                remarks = f" ({'; '.join(check.remarks)})" if check.remarks else ""
                typer.echo(f"{check.kind} {check.path}: whole{remarks}")
        for move in moved:
            typer.echo(f"moved {move.path} to {move.to}")
    damages = [damage for check in checked for damage in check.damages]
    if any(damage.remake is None or not mend for damage in damages):
        raise typer.Exit(DAMAGED)
