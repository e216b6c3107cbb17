"""What clustering by item adds to an error, the largest |t| of all pairs, and whose cluster it
is."""

import numpy as np
import pytest

from fusefront.harness.statistics import largest_t
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.panel import Crossing
from fusefront.harness.statistics.rows import RowTable


def model(rows: list[float], clusters: int = 4000) -> JointModel:
    """Strategies a, b, ... without noise of seeds, whose rows vary by themselves."""
    size = len(rows)
    zero = np.zeros(size)
    return JointModel(
        tuple("abcdef"[:size]), zero, zero, np.full(size, 3), np.diag(rows), zero,
        np.zeros((size, size)), clusters, clusters,
    )  # fmt: skip


def test_the_error_with_items_is_a_median_ratio_to_that_without() -> None:
    """Of differences to b: sqrt of (2, 5, 10) against (8, 5, 90) times 1e-6."""
    plain, crossed = model([1e-6, 1e-6, 4e-6, 9e-6]), model([4e-6, 4e-6, 1e-6, 86e-6])
    assert Crossing(plain, crossed).ratio("b") == pytest.approx(2.0)
    assert Crossing(plain, plain).ratio("b") == 1.0
    few = model([4e-6, 4e-6, 1e-6, 86e-6], clusters=5)
    for pair in ((plain, few), (few, crossed), (few, few)):
        assert np.isnan(Crossing(*pair).ratio("b"))
    still = model([0.0, 0.0])
    assert np.isnan(Crossing(still, model([1e-6, 1e-6])).ratio("a"))


@pytest.mark.parametrize("factor", [1.0, 1.5, 4.0, 1e6])
def test_the_largest_t_is_exact_wherever_its_search_begins(
    monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """Against all pairs of every draw; where the first guess is too high, none is passed over."""
    planted = model([1e-6, 2e-6, 3e-6, 4e-6, 5e-6])
    exact = np.sort(np.sqrt(largest_t._largest(planted, planted.null)))
    whole, thresholds = largest_t._largest, list[float]()

    def guessed(of: object, null: object, least: float = 0.0) -> object:
        result = whole(of, null, least)  # type: ignore[arg-type]
        if len(result) == 200:
            return factor * result
        thresholds.append(least)
        return result

    monkeypatch.setattr(largest_t, "_largest", guessed)
    critical = largest_t.critical_of_all(planted, planted.null)
    assert critical == pytest.approx(max(1.96, np.quantile(exact, 0.95)), rel=1e-9)
    assert thresholds[0] > 0
    assert thresholds[1:] == ([0.0] if factor > 2 else [])


@pytest.fixture
def rows() -> RowTable:
    """Users 7, 3 and 5; 3 has no click. Requests 70 to 74; only 71 and 74 have both classes."""
    group = np.array([7, 7, 7, 3, 3, 5, 5, 5])
    request = np.array([70, 71, 71, 72, 72, 73, 74, 74])
    label = np.array([1, 1, 0, 0, 0, 1, 0, 1], np.uint8)
    return table(label, group, request)


def table(label: np.ndarray, group: np.ndarray, request: np.ndarray) -> RowTable:
    columns: dict[str, np.ndarray] = {"label": label, "group": group, "request": request}
    rest = {name: np.zeros(len(label), np.int64) for name in RowTable.__annotations__}
    return RowTable(**{**rest, **columns})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cluster", "unit", "expected"),
    [
        ("user", "row", {7, 3, 5}),
        ("user", "group", {7, 5}),
        ("user", "request", {7, 5}),
        ("request", "row", {70, 71, 72, 73, 74}),
        ("request", "request", {71, 74}),
    ],
)
def test_a_code_stands_for_its_user_or_request(
    rows: RowTable, cluster: str, unit: str, expected: set[int]
) -> None:
    layout = Layout(rows, cluster)
    axis = layout.axis_of(unit)
    values = [layout.cluster_value(unit, code) for code in range(axis.size)]
    assert set(values) == expected
    assert len(values) == len(expected)
    if unit == "row":
        assert [values[code] for code in axis.code] == layout.clusters.tolist()
