"""The users file: fields of the requester, looked up by user key."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.raw.codes import Codebook, FieldEncoder
from fusefront.datasets.raw.files import find
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.reading import read_table
from fusefront.datasets.spec import Slice, Users


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


def read_users(data: Path, users: Users, slices: tuple[Slice, ...]) -> UserTable:
    """Read the file whole: one row a user."""
    path = find(data, users.path)
    encoder = FieldEncoder(users.fields)
    wanted = [users.key, *encoder.columns, *(str(part.column) for part in slices)]
    table = read_table(path, wanted, users.separator)
    index = KeyIndex(table[users.key], path, users.key)
    codes, numbers = encoder.encode(table, path, 0)
    books = tuple(Codebook() for _ in slices)
    parts = [book.codes(table[str(part.column)]) for book, part in zip(books, slices, strict=True)]
    sliced = np.stack(parts, 1) if parts else np.zeros((table.height, 0), np.int32)
    return UserTable(
        index,
        encoder,
        np.concatenate([np.zeros((1, codes.shape[1]), np.int32), codes]),
        np.concatenate([np.full((1, numbers.shape[1]), np.nan), numbers]),
        tuple(part.name for part in slices),
        books,
        np.concatenate([np.zeros((1, sliced.shape[1]), np.int32), sliced]).astype(np.int16),
    )
