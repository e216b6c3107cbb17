"""`fusefront check FILE`: checks your own parts against their contracts."""

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
        bool,
        typer.Option(
            "--export/--no-export", help="Also compare with ONNX Runtime (takes seconds a part)."
        ),
    ] = True,
    data: Annotated[
        Path | None, typer.Option(help="Folder of data files on which your own layout is tried.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check each part in your files against its contract, and name each promise that it breaks.

    Exit code 4 if a promise is broken, 2 if a file holds no part.
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
