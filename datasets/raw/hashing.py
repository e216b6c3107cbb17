"""Stable hashes of whole columns: the same on any machine, in any chunking."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_BASE = 0xD6E8FEB86659FD93  # odd, so that powers are never 0 modulo 2**64


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The SplitMix64 finaliser (Steele, Lea, Flood 2014): a bijection of 64-bit words [n]."""
    x = values + _STEP
    x = (x ^ (x >> np.uint64(30))) * _A
    x = (x ^ (x >> np.uint64(27))) * _B
    return x ^ (x >> np.uint64(31))


def combine(seed: int, *columns: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One word a row, [n], from several columns [n] in order."""
    state = np.full(len(columns[0]), seed, np.uint64)
    for column in columns:
        state = mix(state ^ column)
    return state


def unit(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words [n] as numbers [n] from 0 to below 1, with 53 bits each."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def text_hash(column: pl.Series) -> NDArray[np.uint64]:
    """A 64-bit word a string, [n]: a polynomial over its UTF-8 bytes, mixed with its length."""
    array = column.cast(pl.String).fill_null("").to_arrow().cast("large_binary")
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset :][: len(array) + 1]
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    length = np.diff(offsets)
    start = offsets[:-1] - offsets[0]
    powers = np.cumprod(np.full(int(length.max(initial=0)) + 1, _BASE, np.uint64))
    position = np.arange(len(data)) - np.repeat(start, length)
    terms = (data.astype(np.uint64) + np.uint64(1)) * powers[position]
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return mix((total[start + length] - total[start]) ^ mix(length.astype(np.uint64)))


def rows_hash(values: NDArray[np.int32], length: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One word for each run of `values`; run i has length[i] of them."""
    start = np.cumsum(length) - length
    powers = np.cumprod(np.full(int(length.max(initial=0)) + 1, _BASE, np.uint64))
    position = np.arange(len(values)) - np.repeat(start, length)
    terms = mix(values.astype(np.uint64)) * powers[position]
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return mix((total[start + length] - total[start]) ^ mix(length.astype(np.uint64)))
