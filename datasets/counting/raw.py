"""Raw rows in the form that counters need: rows of a later log, or of a request to be scored."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.counting.rows import Codes, CountedRows, Ints, Place
from fusefront.datasets.counting.stored import StoredCounters
from fusefront.datasets.counting.timeline import Words
from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.column_kinds import TEXT
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.hashing import combine
from fusefront.datasets.raw.labels import labels
from fusefront.datasets.raw.request_words import request_words
from fusefront.datasets.raw.time_kinds import clock_kind
from fusefront.datasets.raw.times import Clock
from fusefront.datasets.raw.users import UserCodes

CodesOf = Callable[[str], Codes]  # "request.device" -> [n, C], 0 = no value


class ItemFieldCodes(NamedTuple):
    """The codes of the items' fields, row 0 for an item that is not known."""

    fields: NDArray[np.int32]  # [items + 1, C]
    places: dict[str, Place]  # "item.genres" -> its columns

    def of(self, name: str, items: Codes) -> Codes:
        """Codes [n, columns] of one field."""
        return self.fields[items][:, self.places[name].columns]


class RawCounting:
    """Reads users, times and labels as `prepare` read the log; `kinds` are those of its columns."""

    def __init__(
        self, stored: StoredCounters, kinds: Mapping[str, str], items: ItemFieldCodes
    ) -> None:
        self.stored, self.kinds, self.items = stored, kinds, items
        self.columns = stored.columns
        self.attributes = sorted(
            {part for ledger in stored.plan.ledgers for part in ledger.key} - {"user", "item"}
        )
        timestamp = str(self.columns.timestamp)
        self.clock = Clock(
            self.columns.time_format,
            self.columns.time_unit,
            kind=clock_kind(kinds.get(timestamp, "nothing")),
        )

    def user_column(self, have: Sequence[str], path: Path) -> str:
        """Where a table of requests has the user: the log's column, or "user"."""
        for name in (self.columns.user, "user"):
            if name in have:
                return name
        fix = f"the counters look up each row's user in {self.columns.user!r} or 'user'; add it"
        raise broken(path, "no column of the user", fix)

    def users(self, column: pl.Series, path: Path, first: int) -> Ints:
        """Codes [rows] of a column of users; `first` is the file's row of the first."""
        codes = UserCodes(self.kinds.get(self.columns.user, TEXT))
        return codes.read(column.alias(self.columns.user), path, first)[0]

    def times(self, frame: pl.DataFrame, path: Path, first: int) -> Ints:
        """Times [rows] in ticks of the log that was prepared; `first` is the file's row of the
        first."""
        times = self.clock.read(frame[str(self.columns.timestamp)], path, first)
        if self.clock.unit != self.stored.unit and len(times):
            raise broken(
                path,
                f"times in {self.clock.unit or 'no known unit'}, those that were prepared are in "
                f"{self.stored.unit or 'no known unit'}",
                "write the times in the unit of the first log",
                column=self.columns.timestamp,
            )
        return times

    def codes(self, items: Codes, of_row: CodesOf) -> dict[str, Codes]:
        """The codes [rows, C] of every attribute of a key, of item rows [rows]; `of_row` gives
        those of requests and candidates."""
        return {
            name: self.items.of(name, items) if name.startswith("item.") else of_row(name)
            for name in self.attributes
        }

    def log_columns(self, attributes: Mapping[str, str]) -> list[str]:
        """The columns of a log that are read, with those of the attributes of requests and rows."""
        own = self.columns
        columns = [own.user, own.item, own.label, own.timestamp, own.request, *attributes.values()]
        return list(dict.fromkeys(name for name in columns if name))

    def log_rows(
        self, frame: pl.DataFrame, items: Codes, of_row: CodesOf, path: Path, first: int
    ) -> CountedRows:
        """The rows of a chunk of a log, in its order, with the item rows [rows]; `first` is the
        file's row of the first."""
        columns = self.columns
        time = self.times(frame, path, first)
        label = np.ones(frame.height, np.uint8)
        if columns.label is not None:
            kind, positive = self.kinds.get(columns.label, TEXT), self.stored.label.positive_when
            label = labels(frame[columns.label], kind, path, first, positive)
        user = self.users(frame[columns.user], path, first)
        source = first + np.arange(frame.height)
        codes = self.codes(items, of_row)
        return CountedRows(False, user, items, label, time, time, source, codes)

    def requests(self, frame: pl.DataFrame, rows: CountedRows, path: Path) -> Words | None:
        """A word for the request of every row of a chunk, [rows], where the log names them."""
        column = self.columns.request
        if column is None:
            return None
        kind, none = self.kinds.get(column, TEXT), self.columns.no_request
        words = request_words(frame[column], kind, path, none, rows.time, Tally())
        return combine(0, rows.user.view(np.uint64), words)
