"""The units in which numbers are dates: bands by the calendar, rows counted at each edge."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.time_scale import BANDS, Scale
from fusefront.datasets.raw.times import Clock

LOG = Path("log.csv")
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
DIGITS = {
    "yyyymmdd": ("19900101", "21001231"),
    "yyyymmddhhmm": ("199001010000", "210012312359"),
    "yyyymmddhhmmss": ("19900101000000", "21001231235959"),
}


def observed(*values: int, declared: str | None = None) -> Scale:
    scale = Scale(declared)
    scale.see(np.array(values), LOG, "t", 0)
    return scale


def test_bands_are_the_years_1990_to_2100() -> None:
    for name, per in UNITS.items():
        assert BANDS[name] == (int(FIRST.timestamp()) * per, int(LAST.timestamp()) * per)
    for name, (low, high) in DIGITS.items():
        assert BANDS[name] == (int(low), int(high))
    edges = [edge for band in BANDS.values() for edge in band]
    assert edges == sorted(edges)


@pytest.mark.parametrize("name", BANDS)
def test_a_band_holds_both_its_edges_and_nothing_beyond(name: str) -> None:
    place = list(BANDS).index(name)
    low, high = BANDS[name]
    scale = observed(low - 1, low, high, high + 1)
    assert scale.counts.tolist() == [2 if k == place else 0 for k in range(len(BANDS))]
    assert scale.rows == 4


SECOND, MILLI = 1_600_000_000, 1_600_000_000_000


def test_two_units_are_refused_with_a_row_of_each_over_chunks_and_files() -> None:
    scale = Scale()
    scale.see(np.full(7, SECOND) + np.arange(7), LOG, "t", 0)
    scale.see(np.array([SECOND] * 3 + [MILLI + 5, MILLI]), Path("more.csv"), "t", 40)
    scale.see(np.zeros(0, np.int64), LOG, "t", 99)
    sentence = (
        r"^more\.csv, column 't', row 43: got 1600000000005, a time in milliseconds, as in 2 of 12 "
        r"rows, and 1600000000, one in seconds, in row 0 of log\.csv; write all times in one unit$"
    )
    with pytest.raises(DataContractError, match=sentence):
        scale.check()
    assert scale.unit == ""


@pytest.mark.parametrize(("odd", "dates"), [(1, True), (2, False)])
def test_a_log_with_over_a_tenth_outside_every_band_holds_no_dates(odd: int, dates: bool) -> None:
    values = [SECOND] * (9 if odd == 1 else 8) + [5] * odd
    scale = observed(*values)
    assert scale.unit == ("s" if dates else "")
    mixed = observed(*values[1:], MILLI)
    if dates:
        with pytest.raises(DataContractError, match="a time in milliseconds"):
            mixed.check()
    else:
        mixed.check()


def test_a_declared_unit_is_taken_and_held_against_the_values() -> None:
    sentence = (
        r"row 0: got 1600000000, a time in seconds, where columns\.time_unit says milliseconds"
    )
    with pytest.raises(DataContractError, match=sentence):
        observed(SECOND, SECOND + 1, declared="ms").check()
    observed(SECOND, declared="s").check()
    observed(5, 6, declared="ms").check()
    assert observed(5, 6, declared="us").unit == "us"
    assert observed(SECOND, declared="ms").unit == "ms"


@pytest.mark.parametrize(
    ("value", "unit"),
    [(SECOND, "s"), (MILLI, "ms"), (MILLI * 1000, "us"), (MILLI * 10**6, "ns"), (20_200_101, "")],
)
def test_the_unit_is_that_of_the_band(value: int, unit: str) -> None:
    scale = observed(value)
    scale.check()
    assert scale.unit == unit
    assert Scale().unit == ""
    Scale().check()


@pytest.mark.parametrize(
    ("value", "unit"), [(1.6e9, "ms"), (1.6e12, "us"), (1.6e15, "ns"), (5.25, "")]
)
def test_fractions_are_stored_a_thousand_times_finer(value: float, unit: str) -> None:
    clock = Clock()
    stored = clock.read(pl.Series("t", [value, value + 0.0625]), LOG, 0)
    assert stored.tolist() == [round(value * 1000), round((value + 0.0625) * 1000)]
    assert clock.unit == unit
    nanos = Clock(time_unit="ns")
    nanos.read(pl.Series("t", [5.0]), LOG, 0)
    assert nanos.unit == ""
