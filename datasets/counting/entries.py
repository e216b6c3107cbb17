"""The records of rows and values of a key that are kept while the key's ledgers are summed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.numbers import POSITIVES, RESIDUAL, fixed
from fusefront.datasets.counting.plan import Ledger, Plan
from fusefront.datasets.counting.rows import CountedRows, key_words

Floats = NDArray[np.float64]


class KeyLedgers(NamedTuple):
    """The ledgers of one key, and what their sums need of a row."""

    key: tuple[str, ...]
    ledgers: dict[int, Ledger]  # place in the plan -> ledger
    drawn: bool  # positives are the only events
    of_requests: bool  # a row's moment is not its time

    @property
    def errors(self) -> list[tuple[Ledger, float]]:
        """The items' ledgers and priors that residuals are taken against, each once."""
        of = [part for part in self.ledgers.values() if part.item_prior]
        return list(dict.fromkeys((ledger.of_items, ledger.item_prior) for ledger in of))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a record of a row and a value of the key."""
        of: list[tuple[str, str] | tuple[str, str, tuple[int]]] = [
            ("key", "<u8"),
            ("row", "<i8"),
            ("time", "<i8"),
            ("label", "u1"),
        ]
        if self.of_requests:
            of.append(("moment", "<i8"))
        if self.ordered:
            of.append(("source", "<i8"))
        if any(ledger.frozen for ledger in self.ledgers.values()):
            of.append(("train", "u1"))
        if self.errors:
            of.append(("errors", "<i8", (len(self.errors),)))
        return np.dtype(of)

    @property
    def ordered(self) -> bool:
        """Whether rows of one time are ordered by the log."""
        return any(ledger.last for ledger in self.ledgers.values())

    def entries(self, rows: CountedRows, first: int, errors: Sequence[Floats]) -> NDArray[Any]:
        """A record for each value that each row has: [entries]. `first` is the row of the first;
        each of `errors` is [rows]."""
        row, words = key_words(rows, self.key)
        out = np.empty(len(row), self.dtype)
        out["key"], out["row"] = words, first + row
        for name in {"time", "label", "moment", "source"} & set(self.dtype.names or ()):
            out[name] = getattr(rows, name)[row]
        if "train" in (self.dtype.names or ()):
            out["train"] = rows.train
        for place, error in enumerate(errors):
            out["errors"][:, place] = fixed(error)[row]
        return out

    def events(self, entries: NDArray[Any]) -> NDArray[Any]:
        """The entries [n] that are counted as events."""
        if not self.drawn or entries["label"].all():
            return entries
        events: NDArray[Any] = entries[entries["label"] == 1]
        return events

    def moment(self, entries: NDArray[Any]) -> NDArray[np.int64]:
        """[n] the times of the entries; a row knows nothing from its time on."""
        moment: NDArray[np.int64] = entries["moment" if self.of_requests else "time"]
        return moment

    def values(self, ledger: Ledger, events: NDArray[Any]) -> NDArray[np.int64]:
        """[E, width] what a ledger sums."""
        values = np.ones((len(events), width_of(ledger)), np.int64)
        values[:, POSITIVES] = events["label"]
        if ledger.item_prior:
            of = self.errors.index((ledger.of_items, ledger.item_prior))
            values[:, RESIDUAL] = events["errors"][:, of]
        if ledger.frozen:
            values *= events["train"][:, None]
        return values


def ledgers_of(plan: Plan, *, drawn: bool, of_requests: bool) -> list[KeyLedgers]:
    """Every key of a plan; keys that need the sums of others come after them."""
    keys = list(dict.fromkeys(ledger.key for ledger in plan.ledgers))
    groups = [
        KeyLedgers(
            key,
            {place: each for place, each in enumerate(plan.ledgers) if each.key == key},
            drawn,
            of_requests,
        )
        for key in keys
    ]
    return sorted(groups, key=lambda group: bool(group.errors))


def width_of(ledger: Ledger) -> int:
    """Columns of a ledger's sums."""
    return 3 if ledger.item_prior else 2


def result_of(ledger: Ledger) -> np.dtype[Any]:
    """A record of a row's sums: whole numbers, whose order does not matter, unless rows fade."""
    kind = "<f8" if ledger.halving else "<i8"
    return np.dtype([("row", "<i8"), ("values", kind, (width_of(ledger),))])
