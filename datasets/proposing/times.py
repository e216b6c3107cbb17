"""Guesses the log's column of times: of several, the finest one that gives the moment of the
row."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from fusefront.datasets.proposing.files.tables import SampledTable
from fusefront.datasets.raw.time_scale import BANDS

_MOMENT = re.compile(
    r"^(ts|t|time|timestamp|time_?stamp|time_?(s|ms|us|ns|sec)|unix_?time|epoch|date_?time|"
    r"(event|click|impression|request|show|server|log|view|expose[d]?|exposure|interaction|rating|"
    r"review|action|behaviou?r)_?(time(_?stamp)?|ts|date_?time|time_ms|date))$",
    re.IGNORECASE,
)
_DAY = re.compile(r"^(date|day|dt|ds|t_?dat|.*_(date|day|dt))$", re.IGNORECASE)
_LOOSE = re.compile(r"(time|date|_at$|_ts$|stamp|zeit|datum)", re.IGNORECASE)
_OTHER = re.compile(
    r"(upload|publi[sc]|release|birth|regist|sign_?up|expir|launch|open|join|"
    r"play|watch|stay|dwell|duration|length|hour|minute|week|month|year|season|zone|prev|last|next)",
    re.IGNORECASE,
)
_RECORD = re.compile(
    r"(creat|updat|modif|insert|load)", re.IGNORECASE
)  # of the row, or of its item
_ID = re.compile(r"(^|[_ .-])(id|key|no|code|hash|num|number|count|cnt)$", re.IGNORECASE)
_TEXT = re.compile(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|^\d{8}[ T]\d")
_FINENESS = {"": 0, "yyyymmdd": 1, "yyyymmddhhmm": 2, "seconds": 3, "yyyymmddhhmmss": 3}


class Timestamp(NamedTuple):
    """The column (None where there is none), why, and what else of the log are times.

    `doubt` says why another column may be the one.
    """

    column: str | None
    why: str
    others: tuple[str, ...] = ()
    doubt: str = ""


class _Candidate(NamedTuple):
    name: str
    rank: int  # 3 a name for moments, 2 for days, 1 loosely a time, 0 by values alone
    fineness: int
    distinct: int


def guess_timestamp(log: SampledTable, used: Sequence[str]) -> Timestamp:
    """The column of the moment at which a row of the log happened."""
    candidates = [_candidate(log.frame[name]) for name in log.columns if name not in used]
    fit = [candidate for candidate in candidates if candidate is not None]
    fit = [c for c in fit if c.fineness or not _is_part_of_day(c, fit, log)]
    others = tuple(candidate.name for candidate in fit)
    own = [c for c in fit if not _RECORD.search(c.name)]
    good = [c for c in own if c.rank > 0] or (own if len(own) == 1 else [])
    good = [c for c in good if not log.frame[c.name].has_nulls()] or good  # a click's own time
    if not good:
        listed = ", ".join(map(repr, others))
        doubt = f"is the row's own time one of {listed}?" if fit else ""
        return Timestamp(fit[0].name if fit else None, "", others, doubt)
    best = max(good, key=lambda c: (c.fineness > 1, c.rank, c.fineness, c.distinct))
    equals = [c for c in good if (c.rank, c.fineness) == (best.rank, best.fineness)]
    doubt = ""
    for other in equals:
        if other is not best and not _same(log.frame[best.name], log.frame[other.name]):
            doubt = f"{best.name!r} and {other.name!r} may each be the row's own time"
    rest = tuple(name for name in others if name != best.name)
    why = "by its name" if best.rank > 1 else "by its values"
    if rest:
        why = f"the finest of {', '.join(map(repr, sorted((best.name, *rest))))}"
    if best.fineness == 1:
        why += "; whole days, so rows of one day have no order"
    return Timestamp(best.name, why, rest, doubt)


def _is_part_of_day(steps: _Candidate, fit: Sequence[_Candidate], log: SampledTable) -> bool:
    """Whether numbers named as a time rise and fall beside dates, so that they are times of day."""
    dates = [candidate for candidate in fit if candidate.fineness]
    return any(not _ordered(log.frame[steps.name], log.frame[date.name]) for date in dates)


def _candidate(column: pl.Series) -> _Candidate | None:
    """How suitable a column is as a time; None if it cannot be one."""
    values, name = column.drop_nulls(), column.name
    if not len(values) or values.dtype.is_nested():
        return None
    fineness = _fineness(values)
    if fineness is None or (_OTHER.search(name) and not _MOMENT.match(name)):
        return None
    if _ID.search(name) and values.dtype.is_numeric():
        return None
    rank = 3 if _MOMENT.match(name) else 2 if _DAY.match(name) else int(bool(_LOOSE.search(name)))
    steps = fineness == 0 and values.dtype.is_numeric()  # of any unit, so the name must say it
    if steps and (rank != 3 or values.n_unique() < min(20, len(values))):
        return None
    if rank == 0 and values.dtype.is_numeric() and _spread(values):
        return None
    return _Candidate(name, rank, fineness, values.n_unique())


def _spread(values: pl.Series) -> bool:
    """Whether numbers lie all over their band, as ids do and times of a log do not."""
    numbers = values.to_numpy().astype(np.float64)
    low, high = next(ends for ends in BANDS.values() if ends[0] <= np.median(numbers) <= ends[1])
    return bool(np.quantile(numbers, 0.99) - np.quantile(numbers, 0.01) > 0.3 * (high - low))


def _fineness(values: pl.Series) -> int | None:
    """0 a number, 1 a day, 2 a minute, 3 a second, 4 finer; None for what is no time."""
    if values.dtype == pl.Date:
        return 1
    if isinstance(values.dtype, pl.Datetime):
        return 3 if (values.dt.date().cast(values.dtype) != values).any() else 1
    if values.dtype == pl.String:
        looks = values.str.strip_chars().str.contains(_TEXT.pattern).mean()
        if not isinstance(looks, float) or looks < 0.9:
            return None
        return 3 if (values.str.len_chars().max() or 0) > 10 else 1  # type: ignore[operator]
    if not values.dtype.is_numeric():
        return None
    numbers = values.to_numpy()
    for band, (low, high) in BANDS.items():
        if np.mean((numbers >= low) & (numbers <= high)) > 0.99:
            return 0 if band == "yyyymmdd" and not _days(values) else _FINENESS.get(band, 4)
    return 0


def _days(values: pl.Series) -> bool:
    """Whether numbers such as 20210304 are all dates."""
    text = values.cast(pl.Int64, strict=False).cast(pl.String)
    return not text.str.to_date("%Y%m%d", strict=False).has_nulls()


def _ordered(by: pl.Series, column: pl.Series) -> bool:
    """Whether a column never falls as another rises."""
    pair = pl.DataFrame({"by": by, "column": column}).drop_nulls()
    return pair.sort("by", "column")["column"].is_sorted()


def _same(left: pl.Series, right: pl.Series) -> bool:
    """Whether two columns order the rows alike."""
    return _ordered(left, right) and _ordered(right, left)


def is_moment(column: pl.Series) -> bool:
    """Whether a column holds dates, as numbers or as text."""
    values = column.drop_nulls()
    if not len(values) or values.dtype.is_nested():
        return False
    return bool(_fineness(values)) and not (values.dtype.is_numeric() and _ID.search(column.name))
