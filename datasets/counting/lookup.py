"""Looks up the numbers of counters for raw rows of requests in a counter store."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.counting.raw import RawCounting
from fusefront.datasets.counting.rows import CountedRows, Place
from fusefront.datasets.counting.state import CounterState
from fusefront.datasets.losses import Tally
from fusefront.datasets.row_encoder import TableColumns


class CounterLookup:
    """`places` says where the codes of requests' and candidates' fields lie in those of a side."""

    def __init__(
        self, state: CounterState, reader: RawCounting, places: Mapping[str, Place]
    ) -> None:
        self.state, self.reader, self.places = state, reader, places

    @property
    def names(self) -> Collection[str]:
        """ "<side>.<number>" of all."""
        return self.state.stored.numbers

    def columns(self, have: Sequence[str], path: Path) -> tuple[str, str | None]:
        """The columns of the user and, if there is one, of the time."""
        time = str(self.reader.columns.timestamp)
        return self.reader.user_column(have, path), time if time in have else None

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
        """The numbers [n] of rows at their times; rows without a time are looked up after
        everything counted."""
        until, count = self.state.until, len(items)
        moment = np.full(count, until + 1)
        if columns.timestamp is not None:
            moment = self.reader.times(frame, path, first)
        older = int((moment < until).sum())
        what = (
            "rows are older than the newest that was counted: their numbers may hold what came "
            "later"
        )
        tally.add("counters.older", older, count, what)

        def of_row(name: str) -> NDArray[np.int32]:
            place = self.places[name]
            return ids[place.side][:, place.columns]

        user = self.reader.users(frame[str(columns.user)], path, first)
        none = np.zeros(count, np.uint8)
        codes = self.reader.codes(items, of_row)
        rows = CountedRows(False, user, items, none, moment, moment, np.arange(count), codes)
        return self.state.numbers(rows)
