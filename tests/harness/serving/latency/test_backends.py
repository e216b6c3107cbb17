"""What each backend calls is the model as it ships: no dropout, whatever state it comes in."""

from pathlib import Path

import numpy as np
import pytest
import torch
from planted import trained

from fusefront.baselines.contract import Baseline, ItemCodes, Schema
from fusefront.harness.serving.export.online import (
    TOLERANCE,
    difference,
    eager_logits,
    export_core,
    random_feeds,
)
from fusefront.harness.serving.export.trace import Example
from fusefront.harness.serving.latency import backends
from fusefront.harness.serving.latency.backends import (
    TorchCompiled,
    TorchEager,
    Trained,
    as_trained,
)

Parts = tuple[Baseline, ItemCodes, Schema]


@pytest.fixture(scope="module")
def parts() -> Parts:
    return trained("composed", {"modality_dropout": 0.5})


@pytest.mark.parametrize("backend", ["eager", "compile", "as trained"])
def test_a_model_in_training_is_timed_as_it_ships(
    backend: str, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, codes, schema = parts
    ready = Trained("gated", model, codes, schema, export_core(model, codes, schema), tmp_path)
    feeds = list(random_feeds(schema, (Example(1, 5, 9), Example(1, 8, 30)), seed=3))
    expected = [eager_logits(model, codes, feed) for feed in feeds]
    # what the compiler makes of a function is not ours to test, what it is shipped is
    monkeypatch.setattr(backends.torch, "compile", lambda call, **_: call)
    loads = {
        "eager": TorchEager().load,
        "compile": TorchCompiled().load,
        "as trained": as_trained,
    }
    model.train()
    call = loads[backend](ready)
    for feed, logits in zip(feeds, expected, strict=True):
        actual = np.asarray(call(feed))
        assert difference(actual, logits) <= TOLERANCE
    model.train()
    with torch.inference_mode():
        moved = model.score(backends.eager_request(codes, feeds[1])).logits.numpy()
    assert difference(moved, expected[1]) > 100 * TOLERANCE
    model.eval()
