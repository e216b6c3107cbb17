"""Number fields with a few huge values: ordinary columns keep mean and deviation, others stay of
use."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import Manifest, Scaling
from fusefront.datasets.prepare import prepare
from fusefront.datasets.scaling import SAMPLE, fit, scaled
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, ITEMS = 2_000, 300
PARTS = ("train", "valid", "test")
SIDES = ("request", "candidate", "item")


def some(values: np.ndarray[Any, Any], share: float, *huge: float) -> np.ndarray[Any, Any]:
    """The values with huge ones in a share of the rows, evenly spread."""
    out = values.copy()
    at = np.flatnonzero(np.arange(len(out)) % round(1 / share) == 1)
    out[at] = np.resize(huge, len(at))
    return out


def ordinary(rows: int) -> dict[str, np.ndarray[Any, Any]]:
    r = np.random.default_rng(1)
    return {
        "normal": r.normal(5, 3, rows),
        "skewed": np.exp(r.normal(0, 2.5, rows)),
        "few": (r.random(rows) < 0.03) * r.integers(1, 4, rows).astype(float),
        "same": np.full(rows, 7.25),
        "dates": 1.6e12 + r.integers(0, 10**9, rows),
        "tiny": r.normal(0, 1e-200, rows) * 1e50,
        "large": r.normal(0, 1e100, rows),
        "with_nulls": np.where(r.random(rows) < 0.3, np.nan, r.normal(0, 1, rows)),
        "sentinel": some(r.normal(0, 1, rows), 0.02, 9_999.0),
    }


def huge(rows: int) -> dict[str, np.ndarray[Any, Any]]:
    r = np.random.default_rng(2)
    plain = r.normal(20, 4, rows)
    return {
        "infinite_like": some(plain, 0.02, 1e300),
        "both_ends": some(plain, 0.1, 1e308, -1e308),
        "largest": some(plain, 0.02, np.finfo(np.float64).max),
        "float_max": some(plain, 0.02, float(np.finfo(np.float32).max)),
        "swamped": some(plain, 0.02, 1e20),
        "a_third": some(plain, 1 / 3, 1e305),
        "beside_nulls": some(np.where(r.random(rows) < 0.2, np.nan, plain), 0.05, -1e301),
        "rare_counts": some(ordinary(rows)["few"], 0.004, 1e300),
    }


def spec(names: list[str]) -> dict[str, Any]:
    fields = [{"column": name, "type": "number"} for name in names]
    return {
        "name": "huge",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "none"},
        "items": {"path": "items.parquet", "key": "i", "fields": fields},
        "request_fields": fields,
        "candidate_fields": fields,
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }


def store_of(
    folder: Path, columns: dict[str, np.ndarray[Any, Any]], lines: list[str]
) -> PreparedDataset:
    log = {"u": np.arange(ROWS), "i": np.arange(ROWS) % ITEMS, "y": np.arange(ROWS) // 3 % 2}
    without_nan = {name: pl.Series(values).fill_nan(None) for name, values in columns.items()}
    pl.DataFrame(log | {"t": np.arange(ROWS)} | without_nan).write_parquet(folder / "log.parquet")
    of_items = {name: values[:ITEMS] for name, values in without_nan.items()}
    pl.DataFrame({"i": np.arange(ITEMS)} | of_items).write_parquet(folder / "items.parquet")
    dataset = parse_spec(spec(list(columns)), "test")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return prepare(dataset, folder, folder / "out", progress=lines.append)


def stored(store: PreparedDataset, side: str, place: int) -> np.ndarray[Any, Any]:
    """The numbers of a field in the order of the source's rows."""
    if side == "item":
        return np.asarray(store.items.numbers[1:, place])
    out = np.full(ROWS, np.nan, np.float32)
    for name in PARTS:
        split = store.split(name)
        table = split.request_numbers if side == "request" else split.candidate_numbers
        out[split.row_id] = table[:, place]  # each row is a request of its own
    return out


def train_rows(store: PreparedDataset, side: str) -> np.ndarray[Any, Any]:
    rows = np.sort(np.asarray(store.split("train").row_id))
    return np.flatnonzero(store.items.in_train[1:]) if side == "item" else rows


@pytest.mark.parametrize("side", SIDES)
def test_ordinary_columns_keep_their_mean_and_deviation(side: str, tmp_path: Path) -> None:
    columns, lines = ordinary(ROWS), list[str]()
    store = store_of(tmp_path, columns, lines)
    for place, (name, values) in enumerate(columns.items()):
        raw = values[:ITEMS] if side == "item" else values
        train = raw[train_rows(store, side)]
        train = train[~np.isnan(train)]
        deviation = train.std() if train.std() > 1e-12 * (1 + abs(train.mean())) else 1.0
        expected = np.nan_to_num((raw - train.mean()) / deviation).astype(np.float32)
        np.testing.assert_allclose(stored(store, side, place), expected, rtol=2e-6, atol=1e-6)
        scaling = store.manifest.numbers[f"{side}.{name}"]
        assert scaling.mean == pytest.approx(train.mean(), rel=1e-9)
        assert scaling.deviation == pytest.approx(deviation, rel=1e-9)
        assert f"{side}.{name}.cut" not in store.manifest.losses


@pytest.mark.parametrize("side", SIDES)
def test_a_few_huge_values_leave_the_others_apart(side: str, tmp_path: Path) -> None:
    columns, lines = huge(ROWS), list[str]()
    store = store_of(tmp_path, columns, lines)
    for place, (name, values) in enumerate(columns.items()):
        raw = values[:ITEMS] if side == "item" else values
        train = raw[train_rows(store, side)]
        train = np.sort(train[~np.isnan(train)])
        middle = train[(len(train) - 1) // 2]
        apart = np.sort([abs(float(x) / 2 - middle / 2) for x in train]) * 1.4826
        width = 2 * apart[(len(apart) - 1) // 2]
        if width == 0:
            apart = apart[apart > 0]
            width = 2 * apart[(len(apart) - 1) // 2]
        scaled = stored(store, side, place)
        assert np.isfinite(scaled).all()
        for row, x in enumerate(raw):
            if np.isnan(x):
                assert scaled[row] == 0
                continue
            with np.errstate(over="ignore"):
                score = min(10.0, max(-10.0, (x - middle) / width))
            assert scaled[row] == pytest.approx(score, rel=2e-6, abs=1e-6), (name, x)
        small = scaled[np.abs(raw) < 1e15]
        assert len(set(small.tolist())) >= 3
        cut = store.manifest.losses[f"{side}.{name}.cut"]
        assert cut.count == int((np.abs(scaled) == 10).sum())
        assert any(f"numbers of {side}.{name} are beyond 10 deviations" in line for line in lines)


def test_huge_values_after_train_are_cut_and_finite(tmp_path: Path) -> None:
    values, lines = np.random.default_rng(0).normal(5, 3, ROWS), list[str]()
    train = values[: int(ROWS * 0.6)]
    values[-5:] = [1e300, -1e300, 1e308, -1e308, 1e30]
    store = store_of(tmp_path, {"x": values}, lines)
    scaled = stored(store, "candidate", 0)
    assert scaled[-5:].tolist() == [1e6, -1e6, 1e6, -1e6, 1e6]
    expected = (values[:-5] - train.mean()) / train.std()
    np.testing.assert_allclose(scaled[:-5], expected, rtol=1e-5, atol=1e-6)
    assert store.manifest.losses["candidate.x.cut"].count == 5


def test_a_column_of_huge_values_is_refused(tmp_path: Path) -> None:
    values = np.where(np.arange(ROWS) % 2, 1.7e308, -1.7e308)
    with pytest.raises(
        DataContractError, match=r"number field '(item|request)\.x': half of its values"
    ):
        store_of(tmp_path, {"x": values}, [])


def test_serving_takes_the_scaling_of_the_manifest(tmp_path: Path) -> None:
    """What a manifest keeps gives the numbers that prepare stored; older ones have no limit."""
    columns = huge(ROWS) | ordinary(ROWS)
    store = store_of(tmp_path, columns, [])
    manifest = Manifest.model_validate_json((store.path / "manifest.json").read_text())
    for place, (name, values) in enumerate(columns.items()):
        again = scaled(values[:, None], [manifest.numbers[f"candidate.{name}"]])[:, 0]
        np.testing.assert_array_equal(again, stored(store, "candidate", place))
    old = Scaling.model_validate(json.loads('{"mean": 2.0, "deviation": 4.0}'))
    assert scaled(np.array([[4.0], [np.nan]]), [old]).tolist() == [[0.5], [0.0]]


def test_median_and_spread_of_many_rows_are_of_an_even_sample() -> None:
    rows = 5 * SAMPLE
    values = some(np.random.default_rng(3).normal(0, 1, rows), 0.01, 1e300)[:, None]
    whole = fit([values], ["x"], rows)
    parts = np.array_split(values, 7)
    assert fit(parts, ["x"], rows) == whole
    sample = np.sort(values[::5, 0])
    assert whole[0].mean == sample[(len(sample) - 1) // 2]
    assert whole[0].deviation == pytest.approx(1.0, rel=0.02)
