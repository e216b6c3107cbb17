"""Hashes of columns against the same arithmetic on Python's whole numbers, and words that must
stay."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.hashing import combine, mix, rows_hash, text_hash, unit
from fusefront.datasets.raw.request_words import request_words

WORD = 1 << 64
BASE = 0xD6E8FEB86659FD93


def mixed(x: int) -> int:
    """SplitMix64's output for the state x (Steele, Lea, Flood 2014), by hand."""
    x = (x + 0x9E3779B97F4A7C15) % WORD
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % WORD
    return x ^ (x >> 31)


def polynomial(terms: list[int]) -> int:
    total = sum(term * pow(BASE, place + 1, WORD) for place, term in enumerate(terms)) % WORD
    return mixed(total ^ mixed(len(terms)))


def test_mixing_is_splitmix64() -> None:
    # the first outputs of the reference implementation for the seed 1234567
    first = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    states = [(1234567 + k * 0x9E3779B97F4A7C15) % WORD for k in range(3)]
    assert mix(np.array(states, np.uint64)).tolist() == first
    assert [mixed(state) for state in states] == first


@pytest.mark.parametrize("seed", [0, 3, 2**63 - 1])
def test_columns_are_combined_in_order(seed: int) -> None:
    left, right_column = np.array([5, 6, 7], np.uint64), np.array([1, 2, 2**64 - 1], np.uint64)
    right = [
        mixed(mixed(seed ^ a) ^ b)
        for a, b in zip(left.tolist(), right_column.tolist(), strict=True)
    ]
    assert combine(seed, left, right_column).tolist() == right
    assert (combine(seed, right_column, left) != right).all()


def test_words_become_fractions_of_53_bits() -> None:
    words = np.array([0, 1 << 11, (1 << 11) - 1, 1 << 63, 2**64 - 1], np.uint64)
    assert unit(words).tolist() == [0.0, 2.0**-53, 0.0, 0.5, 1 - 2.0**-53]


def test_texts_are_hashed_byte_by_byte_whatever_the_slice() -> None:
    texts = [
        "",
        "a",
        "b",
        "ab",
        "ba",
        "aa",
        "a\0",
        "日本",
        "a much longer text than the others",
        "é",
    ]
    right = [polynomial([byte + 1 for byte in text.encode()]) for text in texts]
    column = pl.Series([*texts, None])
    assert text_hash(column).tolist() == [*right, right[0]]
    assert text_hash(column[3:8]).tolist() == right[3:8]
    assert text_hash(column[10:]).tolist() == right[:1]
    assert len(text_hash(column[:0])) == 0
    assert len(set(right)) == len(right)


def test_runs_of_values_are_hashed_one_by_one() -> None:
    runs = [[3, 1], [], [1, 3], [3], [3, 1, 0], [2**31 - 1] * 5, []]
    values = np.array([value for run in runs for value in run], np.int32)
    words = rows_hash(values, np.array([len(run) for run in runs])).tolist()
    assert words == [polynomial([mixed(value) for value in run]) for run in runs]
    assert len(set(words)) == len(runs) - 1
    assert len(rows_hash(values[:0], np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize("none", [None, -1, "none", 2.5])
def test_rows_without_a_request_have_the_word_of_their_moment(none: str | float | None) -> None:
    ids = pl.Series("r", ["a", "", None, str(none), "a", "-1.0", "b"])
    moment = np.array([5, 6, 7, 6, 8, 9, -1])
    tally = Tally()
    words = request_words(ids, "text", Path("log.csv"), none, moment, tally)
    lone = [False, True, True, none is not None, False, none == -1, False]
    for word, text, own, when in zip(words.tolist(), ids, lone, moment.tolist(), strict=True):
        names = polynomial([byte + 1 for byte in str(text).encode()])
        assert word == (mixed(0x6E6F6E65 ^ (when % WORD)) if own else names)
    loss = tally.losses()["rows.no_request"]
    assert (loss.count, loss.of) == (sum(lone), 7)
