"""Which rows of the log are events of a history, and which are there for nothing else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def are_events(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the records [n] later histories hold: those that the spec names, else the
    positives."""
    chosen = "event" if "event" in (rows.dtype.names or ()) else "label"
    return rows[chosen] == 1  # type: ignore[no-any-return]


def shown(rows: NDArray[Any], *, drawn: bool) -> NDArray[np.bool_]:
    """Which of the records [n] are candidates; where negatives are drawn, other events only make
    histories."""
    if not drawn or "event" not in (rows.dtype.names or ()):
        return np.ones(len(rows), bool)
    return (rows["label"] == 1) | (rows["event"] == 0)  # type: ignore[no-any-return]


def kinds_of(rows: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Codes [n] of the kinds of the records' events, where the log tells them apart."""
    return rows["kind"] if "kind" in (rows.dtype.names or ()) else None
