"""`fusefront list`: the strategies and all their axes, one axis with its choices, or the worlds."""

from enum import StrEnum
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json

WHOLE = ("axis", "name")  # columns that are shown in full however narrow the terminal is
NUMBERS = ("parameters", "MACs an item", "MACs a candidate")


class ListedKind(StrEnum):
    """The kinds of things that can be listed."""

    strategies = "strategies"
    operators = "operators"
    compressors = "compressors"
    alignments = "alignments"
    poolers = "poolers"
    heads = "heads"
    placements = "placements"
    conditionings = "conditionings"
    metrics = "metrics"
    backends = "backends"
    layouts = "layouts"
    encoders = "encoders"
    worlds = "worlds"


def listing(
    kind: Annotated[ListedKind, typer.Argument(help="What to list.")] = ListedKind.strategies,
    include_path: Include = None,
    as_json: Json = False,
) -> None:
    """Print what a study can name, with parameters, cost and paper."""
    from rich.table import Table

    from fusefront.harness.cli.screen import screen
    from fusefront.harness.cli.show import show
    from fusefront.harness.parts.listing import BASIS, rows_of

    rows = rows_of(kind.value, tuple(include_path or ()))
    if as_json:
        show(rows)
        return
    out = screen()
    table = Table(box=None)
    columns = [name for name in rows[0] if name != "from" or any(row["from"] for row in rows)]
    for name in columns:
        number = name in NUMBERS
        table.add_column(
            name, justify="right" if number else "left", no_wrap=name in WHOLE, overflow="fold"
        )
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    out.print(table)
    if NUMBERS[0] in columns:  # the rows have counted costs
        out.print(f"\n{BASIS}", soft_wrap=True)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
