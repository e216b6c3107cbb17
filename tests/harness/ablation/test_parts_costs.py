"""What a part costs: counted, timed in pairs, and AUC per millisecond by Fieller's interval."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.ablation.costs import (
    StrategyCost,
    code_bytes,
    floors,
    part_cost,
    session_of,
    timed_rows,
)
from fusefront.harness.ablation.findings import surest_first, takes_over_limit
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.serving.latency.quality import BACKEND, SCOPES
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


def test_what_one_side_does_not_know_is_no_difference() -> None:
    """MACs, bytes of codes, timings and the bundle's size, each by itself and on either side."""
    both: Any = {"macs_per_candidate": 900.0, "parameters_dense": 70}
    lean: Any = {"parameters_dense": 60}
    for a, b in ((both, lean), (lean, both)):
        few = part_cost(StrategyCost(a, 96, None), StrategyCost(b, None, None), GAIN, (0.0, 0.0))
        assert few == {"parameters": 10 if a is both else -10}
        few = part_cost(StrategyCost(a, None, None), StrategyCost(b, 96, None), GAIN, (0.0, 0.0))
        assert "code_bytes" not in few
    timed = row(np.full(20, 0.5), np.full(20, 0.5))
    for sides in ((timed, None), (None, timed)):
        assert set(cost(*sides)) == {"macs", "parameters", "code_bytes"}
    for sides in (({"bundle_bytes": 5}, {}), ({}, {"bundle_bytes": 5})):
        a, b = (row(np.full(20, 0.5), np.full(20, 0.5), **more) for more in sides)
        assert "bundle_bytes" not in cost(a, b)


def test_two_rounds_are_pairs_and_one_is_none() -> None:
    log = np.log([2.0, 2.5])
    two = cost(row(log + 0.7, log + 0.7), row(log, log))
    gap = np.exp(log + 0.7) - np.exp(log)
    assert two["p50"]["ms"] == pytest.approx(gap.mean())
    assert "p50" not in cost(row(log[:1], log[:1]), row(log[:1], log[:1]))


def test_auc_without_its_error_has_no_quotient_and_an_end_without_bound_is_none() -> None:
    rng = np.random.default_rng(4)
    a = np.log(2.0) + rng.normal(0, 0.05, 20)
    b = a - 0.2 + rng.normal(0, 0.01, 20)
    sides = [StrategyCost(cast(Any, WHOLE), None, row(log, log)) for log in (a, b)]
    unknown = part_cost(*sides, {**GAIN, "se": None}, (0.0, 0.0))
    assert unknown["p50"]["measurable"] is True
    assert unknown["auc_per_ms"] == {}
    gap = np.exp(a) - np.exp(b)
    for df in (5.0, None):  # of the AUC where they are fewer, else of the rounds
        ratio = part_cost(*sides, {**GAIN, "df": df}, (0.0, 0.0))["auc_per_ms"]
        expected = fieller(0.01, gap.mean(), 1e-6, gap.var(ddof=1) / 20, df=df or 19)
        assert (ratio["value"], ratio["low"], ratio["high"]) == pytest.approx(expected[:3])


def test_the_floor_and_the_rows_are_those_of_the_session(tmp_path: Path) -> None:
    rows: Any = [
        {"strategy": name, "backend": BACKEND, "candidates": k, "scope": SCOPES[0], "p99_ms": k}
        for k in (100, 200)
        for name in ("a", "b")
    ]
    session: Any = {"rows": rows, "facts": {"floor_p50": 0.02, "floor_p99": 0.05}}
    timed = timed_rows(session, 200)
    assert {name: at["p99_ms"] for name, at in timed.items()} == {"a": 200, "b": 200}
    assert floors(session, list(timed.values())) == (0.02, 0.05)
    assert floors({**session, "facts": {}}, list(timed.values())) == (0.0, 0.0)
    assert (timed_rows(None, 200), floors(None, [])) == ({}, (0.0, 0.0))
    assert session_of(cast(Any, SimpleNamespace(path=tmp_path)), "bench-ablation-a") is None


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
    apart = [row(times, times) for times in ([0.5, 0.75] * 10, [0.25, 0.5] * 10)]
    assert cost(*apart, floor=(0.25, 0.24))["p50"]["measurable"] is False  # exceeds, not equals
    assert cost(*apart, floor=(0.25, 0.24))["p99"]["measurable"] is True


def test_other_rounds_are_no_pairs() -> None:
    a = np.full(20, 0.5)
    assert "p50" not in cost(row(a, a), row(a[:10], a[:10]))


def test_an_items_codes_are_counted_in_two_bytes() -> None:
    """Early fusion with a mean: the fused vector in both roles, in histories for each kind of event
    and for events of no known kind."""
    parts = load_parts([])
    plain: Any = {"pooler": "mean", "token_width": 16}
    wide = {"token_width": 24}
    kinds = SCHEMA._replace(history_kinds=2)
    assert code_bytes("early_fusion", plain, SCHEMA, parts) == 2 * (16 + 16)
    assert code_bytes("early_fusion", plain, SCHEMA._replace(items=0), parts) == 2 * (16 + 16)
    assert code_bytes("early_fusion", {**plain, **wide}, SCHEMA, parts) == 2 * (24 + 24)
    assert code_bytes("early_fusion", plain, kinds, parts) == 2 * (3 * 16 + 16)
    own = code_bytes("one_trans", {"embedding": 8}, kinds, parts)
    assert own == 2 * (3 * 8 + 7 * 8)  # of a candidate each field by itself


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
