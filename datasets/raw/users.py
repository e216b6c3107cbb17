"""Users: the code of every key, and the users file with fields of the requester."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.category_codes import Codebook, FieldEncoder, slice_codes
from fusefront.datasets.raw.column_kinds import WHOLE, Kind, whole_numbers
from fusefront.datasets.raw.files import broken, filled
from fusefront.datasets.raw.hashing import mix, text_hash
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.whole_table import TablePart, find_table
from fusefront.datasets.spec import SliceSpec, Users


@dataclass(frozen=True)
class UserTable:
    """The table of users; row 0 stands for a user who is not in the file."""

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
    """Read the files whole: one row a user; `kinds` of its columns by name."""
    table = find_table(data, users.path, users.text)
    encoder = FieldEncoder(users.fields, kinds)
    columns = [users.key, *encoder.columns, *(str(part.column) for part in slices)]
    index = table.keys(users.key, kinds[users.key])
    books = tuple(Codebook() for _ in slices)
    codes = [np.zeros((1, sum(encoder.widths)), np.int32)]
    numbers = [np.full((1, len(encoder.numeric)), np.nan)]
    sliced = [np.zeros((1, len(slices)), np.int16)]
    for part in table.files(columns):
        encoded = encoder.encode(part.frame, part.path, 0)
        codes.append(encoded.codes)
        numbers.append(encoded.numbers)
        sliced.append(_slices(slices, books, part, kinds))
    return UserTable(
        index,
        encoder,
        np.concatenate(codes),
        np.concatenate(numbers),
        tuple(part.name for part in slices),
        books,
        np.concatenate(sliced),
    )


def _slices(
    slices: tuple[SliceSpec, ...],
    books: tuple[Codebook, ...],
    part: TablePart,
    kinds: Mapping[str, Kind],
) -> NDArray[np.int16]:
    """Codes [rows, slices] of one file."""
    columns = [
        slice_codes(book, part.frame[str(of.column)], kinds[str(of.column)], part.path, of.name)
        for book, of in zip(books, slices, strict=True)
    ]
    return np.stack(columns, 1) if columns else np.zeros((part.frame.height, 0), np.int16)


class UserCodes:
    """Codes of the log's users: integers are their own code, text is hashed."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def read(
        self, column: pl.Series, path: Path, first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """(code, hash), each [n], of every user of a chunk whose first row is row `first` of the
        file."""
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
