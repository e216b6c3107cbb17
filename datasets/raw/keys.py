"""Item keys of the source to item rows 1 .. n; 0 = not an item."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.column_kinds import TEXT, WHOLE, Kind, kind_of, whole_numbers
from fusefront.datasets.raw.files import broken


class KeyIndex:
    """Looks up whole columns of keys. Key i (in file order) has row i + 1.

    `kind` is the kind of the keys over all files: integers or text. `files` are the parts of a
    table, each with the number of rows before it; `path` is the first.
    """

    def __init__(
        self,
        keys: pl.Series,
        path: Path,
        column: str,
        kind: Kind = TEXT,
        files: tuple[tuple[int, Path], ...] = (),
    ) -> None:
        self.column, self._files = column, files or ((0, path),)
        more = len(self._files) - 1
        self.name = path.name + (f" and {more} more" if more else "")  # for messages
        self.keys = keys = usable_keys(keys, path, column, kind)
        self.is_text = keys.dtype == pl.String
        self.kind = TEXT if self.is_text else WHOLE
        if not self.is_text:
            numbers = keys.to_numpy().astype(np.int64)
            self._order = np.argsort(numbers, kind="stable")
            self._sorted = numbers[self._order]
            twice = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
            if len(twice):
                self._refuse_twice(int(self._order[twice[0] + 1]))
            self._table = self._dense()
        else:
            again = keys.is_first_distinct().not_()
            if again.any():
                self._refuse_twice(int(again.arg_true()[0]))
            self._frame = pl.DataFrame(
                {"key": keys, "row": np.arange(1, len(keys) + 1, dtype=np.int32)}
            )

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, text: object) -> bool:
        """Whether a key is written exactly like this."""
        return bool((self.keys.cast(pl.String) == str(text)).any())

    def _refuse_twice(self, row: int) -> None:
        before = int((self.keys == self.keys[row]).arg_true()[0])
        path, place = self._place(row)
        earlier, at = self._place(before)
        where = "before" if earlier == path else f"before, in row {at} of {earlier.name}"
        raise broken(
            path,
            f"the key {self.keys[row]!r} was there {where}",
            "keep one row an item",
            column=self.column,
            row=place,
        )

    def _place(self, row: int) -> tuple[Path, int]:
        """The file of a row and its row there."""
        start, path = max(file for file in self._files if file[0] <= row)
        return path, row - start

    def _dense(self) -> NDArray[np.int32] | None:
        low, high = int(self._sorted[0]), int(self._sorted[-1])
        if high - low > 4 * len(self._sorted) + (1 << 20):
            return None
        table = np.zeros(high - low + 1, np.int32)
        table[self._sorted - low] = self._order + 1
        return table

    def rows(self, column: pl.Series, path: Path, name: str, first: int = 0) -> NDArray[np.int32]:
        """Item row of every entry, [n], 0 where the key is unknown or null; `first` is the file's
        row of the first."""
        column = self._as_keys(column, path, name, first)
        if self.is_text:
            joined = pl.DataFrame({"key": column}).join(
                self._frame, on="key", how="left", maintain_order="left"
            )
            return joined["row"].fill_null(0).to_numpy().astype(np.int32)
        known = column.is_not_null().to_numpy()
        numbers = column.fill_null(0).to_numpy().astype(np.int64)
        if self._table is not None:
            low = self._sorted[0]
            inside = known & (numbers >= low) & (numbers <= self._sorted[-1])
            place = np.where(inside, numbers - low, 0)
            return np.where(inside, self._table[place], 0).astype(np.int32)
        place = np.minimum(np.searchsorted(self._sorted, numbers), len(self._sorted) - 1)
        hit = known & (self._sorted[place] == numbers)
        return np.where(hit, self._order[place] + 1, 0).astype(np.int32)

    def _as_keys(self, column: pl.Series, path: Path, name: str, first: int) -> pl.Series:
        if column.null_count() == len(column):
            return pl.Series(column.name, [None] * len(column), self.keys.dtype)
        if column.dtype == pl.String and self.is_text:
            return column
        if column.dtype.is_integer() and not self.is_text:
            return column.cast(pl.Int64, strict=False)
        if column.dtype == pl.String:
            return self._whole(column, path, name, first)
        raise broken(
            path,
            f"the keys are {kind_of(column.dtype)}, those of {self.name} are {self.kind}",
            "store both as the same type",
            column=name,
            row=first,
        )

    def _whole(self, column: pl.Series, path: Path, name: str, first: int) -> pl.Series:
        """Integers from the text of an untyped file; '007' is no number."""
        cast = whole_numbers(column)
        bad = (cast.is_null() & column.is_not_null()).arg_true()
        if len(bad):
            raise broken(
                path,
                f"got {column[int(bad[0])]!r}, expected an integer item key",
                f"write the keys as in {self.name}",
                column=name,
                row=first + int(bad[0]),
            )
        return cast


def usable_keys(keys: pl.Series, path: Path, column: str, kind: Kind) -> pl.Series:
    """The keys of one file as integers (int64) or text; refuses values that cannot be keys."""
    if kind == WHOLE and keys.dtype == pl.String:
        keys = whole_numbers(keys)
    if len(keys) == 0:
        raise broken(path, "no items", "export it again", column=column)
    null = keys.is_null()
    if null.any():
        row = int(null.arg_true()[0])
        raise broken(path, "an item without a key", "fill or drop the row", column=column, row=row)
    if keys.dtype == pl.UInt64 and int(keys.max() or 0) > 2**63 - 1:  # type: ignore[arg-type]
        raise broken(path, "a key beyond 63 bits", "store the keys as text", column=column)
    if keys.dtype != pl.String and not keys.dtype.is_integer():
        raise broken(
            path, f"the keys are {keys.dtype}", "store keys as integers or text", column=column
        )
    return keys
