"""Every number of a study's file at its limits: the last that is taken, the first that is not."""

import math
from typing import Any

import pytest

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import Range, Study, Tuning, assign, check_study

SEED = 2_147_483_647  # numpy's and torch's generators take twice as much
ROWS, SECONDS, MS, MONEY = 100_000_000, 10_000_000.0, 1e6, 1e9

WHOLE = {  # key -> the least and the greatest whole number
    "dataset.seed": (0, SEED),
    "dataset.train": (1, ROWS),
    "dataset.valid": (1, ROWS),
    "dataset.test": (1, ROWS),
    "tuning.trials": (0, 10_000),
    "tuning.seed": (0, SEED),
    "tuning.lag": (1, 8),
    "latency.rounds": (3, 10_000),
    "money.top_k": (1, 100_000),
    "threads": (1, 1024),
}
LISTS = {"seeds": (0, SEED), "latency.at_once": (1, 4096)}
ABOVE_ZERO = {  # key -> the greatest; 0 is too little
    "tuning.seconds": SECONDS,
    "tuning.trial_seconds": SECONDS,
    "tuning.budget_macs": 1e15,
    "tuning.slo_ms": MS,
    "slo_ms": MS,
    "money.price_per_core_hour": MONEY,
    "money.requests_per_second": MONEY,
}
SHARES = ("margin", "comparison.effect")  # between 0 and 1, neither of them


def study(key: str, value: Any) -> Study:
    """A study of one strategy with a value at a dotted key."""
    raw: dict[str, Any] = {
        "name": "s",
        "dataset": {"synthetic": "tour"},
        "strategies": {"late_fusion": {}},
        "baseline": "late_fusion",
        "tuning": {"trials": 30},
    }
    assign(raw, key, value)
    return check_study(raw, "study.yaml")


def at(of: Any, key: str) -> Any:
    for part in key.split("."):
        of = getattr(of, part)
    return of


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [(key, *ends) for key, ends in WHOLE.items()]
    + [(key, *ends) for key, ends in LISTS.items()]
    + [("tuning.finalists", 2, 20), ("tuning.timed", 0, 20)],
)
def test_whole_numbers(key: str, least: int, most: int) -> None:
    def put(number: int) -> Any:
        return [number] if key in LISTS else number

    if key == "tuning.timed":  # it is nothing without a limit
        with pytest.raises(UsageError, match="timed has no effect without slo_ms"):
            study(key, 1)
        for number in (least, most):
            assert Tuning(trials=30, slo_ms=1.0, timed=number).timed == number
        for number in (least - 1, most + 1):
            with pytest.raises(ValueError, match="timed"):
                Tuning(trials=30, slo_ms=1.0, timed=number)
        return
    for number in (least, most):
        value = at(study(key, put(number)), key)
        assert (value[0] if key in LISTS else value) == number
    beyond = (least - 1, most + 1) if key != "tuning.finalists" else (least - 1, -1, most + 1)
    for number in beyond:
        with pytest.raises(UsageError, match=key.rpartition(".")[2].rstrip("s")):
            study(key, put(number))


@pytest.mark.parametrize("key", ABOVE_ZERO)
def test_numbers_above_zero(key: str) -> None:
    for number in (1e-9, ABOVE_ZERO[key]):
        assert at(study(key, number), key) == number
    for number in (
        0.0,
        -1.0,
        math.nextafter(ABOVE_ZERO[key], math.inf),
        float("nan"),
        float("inf"),
    ):
        with pytest.raises(UsageError, match=key.rpartition(".")[2]):
            study(key, number)


def test_a_value_of_a_click_may_be_zero() -> None:
    assert study("money.value_per_click", 0.0).money.value_per_click == 0.0
    assert study("money.value_per_click", MONEY).money.value_per_click == MONEY
    for number in (-1e-9, math.nextafter(MONEY, math.inf)):
        with pytest.raises(UsageError, match="value_per_click"):
            study("money.value_per_click", number)


@pytest.mark.parametrize("key", SHARES)
def test_shares(key: str) -> None:
    for number in (1e-9, 0.9999):
        assert at(study(key, number), key) == number
    for number in (0.0, 1.0):
        with pytest.raises(UsageError, match=key.rpartition(".")[2]):
            study(key, number)


def test_arrivals_a_second() -> None:
    assert study("latency.qps", [0.5, 1e6]).latency.qps == (0.5, 1e6)
    for number in (0.0, math.nextafter(1e6, math.inf)):
        with pytest.raises(UsageError, match="qps"):
            study("latency.qps", [number])


def test_candidates_that_are_timed() -> None:
    latency = study("latency", {"candidates": [1, 100_000], "decide_at": 1}).latency
    assert latency.candidates == (1, 100_000)
    for number in (0, 100_001):
        with pytest.raises(UsageError, match="each from 1 to 100000"):
            study("latency", {"candidates": [5, number], "decide_at": 5})


def test_how_many_seeds() -> None:
    assert len(study("seeds", list(range(1000))).seeds) == 1000
    with pytest.raises(UsageError, match="got 1001 seeds, expected at most 1000"):
        study("seeds", list(range(1001)))


def test_how_long_a_name() -> None:
    assert study("name", "n" * 150).name == "n" * 150
    with pytest.raises(UsageError, match="name of 151 bytes"):
        study("name", "n" * 151)


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_a_range(end: str) -> None:
    """Each end by itself is a finite number no farther from 0 than a seed."""
    widest = Range(low=-SEED, high=SEED)
    assert (widest.low, widest.high) == (-SEED, SEED)
    farther = {"low": -SEED - 1, "high": SEED + 1}[end]
    for number in (farther, float("nan"), {"low": -1, "high": 1}[end] * float("inf")):
        with pytest.raises(ValueError, match=f"an end of a range is {number}"):
            Range(**{"low": 0, "high": 1, end: number})


def test_a_range_of_one_number_and_a_logarithmic_one_from_zero() -> None:
    assert Range(low=3, high=3).low == 3
    assert Range(low=1e-9, high=1, log=True).log
    for words in ({"low": 3.1, "high": 3.0}, {"low": 0.0, "high": 1.0, "log": True}):
        with pytest.raises(ValueError, match="is empty, or log with an end of 0 or less"):
            Range(**words)


def test_what_is_no_space_and_what_a_strategy_alone_may_say() -> None:
    """[] keeps a key as it is for one strategy; for all it would be an empty list."""
    assert study("strategies.late_fusion.space", {"k": []}).strategies["late_fusion"].space == {
        "k": ()
    }
    with pytest.raises(UsageError, match="k: got an empty list"):
        study("tuning.space", {"k": []})
    assert study("tuning.space", {"k": [1]}).tuning.space == {"k": (1,)}
    for value in (7, "word", True, None):
        with pytest.raises(UsageError, match=r"k is .*, expected a list of values or \{low"):
            study("tuning.space", {"k": value})
    assert Tuning(trials=1, space={"k": Range(low=1, high=2)}).space["k"].high == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("dataset.trian", "train"),
        ("tuning.trails", "trials"),
        ("latency.round", "rounds"),
        ("money.topk", "top_k"),
        ("marign", "margin"),
    ],
)
def test_an_unknown_key_is_held_to_those_of_its_own_place(key: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"unknown key '{key}'.*{nearest}"):
        study(key, 1)
