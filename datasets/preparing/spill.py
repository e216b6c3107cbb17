"""One pass over the log: records are written to bucket files by user, so that each bucket fits in
memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.history import Histories
from fusefront.datasets.raw.log_records import Part, RecordChunk, Recorder
from fusefront.datasets.raw.reading import stream


@dataclass
class Spill:
    """Bucket files by the first bits of the user's hash: the buckets in order hold the users in
    order of hash."""

    folder: Path
    dtype: np.dtype[Any]
    bits: int
    rows: int = 0
    left_out: int = 0
    source_rows: int = 0
    first_seen: NDArray[np.int64] | None = None  # [n + 1] kept up when given
    counts: NDArray[np.int64] | None = None  # [n + 1] rows of every item, likewise

    @property
    def buckets(self) -> int:
        return 1 << self.bits

    def add(self, chunk: RecordChunk) -> None:
        """Append a chunk's records to their buckets."""
        records = chunk.records
        self.rows += len(records)
        self.left_out += chunk.left_out
        bucket = _bucket(records["user"], self.bits)
        order = np.argsort(bucket, kind="stable")
        ends = np.cumsum(np.bincount(bucket, minlength=self.buckets))
        sorted_records = records[order]
        values = _reordered(chunk, order)
        own = sorted_records["own"] == 1
        value_ends = np.cumsum(np.where(own, sorted_records["length"], 0))
        begin = value_begin = 0
        for number, end in enumerate(ends.tolist()):
            if end > begin:
                value_end = int(value_ends[end - 1])
                self._write(f"{number}.rows", sorted_records[begin:end])
                self._write(f"{number}.values", values[value_begin:value_end])
                begin, value_begin = end, value_end
        if "event" in (records.dtype.names or ()):  # clicked items, not items that were only seen
            records = records[records["label"] == 1]
        if self.first_seen is not None:
            np.minimum.at(self.first_seen, records["item"], records["time"])
        if self.counts is not None:
            self.counts += np.bincount(records["item"], minlength=len(self.counts))

    def read(self, number: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """The records [n] of one bucket, and the history values [entries] of those rows that own
        some."""
        path = self.folder / f"{number}.rows"
        if not path.exists():
            return np.zeros(0, self.dtype), np.zeros(0, np.int32)
        values = self.folder / f"{number}.values"
        entries = np.fromfile(values, np.int32) if values.exists() else np.zeros(0, np.int32)
        return np.fromfile(path, self.dtype), entries

    def drop(self, number: int) -> None:
        """Delete a bucket that is no longer needed."""
        for kind in ("rows", "values"):
            (self.folder / f"{number}.{kind}").unlink(missing_ok=True)

    def _write(self, name: str, array: NDArray[Any]) -> None:
        if len(array):
            with (self.folder / name).open("ab") as file:
                file.write(np.ascontiguousarray(array).view(np.uint8).data)


def _bucket(user: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    if bits == 0:
        return np.zeros(len(user), np.int64)
    return (user >> np.uint64(64 - bits)).astype(np.int64)


def _reordered(chunk: RecordChunk, order: NDArray[np.int64]) -> NDArray[np.int32]:
    if not len(chunk.values):
        return chunk.values
    own = chunk.records["own"] == 1
    place = np.cumsum(own) - 1  # row -> its number among the rows that own values
    owners = order[own[order]]
    ragged = Histories(chunk.values, chunk.records["length"][own].astype(np.int64))
    return ragged.take(place[owners]).values


def spill(
    parts: list[Part],
    recorder: Recorder,
    out: Spill,
    chunk_rows: int,
    watch: Callable[[RecordChunk, int], None],
) -> None:
    """Write every file of the log to buckets; `watch` gets each chunk and the number of rows so
    far."""
    for chunk in _chunks(parts, recorder, chunk_rows, out):
        out.add(chunk)
        watch(chunk, out.source_rows)
    if out.rows == 0:
        why = "no row is left" if out.source_rows else "no rows"
        raise broken(parts[0].path, why, "check label.positive_when and items.unknown")


def _chunks(
    parts: list[Part], recorder: Recorder, chunk_rows: int, out: Spill
) -> Iterator[RecordChunk]:
    for part in parts:
        first = 0
        for frame in stream(part.path, recorder.columns, chunk_rows, part.text):
            chunk = recorder.read(frame, part, first, out.source_rows)
            first += frame.height
            out.source_rows += frame.height
            yield chunk
