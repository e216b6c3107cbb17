"""A split by time cuts at the time, also where a user's history did not change across the cut."""

from pathlib import Path

import polars as pl

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec

SPEC = """
name: still
interactions: {path: log.parquet}
columns: {user: u, item: i, label: y, timestamp: t}
history: {from: log, max_length: 5}
items: {path: items.parquet, key: i}
split: {by: time, valid: 0.2, test: 0.2}
"""


def test_train_is_before_valid_is_before_test(tmp_path: Path) -> None:
    # user 0 never clicks: all its rows share the empty history and would be one request
    rows = [
        (u, 1 + (u + t) % 7, int(u > 0 and t % 3 == 0), t) for t in range(100) for u in range(3)
    ]
    pl.DataFrame(rows, schema=["u", "i", "y", "t"], orient="row").write_parquet(
        tmp_path / "log.parquet"
    )
    pl.DataFrame({"i": list(range(1, 8))}).write_parquet(tmp_path / "items.parquet")
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    store = prepare(load_spec(tmp_path / "spec.yaml"), tmp_path, tmp_path / "out")
    times = [store.split(name).timestamp for name in ("train", "valid", "test")]
    assert all(part is not None and len(part) for part in times)
    train, valid, test = times
    assert train.max() < valid.min()
    assert valid.max() < test.min()
    assert sum(map(len, times)) == len(rows)
