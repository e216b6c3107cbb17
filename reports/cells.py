"""Table cells: the text on the page, and the values in the table's files from which it was
printed."""

from typing import Literal

from fusefront.reports import numbers
from fusefront.reports.evidence import Interval

Value = str | float | int | bool | None
Kind = Literal["text", "number", "count", "mixed"]  # mixed: a text, then numbers
NONE = "–"


class ColumnHead(str):
    """A column's heading on the page, its columns in the files, and their kind."""

    columns: tuple[str, ...]
    kind: Kind
    ends: bool  # the columns are the two ends of an interval

    def __new__(
        cls, text: str, *columns: str, kind: Kind = "text", ends: bool = False
    ) -> "ColumnHead":
        """`columns` are names in the files; none: the text itself."""
        head = super().__new__(cls, text)
        head.columns = columns or (text,)
        head.kind = kind
        head.ends = ends
        return head


class TableEntry(str):
    """A cell's text with its values, one for each file column of its head; None = no value."""

    values: tuple[Value, ...]

    def __new__(cls, text: str, *values: Value) -> "TableEntry":
        """A text and the values that it was printed from."""
        cell = super().__new__(cls, text)
        cell.values = values
        return cell


def value_head(text: str, column: str) -> ColumnHead:
    """A column of numbers."""
    return ColumnHead(text, column, kind="number")


def count_head(text: str, column: str) -> ColumnHead:
    """A column of whole numbers."""
    return ColumnHead(text, column, kind="count")


def ends_head(text: str, column: str) -> ColumnHead:
    """A column of intervals: its two ends are columns of their own.

    >>> ends_head("AUC interval", "auc").columns
    ('auc_low', 'auc_high')
    """
    return ColumnHead(text, f"{column}_low", f"{column}_high", kind="number", ends=True)


def whole_head(text: str, column: str) -> ColumnHead:
    """A column of numbers with their intervals in one cell."""
    return ColumnHead(text, column, f"{column}_low", f"{column}_high", kind="number")


def number_cell(value: float | None, text: str) -> TableEntry:
    """A number as it is printed; a dash if there is none."""
    return TableEntry(NONE, None) if value is None else TableEntry(text, value)


def ends_cell(
    interval: Interval | None, places: int = 4, margin: float | None = None
) -> TableEntry:
    """The interval's ends; says so if there is no interval."""
    if interval is None:
        return TableEntry(NONE, None, None)
    if interval.low is None or interval.high is None:
        return TableEntry("no interval", None, None)
    return TableEntry(numbers.bracket(interval, places, margin), interval.low, interval.high)


def whole_cell(interval: Interval | None, places: int = 4) -> TableEntry:
    """A number with its interval."""
    if interval is None:
        return TableEntry(NONE, None, None, None)
    text = f"{numbers.fixed(interval.value, places)} {numbers.bracket(interval, places)}".strip()
    return TableEntry(text, interval.value, interval.low, interval.high)


def values_of(head: str, text: str) -> tuple[Value, ...]:
    """The values of a cell in its head's columns; a plain text is its own value, a dash means none.

    Raises:
        ValueError: the number of values is not that of the columns.

    >>> values_of("strategy", "–"), values_of(ends_head("AUC", "auc"), "–")
    ((None,), (None, None))
    """
    width = len(columns_of(head))
    if isinstance(text, TableEntry):
        values = text.values
    else:
        values = (None,) * width if text == NONE else (plain_text(text),)
    if len(values) != width:
        raise ValueError(f"cell {text!r}: got {len(values)} values, expected {width} of {head!r}")
    return values


def sorting_value(text: str) -> str | None:
    """The value that a row is sorted by: the cell's first value; None if there is none.

    >>> sorting_value(TableEntry("1.2 M", 1_200_000)), sorting_value("gated"), sorting_value("–")
    ('1200000', 'gated', None)
    """
    value = values_of("", text)[0] if not isinstance(text, TableEntry) else text.values[0]
    return None if value is None else str(value)


def columns_of(head: str) -> tuple[str, ...]:
    """Names of a head's columns in the files."""
    return head.columns if isinstance(head, ColumnHead) else (head,)


def kind_of(head: str) -> Kind:
    """What a head's columns hold."""
    return head.kind if isinstance(head, ColumnHead) else "text"


def plain_text(text: str) -> str:
    """Without typography: an ASCII minus, plain spaces.

    >>> plain_text("\\u22120.5\\u00a0ms")
    '-0.5 ms'
    """
    return text.replace(numbers.MINUS, "-").replace(numbers.NB, " ")
