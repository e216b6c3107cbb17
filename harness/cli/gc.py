"""`fusefront gc`: shows what under the output folder is not needed, with sizes; `--yes`
deletes it."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out


def gc(
    out: Out = Path("out"),
    unused: Annotated[
        bool,
        typer.Option(
            "--unused", help="Also show runs, stores, worlds and shared tables that no study uses."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is shown.")] = False,
    as_json: Json = False,
) -> None:
    """Show what killed commands left behind and, with --unused, what no study needs. Only --yes
    deletes.

    What another command is writing at the moment is neither shown nor deleted.
    """
    from fusefront.harness.cli.show import show
    from fusefront.harness.runs.unneeded import free, unneeded

    parts = unneeded(out, unused=unused)
    if yes:
        parts = free(out, parts)
    total = sum(part.bytes for part in parts)
    if as_json:
        listed = [{**part._asdict(), "path": str(part.path)} for part in parts]
        show({"format": 1, "freed": yes, "bytes": total, "parts": listed})
        return
    for part in parts:
        typer.echo(f"{part.bytes:>14,} bytes  {part.kind:<24}  {part.path}")
    if not parts:
        typer.echo(f"{out}: nothing to free")
    elif yes:
        typer.echo(f"{len(parts)} freed, {total:,} bytes")
    else:
        typer.echo(f"{len(parts)} to free, {total:,} bytes; --yes frees them")
