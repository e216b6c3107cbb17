"""Converts a chunk of the log to records of fixed size, and reports whatever can be wrong with a
row."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.category_codes import Codebook, FieldEncoder, slice_codes
from fusefront.datasets.raw.column_kinds import TEXT
from fusefront.datasets.raw.columns import LOG, Kinds
from fusefront.datasets.raw.event_kinds import EventKinds
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.hashing import mix, rows_hash
from fusefront.datasets.raw.history import Histories, read_histories
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.labels import LabelWords, labels
from fusefront.datasets.raw.request_words import request_words
from fusefront.datasets.raw.times import Clock
from fusefront.datasets.raw.users import UserCodes, UserTable
from fusefront.datasets.raw.values import number, texts
from fusefront.datasets.spec import SPLIT_WORDS, SPLITS, DatasetSpec
from fusefront.datasets.table_text import TableText


class Part(NamedTuple):
    """One file of the log."""

    path: Path
    split: str | None
    text: TableText


class RecordChunk(NamedTuple):
    """The records made from a chunk of the log."""

    records: NDArray[Any]  # [n] of Recorder.dtype
    values: NDArray[np.int32]  # history items of the rows with records["own"], in row order
    left_out: int  # rows that are no positives (negatives are drawn), or of unknown items


@dataclass
class Recorder:
    """Converts frames to records; keeps the code books that grow while reading."""

    spec: DatasetSpec
    items: KeyIndex
    request: FieldEncoder
    candidate: FieldEncoder
    users: UserTable | None
    slices: dict[str, Codebook]  # slices by a column of the log -> its codes
    slice_columns: dict[str, str]
    kinds: Kinds
    history_columns: tuple[str, ...] = ()
    clock: Clock = field(default_factory=Clock)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.log_kinds = self.kinds.table(LOG)
        self.user_codes = UserCodes(self.kinds.users)
        self.label_words = LabelWords(self.spec.label.positive_when)
        users = self.users.encoder if self.users else FieldEncoder((), {})
        self.request_books = self.request.books + users.books
        self.request_fields = self.request.fields + users.fields
        self.dtype = np.dtype(
            [
                ("user", "<u8"),
                ("group", "<i8"),
                ("row", "<i8"),
                ("time", "<i8"),
                ("request", "<u8"),
                ("history", "<u8"),
                ("truth", "<f8"),
                ("item", "<i4"),
                ("length", "<i4"),
                ("label", "u1"),
                ("split", "u1"),
                ("own", "u1"),
                ("request_ids", "<i4", (sum(self.request.widths) + sum(users.widths),)),
                ("request_numbers", "<f8", (len(self.request.numeric) + len(users.numeric),)),
                ("candidate_ids", "<i4", (sum(self.candidate.widths),)),
                ("candidate_numbers", "<f8", (len(self.candidate.numeric),)),
                ("slices", "<i2", (len(self.slice_columns) + len(users_slices(self.users)),)),
                *self._event_fields(),
                *([("moment", "<i8")] if self.spec.counters and self.spec.columns.request else []),
            ]
        )

    def _event_fields(self) -> list[tuple[str, str]]:
        """The record's fields for kinds of events, only if the spec tells them apart."""
        kind = self.log_kinds.get(str(self.spec.history.kind), TEXT)
        self.event_kinds = EventKinds(self.spec.history, kind, self.tally)
        if self.spec.history.kind is None:
            return []
        return [("kind", "u1")] + ([("event", "u1")] if self.spec.history.events else [])

    @property
    def columns(self) -> list[str]:
        """The columns of the log that are read."""
        spec, columns = self.spec, [self.spec.columns.user, self.spec.columns.item]
        optional = (
            spec.columns.label,
            spec.columns.timestamp,
            spec.columns.request,
            spec.history.kind,
        )
        columns += [name for name in (*optional, *self.history_columns, spec.split.column) if name]
        columns += [*self.request.columns, *self.candidate.columns, *self.slice_columns.values()]
        return columns + ([spec.truth.column] if spec.truth else [])

    def read(self, frame: pl.DataFrame, part: Part, first: int, row: int) -> RecordChunk:
        """The records of a chunk; `first` is its first row in the file, `row` its first row in the
        whole log."""
        spec, columns, path = self.spec, self.spec.columns, part.path
        out = np.zeros(frame.height, self.dtype)
        out["row"] = np.arange(row, row + frame.height)
        out["group"], out["user"] = self.user_codes.read(frame[columns.user], path, first)
        out["item"] = self._items(frame, part, first)
        out["label"] = self._labels(frame, path, first)
        if spec.history.kind is not None:
            kinds = self.event_kinds.read(frame[spec.history.kind], out["label"], path)
            out["kind"] = kinds[0]
            if spec.history.events is not None:
                out["event"] = kinds[1]
        if columns.timestamp:
            out["time"] = self.clock.read(frame[columns.timestamp], path, first)
        if columns.request:
            out["request"] = request_words(
                frame[columns.request],
                self.log_kinds[columns.request],
                path,
                columns.no_request,
                out["time"] if columns.timestamp else out["row"],
                self.tally,
            )
        if spec.split.by == "given":
            out["split"] = _splits_of(frame, part, spec.split.column, first)
        if spec.truth:
            out["truth"] = _probability(frame[spec.truth.column], path, first)
        self._fields(out, frame, path, first)
        return self._finish(out, frame, part, first)

    def _items(self, frame: pl.DataFrame, part: Part, first: int) -> NDArray[np.int32]:
        name = self.spec.columns.item
        rows = self.items.rows(frame[name], part.path, name, first)
        if self.spec.items.unknown == "refuse" and (missing := np.flatnonzero(rows == 0)).size:
            at = int(missing[0])
            raise broken(
                part.path,
                f"item {frame[name][at]!r} is not in {self.items.name}",
                f"add it to {self.items.name}, or set items.unknown: drop",
                column=name,
                row=first + at,
            )
        return rows

    def _labels(self, frame: pl.DataFrame, path: Path, first: int) -> NDArray[np.uint8]:
        name = self.spec.columns.label
        if name is None:
            return np.ones(frame.height, np.uint8)
        column, kind = frame[name], self.log_kinds[name]
        zeros_and_ones = labels(column, kind, path, first, self.spec.label.positive_when)
        self.label_words.look(column, kind, path)
        return zeros_and_ones

    def _fields(self, out: NDArray[Any], frame: pl.DataFrame, path: Path, first: int) -> None:
        request = self.request.encode(frame, path, first)
        candidate = self.candidate.encode(frame, path, first)
        own, numbers = request.codes.shape[1], request.numbers.shape[1]
        out["request_ids"][:, :own] = request.codes
        out["request_numbers"][:, :numbers] = request.numbers
        out["candidate_ids"], out["candidate_numbers"] = candidate
        for place, (name, column) in enumerate(self.slice_columns.items()):
            out["slices"][:, place] = slice_codes(
                self.slices[name], frame[column], self.log_kinds[column], path, name
            )
        if self.users is not None:
            name = self.spec.columns.user
            users = self.users.index.rows(frame[name], path, name, first)
            missing = int((users == 0).sum())
            what = f"rows of the log have a user that is not in {self.users.index.name}"
            self.tally.add("rows.user_not_in_table", missing, len(out), what)
            out["request_ids"][:, own:] = self.users.codes[users]
            out["request_numbers"][:, numbers:] = self.users.numbers[users]
            out["slices"][:, len(self.slice_columns) :] = self.users.slice_codes[users]

    def _finish(
        self, out: NDArray[Any], frame: pl.DataFrame, part: Part, first: int
    ) -> RecordChunk:
        keep = self._usable(out)
        histories = read_histories(frame, self.spec, self.items, part.path, first, self.tally)
        if histories is None:
            return RecordChunk(out[keep], np.zeros(0, np.int32), int((~keep).sum()))
        if not keep.all():
            histories = histories.take(np.flatnonzero(keep))
        out = out[keep]
        out["length"] = histories.length
        out["history"] = rows_hash(histories.values, histories.length)
        key = mix(out["user"]) ^ out["history"]
        out["own"][1:] = key[1:] != key[:-1]
        out["own"][:1] = 1
        own = Histories(histories.values, histories.length).take(np.flatnonzero(out["own"]))
        return RecordChunk(out, own.values, int((~keep).sum()))

    def _usable(self, out: NDArray[Any]) -> NDArray[np.bool_]:
        """The rows of known items; if negatives are drawn, only the positives among them."""
        known: NDArray[np.bool_] = out["item"] > 0
        what = f"rows of the log have an item that is not in {self.items.name}; left out"
        self.tally.add("rows.unknown_item", int((~known).sum()), len(out), what)
        if self.spec.negatives is None:
            return known
        used = out["label"] == 1
        what = "rows of the log are no positives; left out, negatives are drawn instead"
        if self.spec.history.events is not None:
            used |= out["event"] == 1
            what = "rows of the log are neither positives nor events of histories; left out"
        self.tally.add("rows.no_positive", int((~used).sum()), len(out), what)
        usable: NDArray[np.bool_] = known & used
        return usable


def users_slices(users: UserTable | None) -> tuple[str, ...]:
    """Names of the slices that come from the users file."""
    return users.slice_names if users else ()


def _splits_of(
    frame: pl.DataFrame, part: Part, column: str | None, first: int
) -> NDArray[np.uint8]:
    if column is None:
        assert part.split is not None
        return np.full(frame.height, SPLITS.index(part.split), np.uint8)
    text = texts(frame[column], TEXT, part.path)
    words = {word: SPLITS.index(split) for split, names in SPLIT_WORDS.items() for word in names}
    code = text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.UInt8)
    stray = code.is_null().arg_true()
    if len(stray):
        raise broken(
            part.path,
            f"split {text[int(stray[0])]!r}, expected train, valid or test",
            "rename it, or drop the row",
            column=column,
            row=first + int(stray[0]),
        )
    return code.to_numpy()


def _probability(column: pl.Series, path: Path, first: int) -> NDArray[np.float64]:
    values = number(column, path, first, "name the column with the probabilities")
    stray = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(stray):
        raise broken(
            path,
            f"got {values[stray[0]]}, expected a probability",
            "the truth lies between 0 and 1",
            column=column.name,
            row=first + int(stray[0]),
        )
    return values
