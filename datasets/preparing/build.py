"""Turns buckets into the split folders of the store, one bucket after the other; counts what train
contains."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.rows import MOMENT
from fusefront.datasets.manifest import SplitCounts
from fusefront.datasets.preparing.events import shown
from fusefront.datasets.preparing.pasts import Past, Ready, Slices, log_slices, ready_slices
from fusefront.datasets.preparing.requests import Arranged, arrange, moments_of
from fusefront.datasets.preparing.splits import Cuts, assign
from fusefront.datasets.raw.files import NpyWriter
from fusefront.datasets.spec import SPLITS, DatasetSpec

Ints = NDArray[np.int64]
_REQUESTS = 1 << 16  # written at once


class SplitWriter:
    """The growing files of one split; context codes are provisional, numbers are raw."""

    def __init__(self, folder: Path, name: str, spec: DatasetSpec, dtype: np.dtype[Any]) -> None:
        def width(column: str) -> int:
            return int(dtype[column].shape[0])

        request, row = folder / name / "request", folder / name / "row"
        self.request = {
            "history_start": NpyWriter(request / "history_start.npy", np.int64),
            "history_length": NpyWriter(request / "history_length.npy", np.int32),
            "row_start": NpyWriter(request / "row_start.npy", np.int64),
            "group": NpyWriter(request / "group.npy", np.int64),
            "context_ids": NpyWriter(request / "context_ids.npy", np.int32, width("request_ids")),
            "context_numbers": NpyWriter(
                request / "raw_numbers.npy", np.float64, width("request_numbers")
            ),
        }
        self.row = {
            "item": NpyWriter(row / "item.npy", np.int32),
            "label": NpyWriter(row / "label.npy", np.uint8),
            "row": NpyWriter(row / "row_id.npy", np.int64),
            "candidate_ids": NpyWriter(row / "context_ids.npy", np.int32, width("candidate_ids")),
            "candidate_numbers": NpyWriter(
                row / "raw_numbers.npy", np.float64, width("candidate_numbers")
            ),
        }
        if spec.columns.timestamp:
            self.row["time"] = NpyWriter(row / "timestamp.npy", np.int64)
        if MOMENT in (dtype.names or ()):  # until the counters are done
            self.row[MOMENT] = NpyWriter(row / f"{MOMENT}.npy", np.int64)
        if spec.truth:
            self.row["truth"] = NpyWriter(row / "truth.npy", np.float64)
        self.slices = {
            part.name: NpyWriter(row / f"slice_{part.name}.npy", np.int16) for part in spec.slices
        }
        self.counts = SplitCounts(requests=0, rows=0, positives=0, groups=0)
        self.request["row_start"].append(np.zeros(1, np.int64))

    def close(self) -> None:
        """Write the headers."""
        for files in (self.request, self.row, self.slices):
            for file in files.values():
                file.close()


@dataclass
class Builder:
    """Takes bucket after bucket; `slice_columns` names the columns of rows["slices"]."""

    folder: Path
    spec: DatasetSpec
    dtype: np.dtype[Any]
    items: int
    cuts: Cuts
    slice_columns: tuple[str, ...]
    lag: int = 0  # ticks after which an event may appear in histories
    straddling: int = 0
    impressions: Ints = field(init=False)
    clicks: Ints = field(init=False)
    in_train: NDArray[np.bool_] = field(init=False)
    _bucket_history: Slices = field(init=False)

    def __post_init__(self) -> None:
        self.writers = [SplitWriter(self.folder, name, self.spec, self.dtype) for name in SPLITS]
        self.history = NpyWriter(self.folder / "history" / "values.npy", np.int32)
        self.kinds = None
        if self.spec.history.kind is not None:
            self.kinds = NpyWriter(self.folder / "history" / "kind.npy", np.uint8)
        self.kinds_of_train = np.zeros(256, np.int64)
        self.impressions = np.zeros(self.items + 1, np.int64)
        self.clicks = np.zeros(self.items + 1, np.int64)
        self.in_train = np.zeros(self.items + 1, bool)

    def add(self, rows: NDArray[Any], values: NDArray[np.int32]) -> None:
        """Build the requests of one bucket and append them to their splits. Its records `rows` [n]
        are sorted in place; `values` [entries] are the histories that came with the rows."""
        if not len(rows):
            return
        if MOMENT in (rows.dtype.names or ()):
            visible = shown(rows, drawn=self.spec.negatives is not None)
            rows[MOMENT] = moments_of(rows, visible, self.spec)
        arranged = arrange(rows, values, self.spec, self.cuts, self.lag)
        if not len(arranged.rows):  # only events of users without a request
            return
        split = assign(self.cuts, arranged.rows, arranged.first, arranged.position)
        self._note_straddling(arranged)
        row_split = np.repeat(split, arranged.sizes)
        trained = np.unique(arranged.rows["user"][row_split == 0])
        warm = np.isin(arranged.rows["user"], trained)
        written: tuple[Ints, Ints] | None = None
        for number in range(len(SPLITS)):
            if written is None or self.cuts.item_class is not None:
                written = self._histories(arranged, number)
            chosen = np.flatnonzero(split == number)
            if len(chosen):
                start, length = written
                self._write(number, arranged, chosen, warm, start[chosen], length[chosen])
                if number == 0:
                    mask = row_split == number
                    item, label = arranged.rows["item"][mask], arranged.rows["label"][mask]
                    self._count(item, label, start[chosen], length[chosen])

    def _histories(self, arranged: Arranged, number: int) -> tuple[Ints, Ints]:
        """Append the bucket's history values; returns (start, length) of every request's history in
        the whole file."""
        shown = None
        if self.cuts.item_class is not None:
            shown = self.cuts.item_class <= number
        if isinstance(arranged.past, Past):
            slices = log_slices(arranged.past, shown, self.spec.history.max_length)
        elif isinstance(arranged.past, Ready):
            slices = ready_slices(arranged.past, shown)
        else:
            none = np.zeros(len(arranged.first), np.int64)
            return none, none
        start = slices.start + self.history.rows
        self._bucket_history = slices
        self.history.append(slices.values)
        if self.kinds is not None and slices.kinds is not None:
            self.kinds.append(slices.kinds)
        return start, slices.length

    def _write(
        self,
        number: int,
        arranged: Arranged,
        chosen: Ints,
        warm: NDArray[np.bool_],
        start: Ints,
        length: Ints,
    ) -> None:
        """Append the requests `chosen` with their histories, a part at a time, because records are
        wide."""
        writer = self.writers[number]
        for begin in range(0, len(chosen), _REQUESTS):
            part = slice(begin, begin + _REQUESTS)
            self._append(writer, arranged, chosen[part], warm, start[part], length[part])
        groups = len(np.unique(arranged.rows["user"][arranged.first[chosen]]))
        writer.counts = writer.counts.model_copy(update={"groups": writer.counts.groups + groups})

    def _append(
        self,
        writer: SplitWriter,
        arranged: Arranged,
        chosen: Ints,
        warm: NDArray[np.bool_],
        start: Ints,
        length: Ints,
    ) -> None:
        first = arranged.first[chosen]
        heads = arranged.rows[first]
        sizes = arranged.sizes[chosen]
        ends = np.cumsum(sizes)
        of = np.arange(ends[-1]) + np.repeat(first - (ends - sizes), sizes)
        rows, before = arranged.rows[of], writer.counts
        writer.request["history_start"].append(start)
        writer.request["history_length"].append(length)
        writer.request["row_start"].append(before.rows + ends)
        writer.request["group"].append(heads["group"])
        writer.request["context_ids"].append(heads["request_ids"])
        writer.request["context_numbers"].append(heads["request_numbers"])
        for name, file in writer.row.items():
            file.append(rows[name])
        self._write_slices(writer, rows, warm[of], np.repeat(length == 0, sizes))
        writer.counts = SplitCounts(
            requests=before.requests + len(chosen),
            rows=before.rows + len(rows),
            positives=before.positives + int(rows["label"].sum()),
            groups=before.groups,
        )

    def _write_slices(
        self,
        writer: SplitWriter,
        rows: NDArray[Any],
        warm: NDArray[np.bool_],
        empty: NDArray[np.bool_],
    ) -> None:
        """Write slices of columns as provisional codes; slices of items are filled in when train is
        known."""
        for part in self.spec.slices:
            if part.name in self.slice_columns:
                codes = rows["slices"][:, self.slice_columns.index(part.name)]
            elif part.when == "cold_user":
                codes = ~warm
            elif part.when == "no_history":
                codes = empty
            else:
                codes = np.zeros(len(rows), np.int16)
            writer.slices[part.name].append(codes)

    def _count(
        self, item: NDArray[np.int32], label: NDArray[np.uint8], start: Ints, length: Ints
    ) -> None:
        size = self.items + 1
        self.impressions += np.bincount(item, minlength=size)
        self.clicks += np.bincount(item[label == 1], minlength=size)
        self.in_train[item] = True
        if self.spec.history.source == "none":
            return
        history = self._bucket_history
        base = self.history.rows - len(history.values)
        edge = np.zeros(len(history.values) + 1, np.int64)
        np.add.at(edge, start - base, 1)
        np.add.at(edge, start - base + length, -1)
        covered = np.cumsum(edge)[:-1] > 0
        self.in_train[history.values[covered]] = True
        if history.kinds is not None:
            self.kinds_of_train += np.bincount(history.kinds[covered], minlength=256)

    def _note_straddling(self, arranged: Arranged) -> None:
        """Count the users' requests that a given split cuts apart; such a split is kept as it
        is."""
        if self.spec.split.by != "given" or self.spec.columns.request is None:
            return
        request, split = arranged.rows["request"], arranged.rows["split"]
        order = np.lexsort((split, request, arranged.rows["user"]))
        same = (request[order][1:] == request[order][:-1]) & (
            arranged.rows["user"][order][1:] == arranged.rows["user"][order][:-1]
        )
        self.straddling += int((same & (split[order][1:] != split[order][:-1])).sum())

    def close(self) -> dict[str, SplitCounts]:
        """Finish the files; returns the counts of each split."""
        self.history.close()
        if self.kinds is not None:
            self.kinds.close()
        for writer in self.writers:
            writer.close()
        return {name: writer.counts for name, writer in zip(SPLITS, self.writers, strict=True)}
