"""Plans memory: sizes of chunks and buckets from --max-memory, printed before the work starts."""

import re
from typing import NamedTuple

from fusefront.datasets.errors import SpecError

DEFAULT = 4 << 30
_BASE = 260 << 20  # interpreter, NumPy, Polars and Arrow themselves
_ITEM = 96  # bytes per item: keys, index, counts
_WORK = 9  # copies of a bucket's records while it is arranged, about
_CHUNK = 6  # copies of a chunk's, while it is read
_ENTRY = 250  # bytes of a counter's entry while it is summed
_PART = 1 << 18  # entries at most: more at once are no faster
_BITS = 14  # 2 ** bits buckets at most
_FEW, _FEWEST = 1 << 14, 1 << 10  # rows a bucket should hold; and must hold if rows are wide
_SMALL = 16 << 20  # bytes a chunk may take even under the smallest limit
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class Budget(NamedTuple):
    """The planned sizes, in bytes and rows."""

    limit: int
    chunk_rows: int
    bits: int  # 2 ** bits buckets
    peak: int  # estimate
    disk: int  # temporary files

    def part(self, items: int) -> int:
        """How many entries of counters are summed in one step."""
        free = self.limit - _BASE - _ITEM * items
        return min(_PART, max(_FEW, free // 2 // _ENTRY))

    def sentence(self, rows: int) -> str:
        """The sentence printed before the work starts."""
        return (
            f"{rows:,} rows; memory at most {size(self.limit)}, expected {size(self.peak)}: "
            f"chunks of {self.chunk_rows:,} rows, {1 << self.bits} buckets of about "
            f"{rows >> self.bits:,} rows; at most {size(self.disk)} of temporary files"
        )


class RowBytes(NamedTuple):
    """Bytes of one row: its record, and its history as read and as stored."""

    record: int
    read: int = 4
    spilled: int = 4


def plan(rows: int, row: RowBytes, items: int, limit: int | None) -> Budget:
    """The sizes for `rows` rows under `limit` bytes.

    Raises:
        SpecError: `limit` is less than the items and one bucket need.
    """
    limit = limit or DEFAULT
    fixed = _BASE + _ITEM * items
    free = limit - fixed
    few, fewest = min(rows, _FEW), min(rows, max(_FEWEST, rows >> _BITS))
    least = (few * row.record + fewest * row.spilled) * _WORK
    if free < least:
        raise SpecError(
            f"--max-memory {size(limit)} is too little: {items:,} items and one bucket need "
            f"{size(fixed + least)}; allow that much"
        )
    whole, wide = row.record + row.spilled, row.record + row.read
    floor = max(1 << 8, min(1 << 12, _SMALL // (wide * _CHUNK)))
    chunk = max(floor, min(1 << 19, int(free * 0.2) // (wide * _CHUNK)))
    bits = 0
    while (rows >> bits) * whole * _WORK > free * 0.6 and bits < _BITS:
        bits += 1
    peak = fixed + min(rows, chunk) * wide * _CHUNK + min(rows, rows >> bits) * whole * _WORK
    return Budget(limit, chunk, bits, peak, rows * whole)


def parse_size(text: str) -> int:
    """`"4GiB"`, `"512M"` or `"1.5g"` to bytes.

    >>> parse_size("1.5g") == 3 << 29
    True

    Raises:
        SpecError: the text is no number with a unit.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if match is None or float(match.group(1)) <= 0:
        raise SpecError(f"got size {text!r}, expected a number and a unit such as 4GiB or 512M")
    return int(float(match.group(1)) * _UNITS[match.group(2)])


def size(count: float) -> str:
    """Bytes in readable form: 1.5 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit in ("B", "KiB") else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
