"""Whether a column tells which rows were shown together."""

import re
from collections.abc import Collection
from typing import NamedTuple

import polars as pl

from fusefront.datasets.proposing.files.tables import SampledTable

_REQUEST = re.compile(
    r"^(request|impression|imp|query|search|slate|session|page_?view|pv)[ _.-]?(id|key|no|uuid)?$",
    re.IGNORECASE,
)
_LOOSE = re.compile(r"session|query|search", re.IGNORECASE)  # may go on over several requests
_MOST = 0.1  # share of the rows that one request may hold
_ALIKE = 0.9


class RequestGuess(NamedTuple):
    """The column, if there is one; column -> why it is none."""

    column: str | None
    left_out: dict[str, str]


def guess_request(
    log: SampledTable, user: str, timestamp: str | None, used: Collection[str]
) -> RequestGuess:
    """The first column so named whose values several rows of a user at one time share."""
    left_out: dict[str, str] = {}
    for name in log.all(_REQUEST):
        if name in used:
            continue
        why = _why_not(log.frame, name, user, timestamp)
        if not why:
            return RequestGuess(name, left_out)
        left_out[name] = why
    return RequestGuess(None, left_out)


def _why_not(frame: pl.DataFrame, name: str, user: str, timestamp: str | None) -> str:
    column = frame[name]
    if column.has_nulls():
        return f"missing in {column.null_count() / len(column):.0%} of the rows, so no request id"
    value, count = column.value_counts(sort=True).row(0)
    if count > max(_MOST * len(column), 50):
        return f"{value!r} in {count / len(column):.0%} of the rows, so no request id"
    rows = frame.group_by(user, name).agg(pl.len())
    if rows.height > 0.98 * frame.height:
        return "names single rows, so no request id"
    loose = _LOOSE.search(name) is not None
    if timestamp is None:
        return "may go on over several requests, and there are no times to tell" if loose else ""
    times = frame.group_by(user, name).agg(pl.len(), times=pl.col(timestamp).n_unique())
    several = times.filter(pl.col("len") > 1)
    alike = float((several["times"] == 1).mean() or 0.0)  # type: ignore[arg-type]
    if loose and alike < _ALIKE:
        return "goes on over several times, so no request id"
    return ""
