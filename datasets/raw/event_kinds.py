"""Several kinds of events in one log: which of them make histories, and what kind each is."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.category_codes import Codebook
from fusefront.datasets.raw.column_kinds import Kind
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.values import texts
from fusefront.datasets.spec import History

MOST = 255  # kinds, with 0 for none in a byte


@dataclass
class EventKinds:
    """Reads `history.kind`, a column of `kind`; its code book grows while streaming."""

    history: History
    kind: Kind
    tally: Tally
    book: Codebook = field(default_factory=Codebook)
    path: Path = Path()

    def read(
        self, column: pl.Series, label: NDArray[np.uint8], path: Path
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """(kind, whether it is an event of histories), each [rows], of every row of a chunk with
        labels [rows]; kind 0 is none."""
        codes = self.book.codes(texts(column, self.kind, path))
        self.path = path
        if len(self.book.values) > MOST + 1:
            raise broken(
                path,
                f"more than {MOST} kinds of event, such as {self.book.values[-1]!r}",
                "name a column with few values in history.kind, or bin it first",
                column=column.name,
            )
        if self.history.events is None:
            event = label
        elif self.history.events == "all":
            event = np.ones(len(codes), np.uint8)
        else:
            event = self._in_histories()[codes].astype(np.uint8)
        none = int(((codes == 0) & (event == 1)).sum())
        what = f"events of histories have no kind in {column.name}"
        self.tally.add("history.kind_absent", none, int(event.sum()), what)
        return codes.astype(np.uint8), event

    def check(self) -> None:
        """After reading: checks that every kind named by the spec occurred."""
        if self.history.events is None or self.history.events == "all":
            return
        there = self.book.values[1:]
        for name in self.history.events:
            if not any(_same(name, value) for value in there):
                raise broken(
                    self.path,
                    f"no event of the kind {name!r}, which history.events names",
                    f"the column holds {', '.join(sorted(there)[:20])}",
                    column=self.history.kind,
                )

    def _in_histories(self) -> NDArray[np.bool_]:
        """[codes] whether the spec names the kind."""
        names = self.history.events or ()
        return np.array([any(_same(n, value) for n in names) for value in self.book.values])


def _same(name: str, value: str) -> bool:
    """Whether a name and a value are equal as text or as numbers: 4 in a spec matches 4.0 in a
    column."""
    if name == value:
        return True
    try:
        return float(name) == float(value)
    except ValueError:
        return False
