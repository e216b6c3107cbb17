"""Counters are proposed where rows have labels and times."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import parse_spec

USER_AND_ITEM = [{"of": "user"}, {"of": "item"}, {"residual": "user"}]
WITH_GENRES = [
    *USER_AND_ITEM,
    {"of": ["user", "item.genres"]},
    {"residual": ["user", "item.genres"]},
]


def folder(path: Path, *, without: tuple[str, ...] = (), extra: str | None = None) -> Path:
    rng, rows = np.random.default_rng(0), 400
    log = {
        "user_id": rng.integers(0, 40, rows),
        "item_id": rng.integers(0, 30, rows),
        "clicked": rng.integers(0, 2, rows),
        "timestamp": 1_600_000_000 + np.sort(rng.integers(0, 10**6, rows)),
    }
    if extra is not None:
        log[extra] = rng.normal(size=rows)
    frame = pl.DataFrame(log).drop(*without)
    path.mkdir()
    frame.write_parquet(path / "log.parquet")
    genres = ["|".join(["drama", "war", "crime"][: 1 + k % 3]) for k in range(30)]
    pl.DataFrame({"item_id": range(30), "genres": genres}).write_csv(path / "items.csv")
    return path


@pytest.mark.parametrize(
    ("without", "extra", "expected"),
    [
        ((), None, WITH_GENRES),
        (("timestamp",), None, None),
        (("clicked",), None, None),  # negatives are drawn, which were never shown
        ((), "item_rate", None),  # the name is in use
    ],
)
def test_counters_are_proposed_by_what_the_log_has(tmp_path, without, extra, expected) -> None:
    data = folder(tmp_path / "data", without=without, extra=extra)
    text = propose([data])
    raw = yaml.safe_load(text)
    assert raw.get("counters") == expected
    assert "Tried: prepare takes the files." in text
    if expected is not None:
        store = prepare(parse_spec(raw, "proposed"), data, tmp_path / "out")
        assert "user_residual" in store.manifest.schema_.request_numbers
