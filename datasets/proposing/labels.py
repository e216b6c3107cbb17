"""Guesses the log's label: by name, by values, or as unclear."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.proposing.files.tables import SampledTable
from fusefront.datasets.proposing.scores import OUTCOME

_NAMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"^(label|target|y|clk|(is_?)?click(ed|s)?|click_?label|is_?positive)$",
        r"^(rating|rate|stars|overall)$",
        r"^(is_?)?(like[ds]?|purchase[ds]?|buy|bought|convert(ed)?|conversion|long_?view|"
        r"favou?rite[d]?|positive)$",
    )
)
EVENT = re.compile(
    r"^(event|action|behaviou?r|interaction|feedback)(_?(type|name|kind|id))?$|^type$",
    re.IGNORECASE,
)
MOST_EVENTS = 20
_FEW = 11  # distinct values of ratings


class LabelGuess(NamedTuple):
    """The column, `positive_when` and the reason; `doubt` says why the column or the condition is
    uncertain."""

    column: str | None
    condition: str | None
    why: str
    column_doubt: str = ""
    condition_doubt: str = ""
    constant: str | None = None  # a label that is always 1

    @property
    def sure(self) -> bool:
        """Whether the label needs no confirmation by the user."""
        return not (self.column_doubt or self.condition_doubt)


def guess_label(log: SampledTable, used: Sequence[str]) -> LabelGuess:
    """By name, then the only column of 0 and 1; a column of events is never decided."""
    names = [name for name in log.columns if name not in used]
    plain = [name for name in names if not log.frame.schema[name].is_nested()]
    for pattern in _NAMES:
        fit = [name for name in plain if pattern.match(name) and _values(log.frame[name])]
        if fit:
            return _label(log, fit)
    events = [name for name in plain if EVENT.match(name) and few_events(log.frame[name])]
    if events:
        shares = _shares(log.frame[events[0]])
        doubt = f"{events[0]!r} holds {shares}; say which of them are positive"
        return LabelGuess(events[0], None, "", condition_doubt=doubt)
    binary = [name for name in plain if _values(log.frame[name]) in ({0, 1}, {False, True})]
    binary = [name for name in binary if not OUTCOME.search(name)] or binary
    if len(binary) == 1:
        return LabelGuess(binary[0], None, "the only column of 0 and 1")
    if binary:
        listed = ", ".join(map(repr, binary))
        return LabelGuess(binary[0], None, "", f"{listed} hold 0 and 1; say which is the label")
    return LabelGuess(None, None, "no label column, so every row is a positive")


def _label(log: SampledTable, names: list[str]) -> LabelGuess:
    name = names[0]
    doubt = ""
    for other in names[1:]:
        if not (log.frame[name].cast(pl.String) == log.frame[other].cast(pl.String)).all():
            doubt = f"{name!r} and {other!r} may each be the label"
    condition, unclear = _condition(log.frame[name])
    if condition == "":
        why = f"{name!r} is always {log.frame[name].drop_nulls()[0]}, so every row is a positive"
        return LabelGuess(None, None, why, constant=name)
    return LabelGuess(name, condition, "what counts as a click", doubt, unclear)


def _condition(label: pl.Series) -> tuple[str | None, str]:
    """(`positive_when`, "" for a label that is always 1, None for 0 and 1; what is unclear)."""
    values = _values(label)
    if values in ({0, 1}, {False, True}):
        return None, ""
    if len(values) == 1 and isinstance(value := next(iter(values)), int | float) and value > 0:
        return "", ""
    if not label.dtype.is_numeric():
        return None, f"{label.name!r} holds {_shares(label)}; say which of them are positive"
    if len(values) == 2 and min(values) <= 0 < max(values):
        return f">= {max(values):g}", ""
    if len(values) < 3:
        return None, f"{label.name!r} holds {_shares(label)}; say which of them are positive"
    top = max(values)
    edge = 4.0 if top <= 5 and len(values) <= _FEW else float(np.median(label.drop_nulls()))
    return f">= {edge:g}", ""


def _values(column: pl.Series) -> set[float]:
    """Distinct values of a label, text such as true or 1 as numbers."""
    if column.dtype == pl.String:
        column = column.str.to_lowercase().replace({"true": "1", "false": "0"})
        cast = column.cast(pl.Float64, strict=False)
        column = cast if cast.null_count() == column.null_count() else column
    return set(column.drop_nulls().unique().to_list())


def few_events(column: pl.Series) -> bool:
    """Whether a column holds a few values, as kinds of events do."""
    return 2 <= column.n_unique() <= MOST_EVENTS and not column.dtype.is_float()


def _shares(column: pl.Series) -> str:
    counts = column.value_counts(sort=True).head(5)
    total = len(column)
    return ", ".join(f"{value!r} {count / total:.0%}" for value, count in counts.iter_rows())


def positives(log: SampledTable, label: LabelGuess) -> NDArray[np.bool_] | None:
    """[n] whether each sampled row is positive; None where the label is not known."""
    if label.column is None or not label.sure:
        return None
    column = log.frame[label.column]
    if column.dtype == pl.String:
        column = column.str.to_lowercase().replace({"true": "1", "false": "0"})
    values = column.cast(pl.Float64, strict=False).to_numpy()
    edge = float(label.condition.removeprefix(">= ")) if label.condition else 1.0
    return np.asarray(values >= edge)
