"""The gate's numbers by scipy and its sentences in full."""

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.decision.gate import Check, detectable_errors, judge, sentence
from fusefront.harness.decision.inputs import Measured

NAMES = ["a", "b", "c", "d"]
DIFF = np.array([-0.004, 0.001, -0.0012, 0.5])
SE = np.array([0.0004, 0.0002, 0.0003, 0.1])
DF = np.array([5.0, 12.0, 30.0, 3.0])
SAME = [False, False, False, True]


def test_every_check_has_its_own_one_sided_interval_at_a_third_of_the_level() -> None:
    checks = judge(NAMES, DIFF, SE, DF, 0.001, SAME)
    for check, diff, se, df in zip(checks[:3], DIFF, SE, DF, strict=False):
        half = stats.t.ppf(1 - 0.05 / 3, df) * se
        assert check.difference == pytest.approx((diff, diff - half, diff + half))
        power = stats.nct.sf(stats.t.ppf(1 - 0.05 / 3, df), df, (check.detectable - 0.001) / se)
        assert power == pytest.approx(0.80, abs=1e-6)
        assert not check.same_runs
    assert [c.verdict for c in checks] == [
        "regression",
        "no regression",
        "cannot tell",
        checks[3].verdict,
    ]
    assert checks[3] == Check("d", Measured(0.0, 0.0, 0.0), "no regression", 0.001, True)
    assert judge(NAMES, DIFF, SE, DF, 0.001)[0].difference.low < checks[0].difference.low
    everything = judge(NAMES, DIFF, SE, DF, 0.001, [True] * 4)
    assert all(c.same_runs for c in everything)


@pytest.mark.parametrize(
    ("margin", "verdict"),
    [(0.25, "cannot tell"), (0.2499, "regression"), (0.5, "cannot tell"), (0.75, "no regression")],
)
def test_an_interval_that_touches_the_margin_is_no_regression(margin: float, verdict: str) -> None:
    half = float(stats.t.ppf(0.95, 9.0))
    (check,) = judge(["a"], np.array([-0.5]), np.array([0.25 / half]), np.array([9.0]), margin)
    assert check.difference == pytest.approx((-0.5, -0.75, -0.25))
    if margin in (0.25, 0.75):  # rounding may put the end on either side: take it exactly
        margin = -check.difference.high if margin == 0.25 else -check.difference.low
        (check,) = judge(["a"], np.array([-0.5]), np.array([0.25 / half]), np.array([9.0]), margin)
    assert check.verdict == verdict


@pytest.mark.parametrize(("df", "alpha"), [(1.5, 0.05), (4.0, 0.002), (200.0, 0.05)])
def test_the_detectable_errors_solve_the_power(df: float, alpha: float) -> None:
    shift = detectable_errors(df, alpha)
    assert stats.nct.sf(stats.t.ppf(1 - alpha, df), df, shift) == pytest.approx(0.80, abs=1e-6)


def check(name: str, value: float, verdict: str, detectable: float, same: bool = False) -> Check:
    return Check(name, Measured(value, value - 0.001, value + 0.0005), verdict, detectable, same)


def test_the_worst_of_the_lost_is_named_with_its_interval() -> None:
    checks = [
        check("a", -0.004, "regression", 0.002),
        check("b", -0.009, "regression", 0.003),
        check("c", 0.02, "no regression", 0.004),
    ]
    assert sentence(checks, 0.0015) == (
        "2 of 3 strategies lost more than 0.0015 AUC, most of all 'b': \u22120.0090 "
        "[\u22120.0100, \u22120.0085]; find the change or raise --margin."
    )
    assert sentence(checks[:1], 0.001, ["x"]).endswith(
        "find the change or raise --margin; not compared, for want of earlier or present runs: 'x'."
    )


def test_what_would_have_been_found_is_the_largest_of_those_trained_anew() -> None:
    checks = [
        check("a", 0.0, "cannot tell", 0.002),
        check("b", 0.0, "no regression", 0.0031),
        check("c", 0.0, "no regression", 0.9, True),
        check("d", 0.0, "cannot tell", 0.001),
    ]
    assert sentence(checks, 0.001) == (
        "No strategy is shown to have lost more than 0.001 AUC; cannot tell about 'a', 'd'; a loss "
        "of 0.0031 or more would have been found with 80 % power in each."
    )
    assert sentence(checks[1:3], 0.002, ["w", "x", "y", "z"]) == (
        "No strategy is shown to have lost more than 0.002 AUC; a loss of 0.0031 or more would "
        "have been found with 80 % power in each; not compared, for want of earlier or present "
        "runs: 'w', 'x', 'y' and 1 more."
    )
    assert sentence(checks[2:3], 0.001, ["x", "y", "z"]) == (
        "Both studies hold the very same runs of all 1 strategies, so nothing can have been lost; "
        "not compared, for want of earlier or present runs: 'x', 'y', 'z'."
    )
