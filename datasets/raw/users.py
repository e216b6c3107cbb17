"""Users: the code of every key, and the users file with fields of the requester."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.codes import Codebook, FieldEncoder, slice_codes
from fusefront.datasets.raw.files import broken, filled, find
from fusefront.datasets.raw.hashing import mix, text_hash
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.kinds import WHOLE, Kind, whole_numbers
from fusefront.datasets.raw.reading import read_table
from fusefront.datasets.spec import SliceSpec, Users


@dataclass(frozen=True)
class UserTable:
    """Row 0 stands for a user who is not in the file."""

    index: KeyIndex
    encoder: FieldEncoder
    codes: NDArray[np.int32]  # [n + 1, C]
    numbers: NDArray[np.float64]  # [n + 1, N]
    slice_names: tuple[str, ...]
    slice_books: tuple[Codebook, ...]
    slice_codes: NDArray[np.int16]  # [n + 1, S]


def read_users(
    data: Path, users: Users, slices: tuple[SliceSpec, ...], kinds: Mapping[str, Kind]
) -> UserTable:
    """Read the file whole: one row a user; `kinds` of its columns by name."""
    path = find(data, users.path)
    encoder = FieldEncoder(users.fields, kinds)
    columns = [users.key, *encoder.columns, *(str(part.column) for part in slices)]
    table = read_table(path, columns, users.text)
    index = KeyIndex(table[users.key], path, users.key, kinds[users.key])
    codes, numbers = encoder.encode(table, path, 0)
    books = tuple(Codebook() for _ in slices)
    parts = [
        slice_codes(book, table[str(part.column)], kinds[str(part.column)], path, part.name)
        for book, part in zip(books, slices, strict=True)
    ]
    sliced = np.stack(parts, 1) if parts else np.zeros((table.height, 0), np.int16)
    return UserTable(
        index,
        encoder,
        np.concatenate([np.zeros((1, codes.shape[1]), np.int32), codes]),
        np.concatenate([np.full((1, numbers.shape[1]), np.nan), numbers]),
        tuple(part.name for part in slices),
        books,
        np.concatenate([np.zeros((1, sliced.shape[1]), np.int16), sliced]),
    )


class UserCodes:
    """Codes of the log's users: whole numbers are their own code, text is hashed."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def read(
        self, column: pl.Series, path: Path, first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """(code, hash) of every user of a chunk whose first row is row `first` of the file."""
        column = filled(column, path, first)
        if self.kind == WHOLE and column.dtype == pl.String:
            column = whole_numbers(column)  # which all of them are
        if column.dtype.is_integer():
            return _whole(column)
        if column.dtype != pl.String:
            raise broken(
                path, f"got {column.dtype}", "store users as integers or text", column=column.name
            )
        words = text_hash(column)
        return (words >> np.uint64(1)).astype(np.int64), words


def _whole(column: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    dtype = np.uint64 if column.dtype == pl.UInt64 else np.int64
    words = column.to_numpy().astype(dtype).view(np.uint64)  # beyond 63 bits a code is negative
    return words.view(np.int64), mix(words)
