"""The online half as an ONNX graph: made at a batch of 2, run at other sizes, empty histories among
them."""

import pytest

from fusefront.baselines.contract import Parts
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.serving.export.online import Example, random_feeds
from fusefront.harness.testing.baseline import subject_of
from fusefront.harness.testing.baseline_export import SIZES, check_exported

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)
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
    "simtier": {"embedding": 8, "attention": (16, 8), "hidden": (16, 8)},
    "make": {"embedding": 8, "content": 8, "attention": (16, 8), "hidden": (16, 8)},
    "muse": {"embedding": 8, "nearest": 5, "hidden": (16, 8)},
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
def test_the_exported_graph_scores_as_the_model_does(name, settings):
    def build(scene, seed):
        return scene.model(BASELINES[name], settings, PARTS, seed)

    check_exported(subject_of(name, build))


def test_sizes_are_one_and_many_and_the_first_of_several_requests_has_no_history(scene):
    assert SIZES == (1, 7, 512)
    for feed in random_feeds(scene.schema, (Example(1, 3, 16), Example(7, 3, 16))):
        empty = not feed["history_mask"][0].any()
        assert empty == (len(feed["history_mask"]) > 1)
