"""The label rate over the log by a plain loop, at each bound that makes it a drift."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.labels import check_drift, say_rates
from fusefront.datasets.audit.scores import _far_above, _probability, calibration, logistic

SPLITS = ("train", "valid", "test")


def store_of(time: np.ndarray, label: np.ndarray, cuts: tuple[int, int]) -> Any:
    """A store of rows that are requests of their own; nothing else is read of it."""
    parts = {}
    for name, rows in zip(SPLITS, np.split(np.arange(len(time)), cuts), strict=True):
        parts[name] = SimpleNamespace(
            group=rows,
            item=rows,
            row_start=np.arange(len(rows) + 1),
            timestamp=time[rows],
            label=label[rows],
        )
    manifest = SimpleNamespace(timestamps=True, drawn=0, schema_=SimpleNamespace(max_history=0))
    return SimpleNamespace(manifest=manifest, split=parts.__getitem__)


def drift(store: Any) -> list[Finding]:
    findings = check_drift(store, None)  # type: ignore[arg-type]
    assert findings is not None
    return findings


def periods(sizes: list[tuple[int, int, int]], first: int = -700) -> Any:
    """(period of twenty, rows, clicks) in a log of 2,000 moments; each at its own."""
    time = [np.full(n, 100 * at + min(at, 1)) for at, n, _ in sizes]
    label = [np.arange(n) < clicks for _, n, clicks in sizes]
    times = np.concatenate([np.array([0]), *time, np.array([2000])]) + first
    labels = np.concatenate([np.array([True]), *label, np.array([True])]).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(times))
    return store_of(times[order], labels[order], (len(times) // 3, len(times) // 2))


def test_twenty_equal_periods_have_the_rates_of_a_loop() -> None:
    """Rows and rates that no two periods share; the last moment belongs to the last period."""
    rng = np.random.default_rng(3)
    time = np.sort(rng.integers(-500, 8000, 9000) + rng.integers(0, 4000, 9000))
    label = (rng.random(9000) < 0.2 + 0.6 * (time - time[0]) / (time[-1] - time[0])).astype(int)
    order = rng.permutation(9000)
    (finding,) = drift(store_of(time[order], label[order].astype(np.uint8), (2000, 5000)))
    rows, clicks = [0] * 20, [0] * 20
    for t, y in zip(time.tolist(), label.tolist(), strict=True):
        period = min((t - int(time[0])) * 20 // int(time[-1] - time[0]), 19)
        rows[period] += 1
        clicks[period] += y
    rates = [y / n for n, y in zip(rows, clicks, strict=True) if n >= 100]
    assert 5 < len(rates) < 20
    assert finding.numbers == pytest.approx(
        {
            "lowest": min(rates),
            "highest": max(rates),
            "first_period": rates[0],
            "last_period": rates[-1],
        }
    )
    assert finding.title == (
        f"The label rate moves between {percent(min(rates))} and {percent(max(rates))} over the "
        "log."
    )


@pytest.mark.parametrize(
    ("low", "high", "rows", "drifts"),
    [
        (1000, 1500, 4000, False),  # half as much again, to the last bit
        (1000, 1504, 4000, True),
        (15, 35, 200, False),  # 2.98 errors of the difference
        (20, 64, 200, True),  # 5.4
        (20, 58, 200, False),  # 4.8
        (150, 264, 6000, False),  # 1.9 points, 4.5 errors and more
        (150, 267, 6000, False),
        (150, 276, 6000, True),  # 2.1 points
    ],
)
def test_a_drift_is_beyond_chance_two_points_and_half_as_much_again(
    low: int, high: int, rows: int, drifts: bool
) -> None:
    rates = low / rows, high / rows
    mean = sum(rates) / 2
    errors = (rates[1] - rates[0]) / (2 * mean * (1 - mean) / rows) ** 0.5
    expected = errors > 5 and rates[1] - rates[0] > 0.02 and rates[1] > 1.5 * rates[0]
    assert expected == drifts
    for first, last in ((low, high), (high, low)):
        findings = drift(periods([(4, rows, first), (13, rows, last)]))
        assert bool(findings) == drifts


def test_chance_is_that_of_the_smallest_period() -> None:
    """5.8 errors where both have 400 rows, 4.1 where 200 are fewer, 5.2 of 300 each."""
    assert drift(periods([(4, 400, 60), (13, 400, 130)]))
    assert not drift(periods([(4, 400, 60), (13, 200, 65)]))
    assert drift(periods([(4, 400, 60), (13, 230, 75)])) == []
    assert drift(periods([(4, 300, 45), (13, 300, 100)]))


@pytest.mark.parametrize(("few", "counted"), [(149, False), (150, True)])
def test_a_period_of_less_than_one_in_two_hundred_rows_has_no_rate(few: int, counted: bool) -> None:
    rest = 200 * 150 - few - 2  # the first and the last moment have a row each
    half = rest // 2
    store = periods([(3, half, half // 2), (9, rest - half, half // 2), (15, few, few)])
    assert len(drift(store)) == counted


def test_a_log_of_one_period_or_moment_cannot_drift() -> None:
    label = (np.arange(900) % 3 == 0).astype(np.uint8)
    assert drift(store_of(np.full(900, 77), label, (300, 600))) == []
    assert drift(periods([(4, 900, 300)])) == []
    assert drift(periods([(4, 900, 100), (5, 99, 99)])) == []


def test_rates_of_nobody_and_of_everybody_are_no_chance() -> None:
    finding = say_rates({"train": (4, 4), "valid": (9, 9), "test": (7, 7)})
    assert (finding.numbers["gap"], finding.numbers["errors"]) == (0.0, 0.0)
    assert finding.detail == "They differ no more than by chance."
    assert finding.title == "Label rate: train 100.0 %, valid 100.0 %, test 100.0 %."
    lone = say_rates({"train": (1, 1), "valid": (0, 1), "test": (0, 0)})
    # one row each: rate .5, and the error of a difference the root of .25 x 2
    assert lone.numbers["errors"] == pytest.approx(1 / 0.5**0.5)
    assert (lone.numbers["train_rate"], lone.numbers["test_rate"]) == (1.0, 0.0)


# scores


def likelihood(score: np.ndarray, label: np.ndarray, a: float, b: float) -> float:
    rate = 1 / (1 + np.exp(-(a + b * score)))
    return float(np.log(np.where(label == 1, rate, 1 - rate)).sum())


def test_the_logistic_rates_are_the_likeliest_and_far_values_count_as_ten_deviations() -> None:
    rng = np.random.default_rng(5)
    score = np.append(rng.normal(40.0, 3.0, 400), 400.0)
    label = (rng.random(401) < 1 / (1 + np.exp(-(score - 41.0) / 2))).astype(np.uint8)
    x = np.clip((score - score.mean()) / score.std(), -10, 10)
    assert (score[-1] - score.mean()) / score.std() > 11
    fitted = logistic(score, label)
    logit = np.log(fitted[:400] / (1 - fitted[:400]))
    b, a = np.polyfit(x[:400], logit, 1)
    np.testing.assert_allclose(logit, a + b * x[:400], atol=1e-6)
    best = likelihood(x, label, a, b)
    for step in (1e-3, -1e-3):
        assert likelihood(x, label, a + step, b) < best
        assert likelihood(x, label, a, b + step) < best
        assert likelihood(x, label, a + step, b - step) < best
    mirrored = logistic(-score, label)
    np.testing.assert_allclose(mirrored, fitted, atol=1e-7)
    same = logistic(np.full(10, 3.0), (np.arange(10) < 3).astype(np.uint8))
    np.testing.assert_allclose(same, 0.3, atol=1e-6)


def test_calibration_of_uneven_groups_weighs_them_by_their_rows() -> None:
    """50 rows make ten groups of three and ten of two; 7 rows leave thirteen empty."""
    rng = np.random.default_rng(6)
    for rows in (50, 7):
        predicted = rng.random(rows)
        label = (rng.random(rows) < 0.5).astype(np.uint8)
        pairs = sorted(zip(predicted.tolist(), label.tolist(), strict=True))
        groups, at = [], 0
        for k in range(20):
            size = rows // 20 + (k < rows % 20)
            if size:
                groups.append(pairs[at : at + size])
            at += size
        x = [sum(p for p, _ in g) / len(g) for g in groups]
        y = [sum(v for _, v in g) / len(g) for g in groups]
        w = [len(g) for g in groups]
        off = sum(n * abs(a - b) for n, a, b in zip(w, x, y, strict=True)) / rows
        slope = np.polyfit(x, y, 1, w=np.sqrt(w))[0]
        assert calibration(predicted, label) == pytest.approx((off, slope, max(y) - min(y)))
    flat = calibration(np.full(40, 0.25), (np.arange(40) < 10).astype(np.uint8))
    assert flat[1] == 0.0


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.0, "a probability"), (-0.001, None), (0.001, None)],
)
def test_a_probability_lies_from_0_to_1(shift: float, words: str | None) -> None:
    rates = np.linspace(0.0, 1.0, 20)
    label = np.concatenate([np.arange(100) < round(100 * p) for p in rates]).astype(np.uint8)
    finding = _probability("n", np.repeat(rates + shift, 100), label, 0.8)
    assert (finding is not None) == (words is not None)
    if finding is not None:
        assert words is not None
        assert words in finding.title
        assert finding.numbers["slope"] == pytest.approx(1.0, abs=0.01)
        assert finding.numbers["auc"] == 0.8


@pytest.mark.parametrize(("low", "high", "bounded"), [(0.0, 1.0, True), (-0.1, 1.0, False)])
def test_a_bounded_column_need_not_be_smooth(low: float, high: float, bounded: bool) -> None:
    """Rates that go up and down: no logistic curve fits, and only numbers in 0 to 1 may be odd."""
    score = np.repeat(np.linspace(low, high, 20), 100)
    label = np.concatenate([np.arange(100) < 90 * (k % 2) + 5 for k in range(20)]).astype(np.uint8)
    finding = _far_above("n", score, label, 0.7, 0.5)
    assert (finding is not None) == bounded
    above = _far_above("n", score + 1 - high + 0.1, label, 0.7, 0.5)
    assert above is None
    if finding is not None:
        assert finding.title == (
            "n alone ranks the train rows with AUC 0.700, the best other column with 0.500."
        )
    assert _far_above("n", np.repeat(np.linspace(0, 1, 20), 100), label, 0.75, 0.65) is not None
    assert _far_above("n", np.repeat(np.linspace(0, 1, 20), 100), label, 0.7499, 0.65) is None
