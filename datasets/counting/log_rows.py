"""The rows of a log file in order of time, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.ordered import OrderedRecords
from fusefront.datasets.counting.rows import CountedRows
from fusefront.datasets.counting.spread import KeyParts, parts_of
from fusefront.datasets.counting.timeline import Words

_ORDER = ["time", "source"]


class LogRows:
    """Takes the rows of a file of about `rows` rows, chunk by chunk; works in a folder of its own.

    Slices have at most `block` rows; a request that the log names looks back from its first row.
    """

    def __init__(self, folder: Path, rows: int, block: int) -> None:
        folder.mkdir()
        self.folder, self.rows, self.block, self.known = folder, rows, block, 0
        self._requests: KeyParts | None = None
        self._ordered: OrderedRecords | None = None
        self._of_requests = False

    def add(self, rows: CountedRows, request: Words | None) -> None:
        """Rows of the file in its order, item 0 for what is not known, and words [rows] of their
        requests."""
        records = _records(rows, request)
        if request is None:
            self._add(records)
            return
        self._of_requests = True
        if self._requests is None:
            bits = parts_of(self.rows, self.block)
            self._requests = KeyParts(self.folder / "requests", records.dtype, bits)
        self._requests.add(records)

    def slices(self) -> Iterator[tuple[CountedRows, int | None]]:
        """Rows of known items in order of time, with the earliest moment of all later rows; None if
        moments are times."""
        for part in self._requests or ():
            records = part.read()
            _, group = np.unique(records["key"], return_inverse=True)
            earliest = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.int64).max)
            np.minimum.at(earliest, group, records["time"])
            records["moment"] = earliest[group]
            self._add(records)
        if self._ordered is None:
            return
        later: list[int | None] = []
        if self._of_requests:
            moments = [int(records["moment"].min()) for records in self._ordered]
            later = [*np.minimum.accumulate(moments[:0:-1]).tolist()[::-1]]
        for number, records in enumerate(self._ordered):
            yield _rows(records), later[number] if number < len(later) else None

    def _add(self, records: NDArray[Any]) -> None:
        if self._ordered is None:
            path = self.folder / "rows"
            self._ordered = OrderedRecords(path, records.dtype, _ORDER, self.block)
        records = records[records["item"] > 0]
        self._ordered.add(records)
        self.known += len(records)


_OWN = ("user", "item", "label", "time", "moment", "source")


def _records(rows: CountedRows, request: Words | None) -> NDArray[Any]:
    of = [(name, getattr(rows, name).dtype) for name in _OWN]
    of += [] if request is None else [("key", request.dtype)]
    codes = [(name, values.dtype, values.shape[1:]) for name, values in rows.codes.items()]
    out = np.empty(rows.size, np.dtype([*of, *codes]))
    for name in _OWN:
        out[name] = getattr(rows, name)
    for name, values in rows.codes.items():
        out[name] = values
    if request is not None:
        out["key"] = request
    return out


def _rows(records: NDArray[Any]) -> CountedRows:
    codes = [name for name in records.dtype.names or () if name not in (*_OWN, "key")]
    user, item, label, time, moment, source = (np.ascontiguousarray(records[o]) for o in _OWN)
    of = {name: np.ascontiguousarray(records[name]) for name in codes}
    return CountedRows(False, user, item, label, time, moment, source, of)
