"""Request ids of the log as 64-bit words, also for rows that belong to no named request."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.column_kinds import Kind
from fusefront.datasets.raw.hashing import combine, text_hash
from fusefront.datasets.raw.values import texts

_NO_REQUEST = 0x6E6F6E65  # seed of the words of rows without a request


def request_words(
    column: pl.Series,
    kind: Kind,
    path: Path,
    none: str | int | float | None,
    moment: NDArray[np.int64],
    tally: Tally,
) -> NDArray[np.uint64]:
    """A word [n] for the request of every row; rows of one request have the same word.

    Null, blank text and the declared value `none` name no request: such rows form one request for
    each user and `moment` [n], which is their time, or their place if the log has no times.
    """
    ids = texts(column, kind, path)
    absent = (ids.is_null() | (ids == "") | ids.is_in(_written(none))).fill_null(value=True)
    lone = absent.to_numpy()
    what = "rows have no request id; those of one user and one time are a request"
    tally.add("rows.no_request", int(lone.sum()), len(ids), what)
    words = text_hash(ids)
    if lone.any():
        words = np.where(lone, combine(_NO_REQUEST, moment.astype(np.uint64)), words)
    return words


def _written(none: str | int | float | None) -> list[str]:
    """A value as columns of any type print it: -1 and -1.0.

    >>> _written(-1), _written("none"), _written(None)
    (['-1', '-1.0'], ['none'], [])
    """
    if none is None or isinstance(none, str):
        return [] if none is None else [none]
    return [str(int(none)) if float(none).is_integer() else str(none), str(float(none))]
