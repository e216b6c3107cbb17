"""`fusefront check FILE`: a person's own parts held to their contracts."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json


def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Python files, or folders of them, with your parts.", metavar="FILE..."
        ),
    ],
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="Also in ONNX Runtime (seconds a part).")
    ] = True,
    data: Annotated[
        Path | None, typer.Option(help="Folder of files that a layout of yours is tried on.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which promises of its contract each part in your files keeps, and which it breaks.

    Exit code 4 where one is broken, 2 where a file holds no part.
    """
    from fusefront.harness.cli.show import show
    from fusefront.harness.errors import GateError
    from fusefront.harness.testing.part_files import check_files

    checked = []
    for part in check_files(files, export=export, data=data):
        checked.append(part)
        if not as_json:
            typer.echo(part.sentence)
            for sentence in part.broken:
                typer.echo(f"  {sentence}")
    if as_json:
        show([part._asdict() for part in checked])
    broken = [part.name for part in checked if part.broken]
    if broken:
        raise GateError(
            f"{len(broken)} of {len(checked)} parts break a promise: {', '.join(broken)}"
        )
