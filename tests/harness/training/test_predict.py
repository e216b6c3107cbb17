"""Scores of a split, whatever the batches that they are made in."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.baselines.contract import Parts
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.training import predict as predicting
from fusefront.harness.training.build import build_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.nested import write_widths
from fusefront.harness.training.predict import predict, write_predictions


@pytest.mark.parametrize(("longest", "rows"), [(512, 10), (3, 50), (1, 1)])
def test_scores_do_not_depend_on_how_rows_are_batched(
    ragged: PreparedDataset,
    parts: Parts,
    make_cell: Any,
    monkeypatch: pytest.MonkeyPatch,
    longest: int,
    rows: int,
) -> None:
    spec = make_cell("early_fusion", {"head.dropout": 0.5}).spec
    model = build_model(spec, ragged, parts).train()
    codes = encode_table(model, 45)
    whole = predict(model, codes, ragged, "test")
    assert (whole.dtype, whole.shape) == (np.float32, (183,))
    assert not model.training  # dropout is for training
    monkeypatch.setattr(predicting, "LONGEST", longest)
    monkeypatch.setattr(predicting, "EVALUATION_ROWS", rows)
    np.testing.assert_allclose(predict(model, codes, ragged, "test"), whole, atol=1e-5)


def test_a_split_without_rows_has_no_scores(
    ragged: PreparedDataset, parts: Parts, make_cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing(Batcher):
        def batches(self, batch_rows: int, order: Any = None) -> Any:
            return super().batches(batch_rows, np.zeros(0, np.int64))

    model = build_model(make_cell().spec, ragged, parts)
    monkeypatch.setattr(predicting, "make_batcher", lambda *part: Nothing(*part[:3]))
    none = predict(model, encode_table(model, 45), ragged, "test")
    assert (none.dtype, none.shape) == (np.float32, (0,))


def test_predictions_have_a_type_each(ragged: PreparedDataset, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p" / "test.parquet", np.ones(183, np.float32), ragged, "test")
    assert pl.read_parquet_schema(tmp_path / "p" / "test.parquet") == {
        "row_id": pl.Int64,
        "request": pl.Int64,
        "group": pl.Int64,
        "item": pl.Int32,
        "label": pl.UInt8,
        "logit": pl.Float32,
    }


def test_only_codes_that_nest_have_widths(
    ragged: PreparedDataset, parts: Parts, make_cell: Any, tmp_path: Path
) -> None:
    for name, settings in (("turning", {}), ("early_fusion", {"compressor": "none"})):
        model = build_model(make_cell(name, settings).spec, ragged, parts)
        write_widths(tmp_path, model, ragged)
        assert not list(tmp_path.iterdir())
