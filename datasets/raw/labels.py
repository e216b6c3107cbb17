"""Converts the label column to zeros and ones."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.column_kinds import Kind
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.values import number, texts
from fusefront.datasets.spec import Condition, parse_condition

_SHOWN = 20  # labels in a message
_FIX = "say which values are positive in label.positive_when, such as \"== 'click'\""


@dataclass
class LabelWords:
    """Checks that the values named by `positive_when` (with ==, != or `in`) occur in the log."""

    positive_when: str | None
    lacking: set[float | str] = field(default_factory=set)  # no row so far has them
    _others: set[float | str] = field(default_factory=set)
    _path: Path = Path()
    _column: str = ""

    def __post_init__(self) -> None:
        condition = parse_condition(self.positive_when) if self.positive_when else None
        if condition is not None and condition.operator in ("==", "!=", "in"):
            self.lacking = set(condition.values)

    def look(self, column: pl.Series, kind: Kind, path: Path) -> None:
        """Take in the labels of a chunk, until every value has occurred."""
        if not self.lacking:
            return
        words = any(isinstance(value, str) for value in self.lacking)
        values = texts(column, kind, path) if words else pl.Series(_numbers(column, path, 0))
        distinct = values.unique().drop_nulls()
        self.lacking -= set(distinct.to_list())
        self._others |= set(distinct.head(_SHOWN).to_list())
        self._path, self._column = path, column.name

    def check(self) -> None:
        """After reading: refuses a value that no row has, since it is misspelt or rounded
        differently."""
        if not self.lacking:
            return
        listed = ", ".join(repr(value) for value in sorted(self._others, key=str)[:_SHOWN])
        raise broken(
            self._path,
            f"no row has the label {min(self.lacking, key=str)!r}, which label.positive_when names",
            f"the column holds {listed}",
            column=self._column,
        )


def labels(
    column: pl.Series, kind: Kind, path: Path, first: int, positive_when: str | None
) -> NDArray[np.uint8]:
    """Labels 0 and 1 [n]; with `positive_when` numbers or texts are compared first."""
    condition = None if positive_when is None else parse_condition(positive_when)
    if condition is not None and condition.is_text:
        return _by_text(column, kind, path, first, condition)
    values = _numbers(column, path, first)
    _refuse_absent(np.isnan(values), column.name, path, first)
    if condition is not None:
        return _by_number(values, condition)
    stray = np.flatnonzero((values != 0) & (values != 1))
    if len(stray):
        raise broken(
            path,
            f"label {values[stray[0]]:g}, expected 0 or 1",
            "fix it, or say which values are positive in label.positive_when",
            column=column.name,
            row=first + int(stray[0]),
        )
    return values.astype(np.uint8)


def _numbers(column: pl.Series, path: Path, first: int) -> NDArray[np.float64]:
    if column.dtype == pl.String:  # csv written from booleans
        column = column.str.to_lowercase().replace({"true": "1", "false": "0"})
    return number(column, path, first, _FIX)


def _by_number(values: NDArray[np.float64], condition: Condition) -> NDArray[np.uint8]:
    if condition.operator == "in":
        return np.isin(values, condition.values).astype(np.uint8)
    compare: np.ufunc = {
        ">=": np.greater_equal,
        "<=": np.less_equal,
        ">": np.greater,
        "<": np.less,
        "==": np.equal,
        "!=": np.not_equal,
    }[condition.operator]
    return np.asarray(compare(values, condition.values[0])).astype(np.uint8)


def _by_text(
    column: pl.Series, kind: Kind, path: Path, first: int, condition: Condition
) -> NDArray[np.uint8]:
    words = texts(column, kind, path)
    absent = (words.is_null() | (words == "").fill_null(value=False)).to_numpy()
    _refuse_absent(absent, column.name, path, first)
    among = words.is_in(list(condition.values)).to_numpy()
    return np.asarray(~among if condition.operator == "!=" else among).astype(np.uint8)


def _refuse_absent(absent: NDArray[np.bool_], column: str, path: Path, first: int) -> None:
    if absent.any():
        row = first + int(np.flatnonzero(absent)[0])
        raise broken(path, "no label", "drop the row or fill it", column=column, row=row)
