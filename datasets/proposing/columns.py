"""Modalities in columns of tables, and raw texts and pictures as a hint."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from fusefront.datasets.proposing.draft import Guess, Value
from fusefront.datasets.proposing.files.folder import PICTURES
from fusefront.datasets.proposing.files.tables import quoted
from fusefront.datasets.proposing.names import Names
from fusefront.datasets.proposing.roles import Roles, vector_columns

RAW = "needs an encoder, see docs/datasets.md"


def list_columns(roles: Roles, root: Path, names: Names) -> Iterator[tuple[str, Guess]]:
    """(name, guess) of list columns of numbers: of the items, and of files of their own."""
    if roles.items is not None:
        for column in vector_columns(roles.items.table):
            why = "a list column of numbers"
            yield names.of(column), Guess({"column": column}, why, (column,))
    for table, key in roles.vectors:
        columns = vector_columns(table)
        paths = table.names(root)
        value: dict[str, Value] = {"path": paths[0] if len(paths) == 1 else [*paths], "key": key}
        for column in columns:
            stem = column if len(columns) > 1 else table.parts.stem
            guess = Guess(value | {"column": column}, f"vectors keyed by {key!r}", (column,))
            yield names.of(stem), guess


def sentences(roles: Roles, names: Names) -> Iterator[str]:
    """Columns of the items that hold text to encode."""
    if roles.items is None:
        return
    table, key = roles.items
    for column in table.columns:
        is_text = column != key and table.frame.schema[column] == pl.String
        if is_text and _sentences(table.frame[column]):
            line = f"{names.of(column)}: {{column: {quoted(column)}, encode: text}}"
            yield f"{line}  # guess: {RAW}"


def _sentences(column: pl.Series) -> bool:
    text = column.drop_nulls()
    spaces = text.str.contains(" ", literal=True).mean() if len(text) else None
    return (
        isinstance(spaces, float)
        and spaces > 0.5
        and text.n_unique() > len(text) / 2
        and not (text.str.contains("|", literal=True).mean() or 0.0) > 0.2  # type: ignore[operator]
    )


def pictures(root: Path, roles: Roles, names: Names) -> Iterator[str]:
    """Folders of pictures named by the item key."""
    if roles.items is None:
        return
    table, key = roles.items
    keys = set(table.frame[key].cast(pl.String).to_list())
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        pictures = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES]
        by_key = [path for path in pictures if path.stem in keys]
        if by_key:
            pattern = quoted(f"{folder.name}/{{key}}{by_key[0].suffix}")
            yield (
                f"{names.of(folder.name)}: {{path: {pattern}, encode: image}}  "
                f"# guess: {len(by_key):,} pictures; {RAW}"
            )
