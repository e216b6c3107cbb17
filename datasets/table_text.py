"""How a delimited text file is written: its separator, and its column names if it has no header."""

from typing import NamedTuple


class TableText(NamedTuple):
    """`names` are the columns of a file without a header line; empty if its first line has the
    names."""

    separator: str = ","
    names: tuple[str, ...] = ()


COMMAS = TableText()
