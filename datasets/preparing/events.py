"""Which rows of the log are events of histories, and which rows serve only as events."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def are_events(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """[n] bool: which records appear in later histories: those that the spec names, else the
    positives."""
    chosen = "event" if "event" in (rows.dtype.names or ()) else "label"
    return rows[chosen] == 1  # type: ignore[no-any-return]


def shown(rows: NDArray[Any], *, drawn: bool) -> NDArray[np.bool_]:
    """[n] bool: which records are candidates; if negatives are drawn, other events only make
    histories."""
    if not drawn or "event" not in (rows.dtype.names or ()):
        return np.ones(len(rows), bool)
    return (rows["label"] == 1) | (rows["event"] == 0)  # type: ignore[no-any-return]


def kinds_of(rows: NDArray[Any]) -> NDArray[np.uint8] | None:
    """[n] codes of the kinds of the records' events; None if the log does not tell kinds apart."""
    return rows["kind"] if "kind" in (rows.dtype.names or ()) else None
