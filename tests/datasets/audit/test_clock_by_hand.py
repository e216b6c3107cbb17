"""Times and crowds by plain loops on whole numbers: scales, far times, steps, who stands out."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.clock import (
    _step,
    check_far,
    check_missing_times,
    check_rounded,
    check_scale,
)
from fusefront.datasets.audit.crowd import WORDS, check_users_that_are_none
from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import UserSample
from fusefront.datasets.raw.hashing import text_hash

SPLITS = ("train", "valid", "test")
Log = Callable[..., tuple[Any, UserSample]]
START = 1_600_000_000


def log_of(
    user: np.ndarray, time: np.ndarray, cuts: tuple[int, int], unit: str = "s"
) -> tuple[Any, UserSample]:
    """Rows that are requests of their own, in three splits; nothing else is read of the store."""
    parts = {}
    for name, rows in zip(SPLITS, np.split(np.arange(len(time)), cuts), strict=True):
        parts[name] = SimpleNamespace(
            group=user[rows],
            item=rows,
            row_start=np.arange(len(rows) + 1),
            timestamp=time[rows],
        )
    schema = SimpleNamespace(max_history=0)
    store: Any = SimpleNamespace(
        manifest=SimpleNamespace(time_unit=unit, schema_=schema), split=parts.__getitem__
    )
    split = np.searchsorted(np.array(cuts), np.arange(len(time)), side="right")
    requests = pl.DataFrame({"split": split, "user": user, "time": time})
    return store, UserSample(pl.DataFrame(), requests, 1.0, timed=True, told_apart=True)


def only(findings: list[Finding] | None) -> Finding | None:
    """The one finding, or none."""
    assert findings is not None
    assert len(findings) < 2
    return findings[0] if findings else None


# two units in one log


def scaled(low: list[int], high: list[int], cut: int | None = None) -> Finding | None:
    """Users with one request each; the high ones in test, or from `cut` on."""
    time = np.array([*low, *high], np.int64)
    cut = len(low) if cut is None else cut
    return only(check_scale(*log_of(np.arange(len(time)), time, (cut, cut))))


def spread(count: int, first: int, factor: float) -> list[int]:
    """Times that grow by one factor from each to the next."""
    return [round(first * factor**k) for k in range(count)]


@pytest.mark.parametrize("counts", [(9, 6), (6, 9), (5, 5), (7, 8)])
def test_the_ratio_is_that_of_the_medians_on_both_sides_of_the_widest_gap(
    counts: tuple[int, int],
) -> None:
    low = spread(counts[0], 1_000_000, 1.06)
    high = spread(counts[1], 1_000_000_000, 1.09)
    finding = scaled(low, high)
    assert finding is not None
    medians = [float(np.median([math.log10(t) for t in part])) for part in (low, high)]
    ratio = medians[1] - medians[0]
    assert finding.numbers["ratio"] == pytest.approx(10**ratio)
    assert finding.numbers["users"] == (counts[0] if counts[0] < counts[1] else counts[1])
    assert finding.numbers["share"] == pytest.approx(min(counts) / sum(counts))
    assert finding.severity == ("severe" if abs(ratio - 3) <= 0.05 else "warning")
    minority, where = ("below", "train") if counts[0] < counts[1] else ("above", "test")
    assert finding.title == (
        f"The times of {percent(min(counts) / sum(counts))} of the requests (in {where}) are 1,000 "
        f"times {minority} all others."
    )


@pytest.mark.parametrize(
    ("decades", "level"),
    [
        (2.649, None),
        (2.651, "warning"),
        (2.949, "warning"),
        (2.951, "severe"),
        (3.049, "severe"),
        (3.051, "warning"),
        (3.349, "warning"),
        (3.351, None),
        (5.649, None),
        (5.951, "severe"),
        (6.049, "severe"),
        (6.051, "warning"),
        (1.45, None),
    ],
)
def test_a_scale_is_a_power_of_a_thousand_within_a_third_of_a_decade(
    decades: float, level: str | None
) -> None:
    high = round(1_000_000 * 10**decades)
    finding = scaled([1_000_000] * 8, [high] * 7)
    assert (finding.severity if finding else None) == level
    if finding and decades > 5:
        assert "are 10^6 times above all others" in finding.title


@pytest.mark.parametrize(("gap", "flagged"), [(1.49, False), (1.51, True)])
def test_the_widest_gap_is_a_decade_and_a_half(gap: float, flagged: bool) -> None:
    """Medians three decades apart, and users in between who leave no wider gap than that."""
    between = round(1_000 * 10**0.75)
    low = [1_000] * 5 + [between]
    high = [round(between * 10**gap)] + [1_000_000] * 8
    assert (scaled(low, high) is not None) == flagged


@pytest.mark.parametrize(("low", "high", "flagged"), [(5, 5, True), (4, 8, False), (8, 4, False)])
def test_five_users_on_either_side_are_needed(low: int, high: int, flagged: bool) -> None:
    assert (scaled([2_000_000] * low, [2_000_000_000] * high) is not None) == flagged
    assert scaled([2_000_000], []) is None


@pytest.mark.parametrize(("others", "flagged"), [(495, True), (496, False)])
def test_one_in_a_hundred_requests_is_needed(others: int, flagged: bool) -> None:
    """Users count by their newest time, requests all: five in 500 are enough."""
    user = np.array([*range(5), *(10 + k % 20 for k in range(others))])
    time = np.array([2_000_000_000_000] * 5 + [2_000_000_000 - k for k in range(others)])
    finding = only(check_scale(*log_of(user, time, (3, 5))))
    assert (finding is not None) == flagged
    if finding:
        assert finding.numbers == pytest.approx({"share": 0.01, "ratio": 1000.0, "users": 5})
        assert "(in train and valid)" in finding.title


def test_times_of_0_and_before_are_no_scale() -> None:
    user, time = np.arange(30), np.array([0] * 8 + [-5] * 8 + [START] * 14)
    assert only(check_scale(*log_of(user, time, (10, 20)))) is None


# missing, wrapped and far times


@pytest.mark.parametrize(("first", "dates"), [(10**8, True), (10**8 - 1, False)])
def test_rows_without_a_time_are_missing_among_dates_alone(first: int, dates: bool) -> None:
    time = np.array([0, 0, -7, *([first] * 297)])
    finding = only(check_missing_times(*log_of(np.arange(300), time, (100, 200))))
    assert finding is not None
    if dates:
        assert (finding.severity, finding.numbers) == ("warning", {"rows": 3, "share": 0.01})
        assert finding.title == "3 rows (1.0 %) have the time 0 or one before 1970."
    else:
        assert finding.numbers == pytest.approx({"rows": 1, "share": 1 / 300})
        assert finding.title == "1 rows (0.33 %) have a time below 0."
    few = np.array([0, 0, *([first] * 299)])
    finding = only(check_missing_times(*log_of(np.arange(301), few, (100, 200))))
    assert (finding.severity if finding else None) == ("note" if dates else None)


TEN_YEARS = 10 * 31_557_600


@pytest.mark.parametrize(("unit", "tick"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_far_time_lies_over_ten_years_from_the_middle_nine_tenths(
    unit: str, tick: int, beyond: int
) -> None:
    """A hundred times: of the middle nine tenths the ends are the sixth smallest and largest."""
    grain = 1024 if unit == "ns" else 1  # quantiles are floats
    early = START * tick // 1024 * 1024
    late = early + 89 * grain
    time = np.array([early] * 5 + [early + k * grain for k in range(90)] + [late] * 5)
    time[0] = early - (TEN_YEARS * tick + beyond * grain)
    time[-1] = late + (TEN_YEARS * tick + beyond * grain)
    store, sample = log_of(np.arange(100), time, (30, 70), unit)
    ends = [sample.requests["time"].quantile(q, "nearest") for q in (0.05, 0.95)]
    assert ends == [early, late]
    findings = check_far(store, sample)
    assert findings is not None
    assert [f.name for f in findings] == ["time_far", "time_far_before"] * beyond
    for finding in findings:
        assert finding.numbers == {"rows": 1, "share": 0.01}
        assert finding.title.startswith("1 rows (1.0 %) are over ten years ")


@pytest.mark.parametrize(("beyond", "far"), [(0, 0), (1, 1)])
def test_in_a_long_log_far_is_ten_times_its_length(beyond: int, far: int) -> None:
    year = 31_557_600
    time = np.linspace(90 * year, 92 * year, 200).astype(np.int64)
    middle = pl.Series(time)
    early, late = (int(middle.quantile(q, "nearest") or 0) for q in (0.05, 0.95))
    time[0] = early - 10 * (late - early) - beyond
    time[1] = -early  # not a time, and no far one
    store, sample = log_of(np.arange(200), time, (60, 120))
    after = [int(sample.requests["time"].quantile(q, "nearest") or 0) for q in (0.05, 0.95)]
    assert after == [early, late]
    findings = check_far(store, sample)
    assert findings is not None
    assert [f.name for f in findings] == ["time_far_before"] * far
    assert [f.numbers for f in findings] == [{"rows": 1, "share": 1 / 200}] * far


def test_a_unit_that_is_not_known_has_no_years() -> None:
    time = np.array([START] * 50 + [10**15])
    assert check_far(*log_of(np.arange(51), time, (20, 40), "")) == []
    assert only(check_far(*log_of(np.arange(51), time, (20, 40)))) is not None
    store, sample = log_of(np.arange(51), time, (20, 40))
    for check in (check_far, check_missing_times, check_rounded, check_scale):
        assert check(store, sample._replace(timed=False)) is None


# rounded times


def step_of(times: list[int]) -> tuple[int, int, int]:
    """The definition on whole numbers."""
    there = [t for t in times if t != 0]
    whole = 1000 if there and all(t % 1000 == 0 for t in there) else 1
    units = [t // whole for t in there]
    multiples = [t for t in units if t % 64 == 0]
    clock, step = math.gcd(*units), math.gcd(*multiples)
    power = step >= 64 and bin(step).count("1") == 1
    by_itself = math.gcd(clock, 64) / 64
    enough = clock == step or len(multiples) >= len(there) * max(0.1, 3 * by_itself)
    return (step if power and enough else 0), len(multiples), len(there)


@pytest.mark.parametrize("seed", range(40))
def test_the_step_of_rounded_times_is_that_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clock = int(rng.choice([1, 2, 4, 8, 16, 32, 64, 96]))
    step = int(rng.choice([32, 64, 128, 192, 256, 1024]))
    share = float(rng.choice([0.0, 0.05, 0.12, 0.3, 0.5, 1.0]))
    whole = int(rng.choice([1, 1000]))
    rows = 300
    base = START // 3072 * 3072
    odd = base + clock * rng.integers(0, 10**5, rows)
    even = base + step * rng.integers(0, 10**4, rows)
    time = np.where(rng.random(rows) < share, even, odd) * whole
    time[rng.random(rows) < 0.1] = 0
    store, _ = log_of(np.arange(rows), time, (100, 180 if seed % 3 else 100))
    assert _step(store) == step_of(time.tolist())


def test_most_definitions_of_a_step_are_met_and_missed() -> None:
    """Of a clock of 8 seconds an eighth is rounded by itself: three eighths are needed."""
    base = START // 4096 * 4096

    def steps(clock: int, rounded: int, rows: int = 64) -> int:
        odd = [base + clock * (2 * k + 1) + 64 * k * 3 for k in range(rows - rounded)]
        odd = [t if t % 64 else t + clock for t in odd]
        time = np.array([base + 128 * k for k in range(rounded)] + odd)
        store, _ = log_of(np.arange(rows), time, (20, 40))
        assert _step(store) == step_of(time.tolist())
        return _step(store)[0]

    assert steps(8, 24) == 128
    assert steps(8, 23) == 0
    assert steps(1, 7, 70) == 128
    assert steps(1, 6, 70) == 0
    store, _ = log_of(np.arange(3), np.zeros(3, np.int64), (1, 2))
    assert _step(store) == (0, 0, 0)


def test_a_rounded_time_is_said_with_its_unit_and_its_ties() -> None:
    time = START // 4096 * 4096 + 128 * np.array([1, 2, 3, 5, 7, 7, 7, 9, 10, 11])
    user = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])  # two requests share a user and a time
    for unit, words in (("s", "128 s, a power"), ("", "128, a power")):
        finding = only(check_rounded(*log_of(user, time, (4, 7), unit)))
        assert finding is not None
        assert finding.numbers == {"step": 128, "share": 1.0, "tied": 0.2}
        assert finding.title == (
            f"100.0 % of the times are multiples of {words} of two; 20.0 % of the requests share "
            "their time with another of the same user."
        )


# users that are none


def crowd(counts: dict[int, tuple[int, int, int]]) -> list[Finding]:
    """So many rows of each user in train, valid and test."""
    user = np.concatenate(
        [np.repeat(list(counts), [each[k] for each in counts.values()]) for k in range(3)]
    ).astype(np.int64)
    cuts = np.cumsum([sum(each[k] for each in counts.values()) for k in range(2)])
    store, _ = log_of(user, np.zeros(len(user), np.int64), (int(cuts[0]), int(cuts[1])))
    return check_users_that_are_none(
        store, UserSample(pl.DataFrame(), pl.DataFrame(), 1, True, True)
    )


def code_of(text: str) -> int:
    return int(text_hash(pl.Series([text]))[0] >> np.uint64(1))


@pytest.mark.parametrize("word", [*WORDS, ""])
def test_every_word_for_nobody_is_named(word: str) -> None:
    others = {100 + k: (1, 1, 1) for k in range(100)}
    (finding,) = crowd(others | {code_of(word): (2, 0, 1)})
    assert finding.numbers == pytest.approx(
        {"share": 3 / 303, "train_share": 2 / 102, "valid_share": 0.0, "test_share": 1 / 101}
    )
    assert finding.title.startswith(f"The user {word!r} holds 0.99 % of the rows (train ")


def test_the_words_for_nobody_are_those_that_programs_write() -> None:
    every = {"null", "NULL", "Null", "NaN", "nan", "N/A", "n/a", "None", "<NA>", "\\N", "-1", "-"}
    assert every | {"0" * 16, "0" * 32, " ", "#N/A", "Guest", "ANONYMOUS"} <= set(WORDS)
    assert {len(word) for word in WORDS if set(word) == {"0"}} == {16, 32}
    assert "00000000-0000-0000-0000-000000000000" in WORDS


@pytest.mark.parametrize("code", [0, code_of("0")])
@pytest.mark.parametrize(("own", "next_user", "nobody"), [(15, 3, True), (14, 3, False)])
def test_user_0_is_nobody_where_it_has_five_times_the_next(
    code: int, own: int, next_user: int, nobody: bool
) -> None:
    others = {100 + k: (1, 1, 0) for k in range(200)}
    names = [f.name for f in crowd(others | {7: (next_user, 0, 0), code: (own, 0, 0)})]
    assert ("placeholder_user" in names) == nobody


@pytest.mark.parametrize(("own", "nobody"), [(5, True), (4, False)])
def test_user_0_alone_is_nobody_from_five_rows(own: int, nobody: bool) -> None:
    names = [f.name for f in crowd({0: (own, 0, 0)})]
    assert ("placeholder_user" in names) == nobody


def test_the_heaviest_of_each_split_is_looked_at_once_and_its_worst_split_said() -> None:
    others = {100 + k: (10, 3, 1) for k in range(80)}
    heavy = {5: (60, 0, 40), 6: (10, 40, 0)}  # the second is the heaviest of valid alone
    findings = crowd(others | heavy)
    rows = 870, 280, 120
    assert [f.name for f in findings] == ["heavy_user", "heavy_user"]
    first, second = (f.numbers for f in findings)
    assert first == pytest.approx(
        {
            "share": 100 / 1270,
            "train_share": 60 / rows[0],
            "valid_share": 0.0,
            "test_share": 40 / rows[2],
        }
    )
    assert second == pytest.approx(
        {
            "share": 50 / 1270,
            "train_share": 10 / rows[0],
            "valid_share": 40 / rows[1],
            "test_share": 0.0,
        }
    )
    assert "33.3 % of test hang on it" in findings[0].detail
    assert "14.3 % of valid hang on it" in findings[1].detail


@pytest.mark.parametrize(("users", "own", "heavy"), [(20, 3, False), (20, 4, True)])
def test_among_few_users_three_times_an_even_share_is_heavy(
    users: int, own: int, heavy: bool
) -> None:
    """20 users: 3 / 20 is more than a tenth of a split; 3 of 20 rows are that, 4 of 21 more."""
    others = {100 + k: (1, 1, 1) for k in range(users - 1 - (own == 3) * 1)}
    counts = others | {5: (own, own, own)}
    share = own / (len(others) + own)
    even = 3.0 / len(counts)
    assert (share > max(even, 0.1)) == heavy
    assert bool(crowd(counts)) == heavy
