"""`fusefront runs`: a table of all runs."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out


def runs(
    out: Out = Path("out"),
    where: Annotated[
        list[str] | None,
        typer.Option(help="Show only runs with KEY=VALUE in their summary; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the recorded runs, newest last."""
    from rich.table import Table

    from fusefront.datasets.errors import DataContractError
    from fusefront.harness.cli.screen import screen
    from fusefront.harness.cli.show import show
    from fusefront.harness.errors import NothingToDoError, UsageError
    from fusefront.harness.runs.table import summaries

    conditions = {}
    for text in where or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--where {text!r}: got no '=', expected KEY=VALUE")
        conditions[key] = value
    rows, damaged = summaries(out, conditions)
    for sentence in damaged:
        typer.echo(f"left out: {sentence}", err=True)
    if as_json:
        show(rows)
        return
    if damaged and not rows:
        raise DataContractError(f"no run under {out} that can be read; {damaged[0]}")
    if not rows:
        raise NothingToDoError(f"no such run under {out}")
    columns = ("run_id", "dataset", "strategy", "role", "seed", "valid_auc", "seconds")
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    screen().print(table)


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
