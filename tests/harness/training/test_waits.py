"""No strategy's training step, and no scoring from the code table, waits for a GPU."""

from typing import Any

import pytest
import torch
from sklearn.metrics import roc_auc_score

from fusefront.baselines.contract import Baseline, Parts, RequestBatch
from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.data.tables import item_table, schema_of
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.module import ClickModule, encode_table

from ..waits import Waits

ENTRIES = "DIN's attention over the entries that have each modality"
WAITING = {  # where only the device knows how many there are
    "em3": ENTRIES,
    "marn": ENTRIES,
    "pamd": ENTRIES,
    "simcen": "its contrastive loss takes the rows that have a slot",
}
STRATEGIES = sorted(name for name, kind in BASELINES.items() if not kind.solved)


@pytest.fixture(scope="module")
def batch(ragged: PreparedDataset) -> RequestBatch:
    return next(Batcher(ragged, "train", 9).batches(60))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_step_waits_for_nothing(
    name: str, ragged: PreparedDataset, parts: Parts, batch: RequestBatch
) -> None:
    model: Baseline = BASELINES[name].build(schema_of(ragged), item_table(ragged), {}, parts, 0)
    with Waits() as waits:
        losses = model.train().losses(batch)
        (losses.click + losses.auxiliary).backward()
    assert bool(waits.names) == (name in WAITING), waits.names
    codes = encode_table(model, 45)
    with torch.inference_mode(), Waits() as waits:
        model.eval().score_rows(codes, batch, batch.items)
    assert bool(waits.names) == (WAITING.get(name) == ENTRIES), waits.names


def test_pairs_that_nobody_counted_do_wait(
    ragged: PreparedDataset, parts: Parts, batch: RequestBatch
) -> None:
    words: dict[str, Any] = {"attention": (4,), "hidden": (4,), "attention_dropout": 0.0}
    model = BASELINES["din"].build(schema_of(ragged), item_table(ragged), words, parts, 0)
    with Waits() as waits:
        whole = model.train().losses(batch._replace(entries=None, pairs=None))
    assert waits.names == ["aten.index.Tensor", "aten.repeat_interleave.Tensor"]
    torch.testing.assert_close(model.losses(batch).click, whole.click, rtol=0, atol=1e-6)


def test_validation_looks_for_no_distinct_labels(
    ragged: PreparedDataset, parts: Parts, batch: RequestBatch
) -> None:
    """What else the metric asks on a CPU it does on the device."""
    model = BASELINES["early_fusion"].build(schema_of(ragged), item_table(ragged), {}, parts, 0)
    module = ClickModule(model, 45, Training(), 9)
    module.on_validation_start()
    with torch.inference_mode(), Waits() as waits:
        module.validation_step(batch, 0)
    assert not [name for name in waits.names if "unique" in name]
    assert module._codes is not None
    labels = batch.labels[batch.candidate_mask]
    with torch.inference_mode():
        scores = model.score_rows(module._codes, batch, batch.items)[0]
    assert float(module.auc.compute()) == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
