"""The part of a comparison about ways of fusing, for a terminal."""

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table

from fusefront.harness.cli.difference import difference_text
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.judging.verdicts import OPEN
from fusefront.harness.statistics.result_rows import SearchRow

HEADINGS = ("trials", "search sd", "difference [95 %]", "p adj", "search's share", "verdict")


def search_parts(comparison: Comparison) -> Iterator[RenderableType]:
    """A table whose intervals include the noise of the searches, and what it means."""
    search = comparison.search
    if search is None:
        return
    if search.rows:
        table = Table("way of fusing", *HEADINGS, box=None)
        for row in search.rows:
            table.add_row(row.name, *_cells(row, comparison.margin))
        yield Padding(table, (1, 0, 0, 0))
        for row in search.rows:
            if row.verdict in (*OPEN, "equivalent", "no verdict"):
                yield Padding(f"{row.name}: {row.reason}", (0, 0, 0, 2))
    for line in search.sentences:
        yield Padding(line, (0, 0, 0, 2))


def _cells(row: SearchRow, margin: float) -> tuple[str, ...]:
    return (
        str(row.trials or "as given"),
        "" if math.isnan(row.sd) else f"±{row.sd:.4f}",
        difference_text(row.difference, margin),
        "" if math.isnan(row.p_adjusted) else f"{row.p_adjusted:.2g}",
        "" if math.isnan(row.share) else f"{row.share:.0%}",
        row.verdict,
    )
