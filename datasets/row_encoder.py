"""Encodes raw rows to the codes and numbers that a model takes, as `prepare` does, but without a
store.

Needs the facts that a bundle carries: columns and kinds, vocabularies, scalings, item keys.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.manifest import Scaling
from fusefront.datasets.raw.column_kinds import conform
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.history import Histories
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.lists import as_lists, clean_keys, newest_of
from fusefront.datasets.raw.values import cells, number, table, texts
from fusefront.datasets.raw_rows import RawField, RawRows
from fusefront.datasets.scaling import scaled
from fusefront.datasets.spec import History

SIDES = ("request", "candidate")
KIND = "history_kind"  # beside "history": a list of what the user did with each item
PLAIN = History.model_validate({"from": "list", "column": "history"})


class TableColumns(NamedTuple):
    """Which columns of a table hold the item, its history if any, and each side's fields."""

    item: str
    history: History | None
    fields: dict[str, tuple[str, ...]]  # "" for a number that the counters give
    all: tuple[str, ...]
    user: str | None = None  # where counters are looked up
    timestamp: str | None = None


class EncodedRows(NamedTuple):
    """n rows; ids 0 = absent or unknown."""

    items: NDArray[np.int32]  # [n]
    histories: Histories  # newest last, without unknown items
    kinds: NDArray[np.int64] | None  # [V] of the histories' values, where events are told apart
    ids: dict[str, NDArray[np.int32]]  # side -> [n, C]
    numbers: dict[str, NDArray[np.float32]]  # side -> [n, N], scaled


class NumberSource(Protocol):
    """Looks up the numbers of counters that raw rows lack."""

    @property
    def names(self) -> Collection[str]:
        """All, as "<side>.<number>"."""

    def columns(self, have: Sequence[str], path: Path) -> tuple[str, str | None]:
        """The columns of the user and, if there is one, of the time."""

    def numbers(
        self,
        frame: pl.DataFrame,
        columns: TableColumns,
        items: NDArray[np.int32],
        ids: Mapping[str, NDArray[np.int32]],
        tally: Tally,
        path: Path,
        first: int,
    ) -> Mapping[str, NDArray[np.float64]]:
        """The numbers [n] by name, not scaled."""


class RowEncoder:
    """`vocabularies` are `code` and `value` by "<side>.<field>", `keys` the item keys by row."""

    def __init__(
        self,
        raw: RawRows,
        keys: KeyIndex,
        vocabularies: Mapping[str, pl.DataFrame],
        scalings: Mapping[str, Scaling],
    ) -> None:
        self.raw, self.keys, self.scalings = raw, keys, scalings
        self.vocabularies = {
            name: words.select(pl.col("value").alias("text"), pl.col("code").cast(pl.Int32))
            for name, words in vocabularies.items()
        }
        self.tally = Tally()
        self.kinds = {kind: code for code, kind in enumerate(raw.event_kinds, 1)}
        self.counting: NumberSource | None = None  # looks up the numbers that a table lacks
        self.counters: Collection[str] = ()  # "<side>.<number>" of those that are counters

    def columns(self, have: Sequence[str], path: Path) -> TableColumns:
        """The columns of a table: "item", "history" and the fields' names, or the log's own."""
        raw = self.raw
        counted = self._counted(have)
        names, own = {}, {}
        for side in SIDES:
            labels = [
                "" if f"{side}.{part.name}" in counted else part.name for part in raw.side(side)
            ]
            names[side] = tuple(labels)
            own[side] = tuple(
                part.field.column if name else ""
                for part, name in zip(raw.side(side), labels, strict=True)
            )
        expected = ["item", *(name for side in SIDES for name in names[side] if name)]
        listed = raw.history.columns(have)
        if raw.history_columns and set(listed) & set(have):
            listed = raw.history_columns  # in the order that they had in training, and all of them
            if lacking := [name for name in listed if name not in have]:
                fix = f"the history stands in {listed[0]!r} to {listed[-1]!r}; give all of them"
                raise broken(path, f"column {lacking[0]!r} is missing", fix)
        logged = [raw.item, *(name for side in SIDES for name in own[side] if name), *listed]
        history, lists = self._history(have, listed)
        if KIND in lists and KIND not in have:
            raise broken(
                path,
                f"column {KIND!r} is missing",
                "the bundle tells the events of a history apart; give the kind of each beside "
                "'history'",
            )
        columns = None
        if not set(expected) - set(have):
            columns = TableColumns("item", history, names, (*expected, *lists))
        elif not set(logged) - set(have):
            columns = TableColumns(raw.item, history, own, tuple(dict.fromkeys((*logged, *lists))))
        if columns is not None:
            return self._with_user(columns, have, path) if counted else columns
        missing = next(name for name in expected if name not in have)
        also = "" if logged == expected else f", or the log's own {', '.join(logged)}"
        fix = f"the bundle needs {', '.join(expected)} and takes 'history'{also}"
        if any(f"{side}.{missing}" in self.counters for side in SIDES):
            fix = f"it is a counter: give it, or a counter store by --counters; {fix}"
        raise broken(path, f"column {missing!r} is missing", fix)

    def _counted(self, have: Sequence[str]) -> set[str]:
        """The numbers, as "<side>.<name>", that a table lacks and the counters give."""
        if self.counting is None:
            return set()
        return {name for name in self.counting.names if name.partition(".")[2] not in have}

    def _with_user(self, columns: TableColumns, have: Sequence[str], path: Path) -> TableColumns:
        """With the columns that counters are looked up by."""
        assert self.counting is not None
        user, time = self.counting.columns(have, path)
        also = [name for name in (user, time) if name is not None]
        every = tuple(dict.fromkeys((*columns.all, *also)))
        return columns._replace(all=every, user=user, timestamp=time)

    def _history(
        self, have: Sequence[str], listed: tuple[str, ...]
    ) -> tuple[History | None, tuple[str, ...]]:
        """How histories are read, and from which columns: the log's own, or "history"."""
        if listed and not set(listed) - set(have):
            return self.raw.history, listed
        if "history" in have and self.raw.history.source != "none":
            return PLAIN, ("history", KIND) if self.kinds else ("history",)
        return None, ()

    def encode(
        self, frame: pl.DataFrame, columns: TableColumns, path: Path, first: int
    ) -> EncodedRows:
        """Encode rows; `first` is the file's row of the first. Nothing unknown is refused: it
        counts."""
        items = self.keys.rows(frame[columns.item], path, columns.item, first)
        self._count("rows.unknown_item", items == 0, "rows have an item that is not known")
        ids, numbers = {}, {}
        for side in SIDES:
            pairs = zip(self.raw.side(side), columns.fields[side], strict=True)
            codes = [
                self.codes(side, part, frame[name], path, first)
                for part, name in pairs
                if not part.numeric
            ]
            ids[side] = np.concatenate([np.zeros((len(items), 0), np.int32), *codes], axis=1)
        counted: Mapping[str, NDArray[np.float64]] = {}
        if columns.user is not None and self.counting is not None:
            counted = self.counting.numbers(frame, columns, items, ids, self.tally, path, first)
        for side in SIDES:
            pairs = zip(self.raw.side(side), columns.fields[side], strict=True)
            columns_of = [(f"{side}.{part.name}", name) for part, name in pairs if part.numeric]
            raw = [
                number(frame[name], path, first) if name else counted[label]
                for label, name in columns_of
            ]
            whole = np.stack(raw, 1) if raw else np.zeros((len(items), 0))
            numbers[side] = scaled(whole, [self.scalings[label] for label, _ in columns_of])
        histories, kinds = self._histories(frame, columns, path, first)
        return EncodedRows(items, histories, kinds, ids, numbers)

    def codes(
        self, side: str, part: RawField, column: pl.Series, path: Path, first: int
    ) -> NDArray[np.int32]:
        """Codes [n, columns] of one categorical field."""
        name = f"{side}.{part.name}"
        values = cells(part.field, conform(column, part.kind, path, first), part.kind, path)
        codes = values.texts.to_frame("text").join(
            self.vocabularies[name], on="text", how="left", maintain_order="left"
        )["code"]
        there = (values.texts.is_not_null() & (values.texts != "")).fill_null(value=False)
        unseen = (codes.is_null() & there).filter(there).to_numpy()
        self._count(f"{name}.unseen", unseen, f"values of {name} are not in train; coded as absent")
        known = codes.fill_null(0).to_numpy().astype(np.int32)
        return table(known, values, len(column), part.field.width)

    def _histories(
        self, frame: pl.DataFrame, columns: TableColumns, path: Path, first: int
    ) -> tuple[Histories, NDArray[np.int64] | None]:
        """The newest known items of every row, and the kinds of the events where told apart."""
        empty = Histories(np.zeros(0, np.int32), np.zeros(frame.height, np.int64))
        none = np.zeros(0, np.int64) if self.kinds else None
        if columns.history is None:
            return empty, none
        typed = bool(self.kinds)
        entries = clean_keys(frame, columns.history, path, first, self.tally, places=typed)
        if not len(entries.keys):
            return empty, none
        rows = self.keys.rows(entries.keys, path, str(columns.history.column), first)
        what = "history entries name no known item and are left out"
        self._count("history.unknown_item", rows == 0, what)
        length = np.bincount(entries.row[rows > 0], minlength=frame.height)
        histories = Histories(rows[rows > 0], length)
        most = self.raw.history.max_length
        if entries.at is None:
            return histories.newest(most), None
        kinds = self._kinds(frame, path, first)[entries.at][rows > 0]
        if length.max(initial=0) > most:
            kinds = kinds[newest_of(length, most)]
        return histories.newest(most), kinds

    def _kinds(self, frame: pl.DataFrame, path: Path, first: int) -> NDArray[np.int64]:
        """The code of every entry of the lists of kinds, which are as long as the histories."""
        lists, kinds = (as_lists(frame[name], PLAIN, path, first) for name in ("history", KIND))
        sizes = (part.list.len().fill_null(0).to_numpy() for part in (lists, kinds))
        wrong = np.flatnonzero(np.not_equal(*sizes))
        if len(wrong):
            raise broken(
                path,
                f"a history and its kinds have different lengths, in {len(wrong)} rows",
                "give one kind for each item of the history",
                column=KIND,
                row=first + int(wrong[0]),
            )
        entries = kinds.drop_nulls().explode(empty_as_null=False)
        words = texts(conform(entries, self.raw.event_kind, path, first), self.raw.event_kind, path)
        codes = np.array([self.kinds.get(word, 0) for word in words.to_list()], np.int64)
        what = "events of histories have a kind that is not in train's; they count as of none"
        self._count("history.kind_unseen", codes == 0, what)
        return codes

    def _count(self, key: str, lost: NDArray[np.bool_], what: str) -> None:
        self.tally.add(key, int(lost.sum()), len(lost), what)
