"""`fusefront list`: strategies, operators, compressors, worlds."""

from enum import StrEnum
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json


class Kind(StrEnum):
    strategies = "strategies"
    operators = "operators"
    compressors = "compressors"
    alignments = "alignments"
    poolers = "poolers"
    heads = "heads"
    worlds = "worlds"


def listing(
    kind: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.strategies,
    include_path: Include = None,
    as_json: Json = False,
) -> None:
    """Print what can be named in a study, with parameters, cost and paper."""
    from rich.console import Console
    from rich.table import Table

    from fusefront.harness.cli.show import show
    from fusefront.harness.listing import rows_of

    rows = rows_of(kind.value, tuple(include_path or ()))
    if as_json:
        show(rows)
        return
    table = Table(*(rows[0] if rows else ["nothing"]), box=None)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(soft_wrap=True).print(table)
