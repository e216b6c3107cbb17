"""The online half as an ONNX graph: made at a batch of 2, run at other sizes, empty histories among them."""

import numpy as np
import onnxruntime as ort
import pytest
import torch

from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.harness.serving.export.online import (
    Example,
    difference,
    eager_logits,
    export_core,
    random_feeds,
)
from fusefront.harness.serving.export.trace import core_inputs

FAST = ("early_fusion", "compressed_fusion")
SMALL = {
    "din": {"embedding": 8, "attention": (16, 8), "hidden": (16, 8)},
    "momo": {"embedding": 4, "layers": 1, "feed": 8, "last": 3, "hidden": (16,), "head": (8,)},
    "qin": {"embedding": 8, "layers": 2},
    "seed_reconstruction": {"embedding": 8, "hidden": (16, 8)},
    "deepfm": {"hidden": (16, 8)},
    "autoint": {"attention": 8},
    "dmf": {"width": 16, "hidden": (16, 8)},
    "naml": {"width": 16, "id_width": 8},
}
AXES = {
    "target-aware at item": {"operator": "film", "conditioning": "target_aware"},
    "target-aware when pooled": {
        "operator": "scalar_gate",
        "placement": "pooled",
        "conditioning": "target_aware",
    },
    "senet over all fields": {
        "operator": {"name": "senet", "readout": "tokens"},
        "placement": "interaction",
        "interaction_fields": "all",
        "presence_features": True,
    },
    **{f"pooler {name}": {"operator": "concat", "pooler": name} for name in POOLERS},
    **{f"head {name}": {"operator": "concat", "head": name} for name in HEADS},
}
slow = pytest.mark.slow
CASES = [pytest.param(name, {}, id=name) for name in FAST]
CASES += [
    pytest.param(name, SMALL.get(name, {}), id=name, marks=slow)
    for name in BASELINES
    if name not in FAST
]
CASES += [pytest.param("composed", case, id=title, marks=slow) for title, case in AXES.items()]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_exported_graph_scores_as_the_model_does(scene, name, settings):
    model = scene.build(name, settings).float().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
    core = export_core(model, codes, scene.schema)
    session = ort.InferenceSession(
        core.graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    sizes = [Example(2, candidates, 9) for candidates in (1, 7, 512)]
    sizes += [Example(requests, 3, 16) for requests in (1, 7, 512)]
    for feed in random_feeds(scene.schema, sizes):
        empty = not feed["history_mask"][0].any()
        assert empty == (len(feed["history_mask"]) > 1)  # the first of several has no history
        inputs = {key: value.numpy() for key, value in core_inputs(codes, feed).items()}
        (found,) = session.run(["logits"], {key: inputs[key] for key in names})
        assert np.isfinite(found).all()
        assert difference(found, eager_logits(model, codes, feed)) < 1e-5
