"""How much memory the work takes: chunk and bucket sizes from --max-memory, said beforehand."""

import re
from typing import NamedTuple

from fusefront.datasets.errors import SpecError

DEFAULT = 4 << 30
_BASE = 260 << 20  # interpreter, NumPy, Polars and Arrow themselves
_ITEM = 96  # bytes per item: keys, index, counts
_WORK = 9  # a bucket's records are held about so many times over while it is arranged
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class Budget(NamedTuple):
    """What the plan allows itself, in bytes and rows."""

    limit: int
    chunk_rows: int
    bits: int  # 2 ** bits buckets
    peak: int  # estimate
    disk: int  # temporary files

    def sentence(self, rows: int) -> str:
        """What is printed before the work starts."""
        return (
            f"{rows:,} rows; memory at most {size(self.limit)}, expected {size(self.peak)}: "
            f"chunks of {self.chunk_rows:,} rows, {1 << self.bits} buckets of about "
            f"{rows >> self.bits:,} rows; {size(self.disk)} of temporary files"
        )


def plan(rows: int, record: int, values: int, items: int, limit: int | None) -> Budget:
    """Sizes for `rows` rows of `record` bytes, with `values` history entries a row, under `limit`."""
    limit = limit or DEFAULT
    fixed = _BASE + _ITEM * items
    free = limit - fixed
    row = record + 4 * values
    least = (1 << 14) * row * _WORK
    if free < least:
        raise SpecError(
            f"--max-memory {size(limit)} is too little: {items:,} items and one bucket need "
            f"{size(fixed + least)}; allow that much"
        )
    chunk = max(1 << 12, min(1 << 19, int(free * 0.2) // (row * 6)))
    bits = 0
    while (rows >> bits) * row * _WORK > free * 0.6 and bits < 14:
        bits += 1
    peak = fixed + chunk * row * 6 + min(rows, rows >> bits) * row * _WORK
    return Budget(limit, chunk, bits, peak, rows * row)


def parse_size(text: str) -> int:
    """`"4GiB"`, `"512M"` or `"1.5g"` to bytes.

    >>> parse_size("1.5g") == 3 << 29
    True
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if match is None or float(match.group(1)) <= 0:
        raise SpecError(f"got size {text!r}, expected a number and a unit such as 4GiB or 512M")
    return int(float(match.group(1)) * _UNITS[match.group(2)])


def size(count: float) -> str:
    """Bytes for people: 1.5 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit in ("B", "KiB") else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
