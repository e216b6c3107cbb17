"""Tables as files: typed columns, with separate columns for the ends of intervals and for units."""

from pathlib import Path

import polars as pl

from fusefront.reports.cells import Value, columns_of, kind_of, plain_text, values_of
from fusefront.reports.tables import Table


def write_table(table: Table, folder: Path) -> None:
    """Write NAME.csv and NAME.parquet with equal columns; no text in the csv can act as a
    formula."""
    folder.mkdir(exist_ok=True)
    frame = table_frame(table)
    harmless = frame.with_columns(
        pl.col(pl.String).map_elements(plain_cell, pl.String, skip_nulls=True)
    )
    harmless.write_csv(folder / f"{table.name}.csv")
    frame.write_parquet(folder / f"{table.name}.parquet")


def table_frame(table: Table) -> pl.DataFrame:
    """Numbers as numbers, null where there is none, text without typography."""
    columns: dict[str, list[Value]] = {}
    kinds: dict[str, pl.DataType] = {}
    for place, head in enumerate(table.heads):
        cells = [values_of(head, row.cells[place]) for row in table.rows]
        for at, name in enumerate(columns_of(head)):
            values = [cell[at] for cell in cells]
            columns[name] = [plain_text(v) if isinstance(v, str) else v for v in values]
            kinds[name] = _type(head, at, values)
    for name, constant in table.constants.items():
        columns[name] = [constant] * len(table.rows)
        kinds[name] = pl.String() if isinstance(constant, str) else pl.Float64()
    return pl.DataFrame(columns, schema=kinds)


def _type(head: str, at: int, values: list[Value]) -> pl.DataType:
    kind = kind_of(head)
    if kind == "number" or (kind == "mixed" and at > 0):
        return pl.Float64()
    if kind == "count":
        return pl.Int64()
    return pl.Boolean() if any(isinstance(value, bool) for value in values) else pl.String()


def file_columns(table: Table) -> list[str]:
    """Names of the columns in the files, in their order."""
    return [*(name for head in table.heads for name in columns_of(head)), *table.constants]


def plain_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: what could begin one has a quote before it.

    >>> plain_cell("=cmd()"), plain_cell("-0.5"), plain_cell("gated")
    ("'=cmd()", "'-0.5", 'gated')
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
