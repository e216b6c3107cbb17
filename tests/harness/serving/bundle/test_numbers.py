"""Numbers a client sends get the score that `prepare` stored, huge ones too."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.harness.serving.bundle.predict import feed_of, open_encoder
from fusefront.harness.serving.bundle.write import dataset_facts
from fusefront.harness.serving.export.request import FeedShape


def test_huge_and_absent_numbers_are_served_as_they_were_prepared(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), 500
    plain = rng.normal(20, 4, rows)
    entries = {
        "usual": plain,
        "huge": np.where(np.arange(rows) % 50 == 1, 1e300, plain),
        "ends": np.where(np.arange(rows) % 20 == 1, 1e308 * (-1.0) ** np.arange(rows), plain),
        "later": np.where(np.arange(rows) > 490, -1e308, plain),
    }
    log = {"u": np.arange(rows), "i": np.arange(rows) % 9, "y": np.arange(rows) // 3 % 2}
    columns = {name: [None, *values[1:].tolist()] for name, values in entries.items()}
    pl.DataFrame(log | {"t": np.arange(rows)} | columns).write_parquet(tmp_path / "log.parquet")
    fields = [{"column": name, "type": "number"} for name in entries]
    raw = {
        "name": "numbers",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "none"},
        "items": {"keys": "log"},
        "request_fields": fields,
        "candidate_fields": fields,
        "split": {"by": "time"},
    }
    store = prepare(parse_spec(raw, "test"), tmp_path, tmp_path / "out")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "dataset.json").write_text(json.dumps(dataset_facts(store)), encoding="utf-8")
    store.item_keys().write_parquet(bundle / "items.parquet")
    shape = FeedShape(request_numbers=len(entries), candidate_numbers=len(entries))
    encoder, path = open_encoder(bundle), tmp_path / "log.parquet"
    rows_read = pl.read_parquet(path)
    own = encoder.columns(rows_read.columns, path)
    feed = feed_of(encoder.encode(rows_read, own, path, 0), shape)
    for name in ("train", "valid", "test"):
        split = store.split(name)
        assert np.isfinite(split.candidate_numbers).all()
        np.testing.assert_array_equal(feed["request_numbers"][split.row_id], split.request_numbers)
        served = feed["candidate_numbers"][split.row_id, 0]
        np.testing.assert_array_equal(served, split.candidate_numbers)
