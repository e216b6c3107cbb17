"""The label column to zeros and ones."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.kinds import Kind
from fusefront.datasets.raw.values import number, texts
from fusefront.datasets.spec import Condition, parse_condition

_FIX = "say which values are positive in label.positive_when, such as \"== 'click'\""


def labels(
    column: pl.Series, kind: Kind, path: Path, first: int, positive_when: str | None
) -> NDArray[np.uint8]:
    """Labels 0 and 1 [n]; with `positive_when` numbers or texts are compared first."""
    condition = None if positive_when is None else parse_condition(positive_when)
    if condition is not None and condition.is_text:
        return _by_text(column, kind, path, first, condition)
    if column.dtype == pl.String:  # csv written from booleans
        column = column.str.to_lowercase().replace({"true": "1", "false": "0"})
    values = number(column, path, first, _FIX)
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
