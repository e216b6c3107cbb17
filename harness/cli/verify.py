"""`fusefront verify [PATH|NAME]`: checks whether recorded files are still as recorded."""

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
            "--repair",
            help="Move broken files aside, so that the command that made them makes them again.",
        ),
    ] = False,
    as_json: Json = False,
    wait: Wait = None,
) -> None:
    """Compare every file with its recorded hash, runs with their config, records with their format.

    Prints one sentence for each damaged file and ends with exit code 3; 0 if all is intact. With
    --repair broken files are moved under quarantine/, nothing is deleted, and the exit code is 0 if
    all could be moved; then run the study, `prepare` or `export` again. It waits for commands that
    work under --out.
    """
    from functools import partial

    from fusefront.harness.cli.show import show
    from fusefront.harness.jobs.repair import at_rest, repair
    from fusefront.harness.jobs.verify import verify as compare

    checked, moved = compare(what, out), []
    if mend and any(check.damages for check in checked):
        tell = partial(typer.echo, err=True)
        with at_rest(out, tell):
            checked = compare(what, out)  # the command that was waited for may have mended it
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
