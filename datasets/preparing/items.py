"""The items: keys, fields, counts; their vectors are in modalities.py."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.errors import SpecError
from fusefront.datasets.losses import Tally
from fusefront.datasets.manifest import StoredField
from fusefront.datasets.preparing.context import (
    StoredSide,
    count_codes,
    count_numbers,
    write_vocabulary,
)
from fusefront.datasets.raw.category_codes import FieldEncoder, Vocabulary, finish
from fusefront.datasets.raw.column_kinds import WHOLE, Kind, kind_of, whole_numbers
from fusefront.datasets.raw.columns import ITEMS, Kinds
from fusefront.datasets.raw.files import broken, find, write_npy
from fusefront.datasets.raw.history import newest_keys
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.lists import Ragged
from fusefront.datasets.raw.log_records import Part
from fusefront.datasets.raw.reading import columns_of, stream
from fusefront.datasets.raw.vectors import npy_rows
from fusefront.datasets.raw.whole_table import WholeTable, find_table
from fusefront.datasets.scaling import count_cut, fit, scaled
from fusefront.datasets.spec import DatasetSpec


class ItemFile(NamedTuple):
    """The table of items, if there is one, and the index of its keys."""

    keys: KeyIndex
    table: WholeTable | None


def read_items(
    data: Path, spec: DatasetSpec, parts: list[Part], kinds: Kinds, chunk_rows: int
) -> ItemFile:
    """The item keys: of the file, of the log, or the rows of the vectors.

    Raises:
        SpecError: `keys: rows` without a modality whose rows could be counted.
    """
    items = spec.items
    if items.path is not None and items.key is not None:
        table = find_table(data, items.path, items.text)
        return ItemFile(table.keys(items.key, kinds.items), table)
    if items.keys == "rows":
        name = next((m.files()[0] for m in spec.modalities.values() if m.files()), None)
        if name is None:
            raise SpecError("items: keys: rows needs a modality with an npy file; add one")
        path = find(data, name)
        count = npy_rows(path).shape[0]
        return ItemFile(KeyIndex(pl.Series("row", np.arange(count)), path, "row"), None)
    return ItemFile(_keys_of_log(parts, spec, kinds.items, chunk_rows), None)


def _keys_of_log(parts: list[Part], spec: DatasetSpec, kind: Kind, chunk_rows: int) -> KeyIndex:
    """Every key of the log's item column and of its histories, sorted."""
    column, history = spec.columns.item, spec.history
    known: pl.Series | None = None
    for part in parts:
        names = [column, *history.columns(columns_of(part.path, part.text))]
        first = 0
        for frame in stream(part.path, names, chunk_rows, part.text):
            columns_of_keys = [frame[column].drop_nulls()]
            if history.column is not None:
                entries = newest_keys(frame, history, part.path, first, Tally())
                _refuse_blanks(entries, part.path, str(history.column), first)
                columns_of_keys.append(entries.keys)
            for keys in columns_of_keys:
                new = _of_kind(keys.unique(), kind, part.path, column)
                known = new if known is None else pl.concat([known, new]).unique()
            first += frame.height
    if known is None:
        raise broken(parts[0].path, "no rows", "export it again")
    return KeyIndex(known.sort(), parts[0].path, column)


def _refuse_blanks(entries: Ragged, path: Path, column: str, first: int) -> None:
    """Refuses keys with blanks around them, since ' a' and 'a' would be two items."""
    if entries.keys.dtype != pl.String:
        return
    outer = (entries.keys != entries.keys.str.strip_chars()).arg_true()
    if len(outer):
        at = int(outer[0])
        raise broken(
            path,
            f"the history holds {entries.keys[at]!r}, a key with blanks around it",
            "trim the keys",
            column=column,
            row=first + int(entries.row[at]),
        )


def _of_kind(keys: pl.Series, kind: Kind, path: Path, column: str) -> pl.Series:
    """Keys in the one type that they have in all files."""
    if kind == WHOLE and keys.dtype == pl.String:
        keys = whole_numbers(keys)
    if len(keys) and kind_of(keys.dtype) != kind:
        raise broken(
            path,
            f"item keys are {kind_of(keys.dtype)}, elsewhere they are {kind}",
            "store the items of the log and of its histories as one type",
            column=keys.name,
        )
    return keys.cast(pl.Int64 if kind == WHOLE else pl.String).alias(column)


def write_items(
    folder: Path,
    data: Path,
    spec: DatasetSpec,
    items: ItemFile,
    in_train: NDArray[np.bool_],
    kinds: Kinds,
    tally: Tally,
) -> StoredSide:
    """keys.parquet, fields.npy, numbers.npy and the vocabularies of the items that train has:
    `in_train` [items + 1], row 0 is no item."""
    target = folder / "items"
    target.mkdir(parents=True, exist_ok=True)
    keys = items.keys.keys
    rows = np.arange(1, len(keys) + 1, dtype=np.int32)
    pl.DataFrame({"row": rows, "key": keys}).write_parquet(target / "keys.parquet")
    encoder = FieldEncoder(spec.items.fields, kinds.table(ITEMS))
    if items.table is None or not encoder.fields:
        write_npy(target / "fields.npy", np.zeros((len(keys) + 1, 0), np.int32))
        write_npy(target / "numbers.npy", np.zeros((len(keys) + 1, 0), np.float32))
        return StoredSide((), (), {})
    parts = [
        encoder.encode(part.frame, part.path, 0) for part in items.table.files(encoder.columns)
    ]
    codes = np.concatenate([part.codes for part in parts])
    numbers = np.concatenate([part.numbers for part in parts])
    encoder.count_beyond(tally, "item")
    stored, codes = _final_codes(folder, encoder, codes, in_train[1:], tally)
    write_npy(target / "fields.npy", np.concatenate([codes[:1] * 0, codes]))
    names = [field.label for field in encoder.numeric]
    labels = [f"item.{name}" for name in names]
    count_numbers(tally, labels, numbers)
    warm = numbers[in_train[1:]]
    scalings = fit([warm], labels, len(warm))
    scores = scaled(numbers, scalings)
    count_cut(tally, labels, scalings, scores)
    write_npy(target / "numbers.npy", np.concatenate([scores[:1] * 0, scores]))
    return StoredSide(stored, tuple(names), dict(zip(labels, scalings, strict=True)))


def _final_codes(
    folder: Path,
    encoder: FieldEncoder,
    codes: NDArray[np.int32],
    warm: NDArray[np.bool_],
    tally: Tally,
) -> tuple[tuple[StoredField, ...], NDArray[np.int32]]:
    """Keep the values that train has; a field gets as many columns as its longest item needs."""
    stored, parts, start = [], [], 0
    for field, book, width in zip(encoder.categorical, encoder.books, encoder.widths, strict=True):
        part = codes[:, start : start + width]
        start += width
        counts = np.bincount(part[warm].ravel(), minlength=len(book.values))
        vocabulary: Vocabulary = finish(book, counts)
        used = max(1, int((part > 0).sum(1).max(initial=0)))
        parts.append(vocabulary.of[part[:, :used]])
        count_codes(tally, f"item.{field.label}", "items", part[:, :used], parts[-1])
        stored.append(StoredField(name=field.label, size=vocabulary.size, columns=used))
        write_vocabulary(folder, "item", field.label, vocabulary)
    merged = np.concatenate(parts, 1) if parts else np.zeros((len(codes), 0), np.int32)
    return tuple(stored), merged
