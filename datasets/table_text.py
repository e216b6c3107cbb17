"""How a delimited text file is written: what parts its values, and its column names if it has
none."""

from typing import NamedTuple


class TableText(NamedTuple):
    """`names` are the columns of a file without a header line; empty where its first line names
    them."""

    separator: str = ","
    names: tuple[str, ...] = ()


COMMAS = TableText()
