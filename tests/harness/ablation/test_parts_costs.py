"""What a part costs: counted, timed in pairs, and AUC per millisecond by Fieller's interval."""

from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.ablation.costs import StrategyCost, code_bytes, part_cost
from fusefront.harness.ablation.findings import surest_first, takes_over_limit
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.statistics.ratio import fieller
from fusefront.harness.testing.scene import SCHEMA

WHOLE = {"macs_per_candidate": 900.0, "parameters_dense": 70, "parameters_fusion": 5}
GAIN: Any = {"delta": -0.01, "low": -0.012, "high": -0.008, "se": 0.001, "df": 40.0}


def row(log_p50: Any, log_p99: Any, **more: Any) -> Any:
    times = {
        f"{name}_{end}": float(np.exp(np.mean(log)))
        for name, log in (("p50", log_p50), ("p95", log_p99), ("p99", log_p99))
        for end in ("ms", "low", "high")
    }
    return {
        "log_p50": list(log_p50), "log_p95": list(log_p99), "log_p99": list(log_p99),
        "rounds": len(log_p50), "rounds_by_session": [len(log_p50)], **times, **more,
    }  # fmt: skip


def cost(whole: Any, without: Any, floor: tuple[float, float] = (0.0, 0.0)) -> Any:
    sides = [
        StrategyCost(cast(Any, summary), size, timed)
        for summary, size, timed in (
            (WHOLE, 96, whole),
            ({"macs_per_candidate": 650.0, "parameters_dense": 60}, 64, without),
        )
    ]  # fmt: skip
    return part_cost(*sides, GAIN, floor)


def test_what_is_counted_is_subtracted() -> None:
    assert cost(None, None) == {"macs": 250.0, "parameters": 15, "code_bytes": 32}


def test_milliseconds_are_paired_by_round() -> None:
    """Against a paired t interval of scipy."""
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.2, 20)  # of the round, in both
    a = np.log(2.0) + noise + rng.normal(0, 0.01, 20)
    b = np.log(1.8) + noise + rng.normal(0, 0.01, 20)
    result = cost(row(a, a + 0.5, bundle_bytes=300), row(b, b + 0.1, bundle_bytes=100))
    for key, x, y in (("p50", a, b), ("p99", a + 0.5, b + 0.1)):
        gap = np.exp(x) - np.exp(y)
        ends = stats.t.interval(0.95, 19, gap.mean(), gap.std(ddof=1) / np.sqrt(20))
        assert result[key]["ms"] == pytest.approx(gap.mean())
        assert (result[key]["low"], result[key]["high"]) == pytest.approx(ends)
        assert result[key]["measurable"] is True
    assert result["bundle_bytes"] == 200
    gap = np.exp(a) - np.exp(b)
    expected = fieller(0.01, gap.mean(), 1e-6, gap.var(ddof=1) / 20, df=19)
    ratio = result["auc_per_ms"]
    assert (ratio["value"], ratio["low"], ratio["high"]) == pytest.approx(expected[:3])
    assert ratio["shape"] == "bounded"


def test_a_part_that_costs_nothing_measurable_has_no_quotient() -> None:
    """Within its own interval, or within the floor of equal sessions."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.5, 0.1, (2, 20))
    result = cost(row(a, a), row(b, b))
    assert (result["p50"]["measurable"], "auc_per_ms" in result) == (False, False)
    clear = row(a + 0.1, a + 0.1), row(a, a)
    assert cost(*clear)["p50"]["measurable"] is True
    assert cost(*clear, floor=(0.2, 0.0))["p50"]["measurable"] is False
    assert cost(*clear, floor=(0.0, 0.2))["p99"]["measurable"] is False
    assert cost(*clear, floor=(0.09, 0.09))["p50"]["measurable"] is True


def test_other_rounds_are_no_pairs() -> None:
    a = np.full(20, 0.5)
    assert "p50" not in cost(row(a, a), row(a[:10], a[:10]))


def test_an_items_codes_are_counted_in_two_bytes() -> None:
    """Early fusion with a mean: the fused vector in both roles; a wider one costs as much more."""
    parts = load_parts([])
    plain: Any = {"pooler": "mean", "token_width": 16}
    narrow = code_bytes("early_fusion", plain, SCHEMA, parts)
    wide = code_bytes("early_fusion", {**plain, "token_width": 24}, SCHEMA, parts)
    assert wide / narrow == 1.5
    assert narrow >= 2 * 2 * 16


def removal(without: str, high: float | None, **more: Any) -> Any:
    delta = {"delta": -0.01, "low": -0.02, "high": high}
    return {**delta, "without": without, "kind": "component", **more}


def test_parts_are_ranked_by_the_lower_end_of_what_they_add() -> None:
    rows = [
        removal("sure", -0.004),
        removal("surer", -0.009),
        removal("open", 0.001),
        removal("unknown", None),
        removal("dear", -0.015, over_limit=True),
        removal("swapped", -0.019, kind="swap"),
        removal("text", -0.005, kind="modality"),
    ]
    assert surest_first(rows) == ["surer", "text", "sure"]


def test_a_part_takes_the_whole_over_the_limit() -> None:
    assert takes_over_limit(10.5, 9.5, 10.0)
    assert takes_over_limit(10.5, 10.0, 10.0)
    assert not takes_over_limit(10.5, 10.2, 10.0)  # it is over without it
    assert not takes_over_limit(10.0, 9.0, 10.0)
    assert not takes_over_limit(None, 9.0, 10.0)
    assert not takes_over_limit(11.0, None, 10.0)
