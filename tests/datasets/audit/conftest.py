"""Stores in memory of exactly the requests that a test gives, for checks at their thresholds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.manifest import Manifest, SplitCounts, StoredField, StoredSchema
from fusefront.datasets.store import ItemStore, PreparedDataset, Split

SPLITS = ("train", "valid", "test")


class Row(NamedTuple):
    """A candidate: item row from 1, label, time, code of the field `c` and number of the field
    `n`."""

    item: int
    label: int = 0
    time: int = 0
    code: int = 0
    number: float = 0.0


class Request(NamedTuple):
    user: int
    rows: Sequence[Row]
    history: Sequence[int] = ()


class Planted(PreparedDataset):
    """A store whose arrays are in memory."""

    parts: Mapping[str, Split]
    things: ItemStore
    values: np.ndarray
    words: Sequence[str]

    def split(self, name: str) -> Split:
        return self.parts[name]

    @property
    def items(self) -> ItemStore:  # type: ignore[override]
        return self.things

    @property
    def history_values(self) -> np.ndarray:  # type: ignore[override]
        return self.values

    def vocabulary(self, side: str, field: str) -> pl.DataFrame:
        return pl.DataFrame({"code": range(1, len(self.words) + 1), "value": self.words})


def split_of(requests: Sequence[Request], start: int, *, timed: bool) -> Split:
    rows = [row for request in requests for row in request.rows]
    length = np.array([len(request.history) for request in requests], np.int64)
    count = len(requests)
    return Split(
        start + np.cumsum(length) - length,
        length.astype(np.int32),
        np.append(0, np.cumsum([len(request.rows) for request in requests])).astype(np.int64),
        np.array([request.user for request in requests], np.int64),
        np.zeros((count, 0), np.int32),
        np.zeros((count, 0), np.float32),
        np.array([row.item for row in rows], np.int32),
        np.array([row.label for row in rows], np.uint8),
        np.arange(len(rows)),
        np.array([row.time for row in rows], np.int64) if timed else None,
        np.array([[row.code] for row in rows], np.int32).reshape(-1, 1),
        np.array([[row.number] for row in rows], np.float32).reshape(-1, 1),
        None,
        {},
    )


def plant(
    requests: Mapping[str, Sequence[Request]],
    *,
    timed: bool = True,
    words: Sequence[str] = ("a", "b", "c"),
    vectors: np.ndarray | None = None,
    present: np.ndarray | None = None,
    **manifest: Any,
) -> Planted:
    """The store; `vectors` [items, D] and `present` [items] are those of the modality `text`."""
    every = [request for name in SPLITS for request in requests[name]]
    rows = [row for request in every for row in request.rows]
    items = max(row.item for row in rows) if vectors is None else len(vectors)
    items_of_histories = [item for request in every for item in request.history]
    items = max([items, *items_of_histories, 0 if present is None else len(present)])
    parts, start = {}, 0
    for name in SPLITS:
        parts[name] = split_of(requests[name], start, timed=timed)
        start += sum(len(request.history) for request in requests[name])
    there = np.ones(items, bool) if present is None else present
    table = np.zeros((items, 2)) if vectors is None else vectors
    train = parts["train"]
    shown = np.bincount(train.item, minlength=items + 1)
    modalities = {} if vectors is None and present is None else {"text": table.shape[1]}
    things = ItemStore(
        {"text": np.concatenate([table[:1] * 0, table]).astype(np.float32)} if modalities else {},
        {},
        np.append(False, there)[:, None] if modalities else np.zeros((items + 1, 0), bool),
        np.zeros((items + 1, 0), np.int32),
        np.zeros((items + 1, 0), np.float32),
        shown,
        np.bincount(train.item, train.label, items + 1).astype(np.int64),
        shown > 0,
    )
    counts = {
        name: SplitCounts(
            requests=len(part.group),
            rows=len(part.item),
            positives=int(part.label.sum()),
            groups=len(set(part.group.tolist())),
        )
        for name, part in parts.items()
    }
    longest = max((len(request.history) for request in every), default=0)
    store = Planted(
        Path("nowhere"),
        Manifest(
            name="planted",
            fingerprint="0" * 16,
            schema=StoredSchema(
                items=items,
                modalities=modalities,
                candidate_fields=(StoredField(name="c", size=len(words) + 1),),
                candidate_numbers=("n",),
                max_history=longest,
            ),
            counts=counts,
            history_values=len(items_of_histories),
            files={},
            timestamps=timed,
            **manifest,
        ),
    )
    arrays = {"parts": parts, "things": things, "words": words}
    for name, value in (arrays | {"values": np.array(items_of_histories, np.int32)}).items():
        object.__setattr__(store, name, value)
    return store


@pytest.fixture(scope="session")
def planted() -> Callable[..., Planted]:
    return plant


@pytest.fixture(scope="session")
def row_type() -> type[Row]:
    return Row


@pytest.fixture(scope="session")
def request_type() -> type[Request]:
    return Request
