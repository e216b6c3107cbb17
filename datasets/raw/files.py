"""Finding, hashing and writing files; reports what can be wrong with a path."""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from fusefront.datasets.errors import BrokenFileError, DataContractError

_BLOCK = 1 << 22
_LONGEST = 200  # characters of a path in a message
_HEADER = 192  # bytes kept for the npy header, which is written last


def broken(
    path: Path | str, content: str, fix: str, *, column: str | None = None, row: int | None = None
) -> DataContractError:
    """The error sentence: file, column, row (counted from 0), what was found, what to do."""
    where = str(path) if len(str(path)) <= _LONGEST else f"...{str(path)[-_LONGEST:]}"
    where += f", column {column!r}" if column is not None else ""
    where += f", row {row}" if row is not None else ""
    return BrokenFileError(f"{where}: {content}; {fix}", Path(path), where, column)


def refuse_twice(path: Path, names: list[str]) -> None:
    """Refuse a table that has two columns of one name."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise broken(path, f"column {twice[0]!r} appears twice", "rename one")


def find(data: Path, name: str) -> Path:
    """The regular, non-empty file `name` under the data folder."""
    path = data / name
    try:
        path = path.resolve(strict=True)
        size = path.stat().st_size
    except FileNotFoundError:
        if (data / name).is_symlink():
            raise broken(data / name, "a dangling link", "make it point to the file") from None
        near = ", ".join(sorted(entry.name for entry in data.glob("*"))[:8]) or "nothing"
        raise broken(data / name, "no such file", f"the folder holds {near}") from None
    except (OSError, RuntimeError, ValueError) as error:  # a link loop by version, a NUL
        reason = getattr(error, "strerror", None) or str(error) or "a loop of links"
        raise broken(data / name, str(reason).lower(), "fix the path or its rights") from None
    if not path.is_file():
        raise broken(data / name, "a folder or a device, not a file", "name a file")
    if size == 0:
        raise broken(data / name, "an empty file", "export it again")
    if not os.access(path, os.R_OK):
        raise broken(data / name, "permission denied", "give yourself the right to read it")
    return data / name


def filled(column: pl.Series, path: Path, first: int) -> pl.Series:
    """The column, after checking that every row has a value; `first` is the file's row of the
    first."""
    null = column.is_null()
    if null.any():
        row = first + int(null.arg_true()[0])
        raise broken(path, "no value", "drop the row or fill it", column=column.name, row=row)
    return column


def sha256(path: Path) -> str:
    """Hex digest of a file's content, streamed."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class NpyWriter:
    """An .npy file that grows by appended rows; its header is written on close."""

    def __init__(self, path: Path, dtype: DTypeLike, width: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.dtype, self.width, self.rows = path, np.dtype(dtype), width, 0
        self._file = path.open("wb")
        self._file.write(b"\0" * _HEADER)

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows [n] or [n, width]."""
        block = np.ascontiguousarray(rows, self.dtype)
        assert block.ndim == 1 if self.width is None else block.shape[1:] == (self.width,)
        self._file.write(block.data if block.size else b"")
        self.rows += len(block)

    def close(self) -> None:
        """Write the header, make the file durable."""
        if self._file.closed:
            return
        shape = (self.rows,) if self.width is None else (self.rows, self.width)
        text = f"{{'descr': {self.dtype.str!r}, 'fortran_order': False, 'shape': {shape}, }}"
        length = _HEADER - 10
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little"))
        self._file.write(text.ljust(length - 1).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write one array [n] or [n, width] whole, durable."""
    width = array.shape[1] if array.ndim == 2 else None
    with NpyWriter(path, array.dtype, width) as file:
        file.append(array)
