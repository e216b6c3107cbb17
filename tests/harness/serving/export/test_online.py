"""The exported scorer gives the model's scores: every family, size, history and row format."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from planted import trained

from fusefront.baselines.zoo import BASELINES
from fusefront.harness.errors import GateError
from fusefront.harness.serving.export.online import (
    TOLERANCE,
    difference,
    eager_logits,
    export_core,
    export_online,
    random_feeds,
    write_scorer,
)
from fusefront.harness.serving.export.rules import reshape_target
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.export.tables import store_rows
from fusefront.harness.serving.export.trace import Example, core_inputs, trace

SIZES = (Example(1, 1, 64), Example(1, 7, 3), Example(4, 512, 64), Example(3, 2, 1))


def _row_by_row(model, codes, feed):
    """An oracle of its own: one candidate at a time, histories cut to their real length."""
    rows = []
    for r in range(len(feed["candidates"])):
        real = feed["history_mask"][r]
        for k in range(feed["candidates"].shape[1]):
            first = {
                name: value[r : r + 1, k : k + 1]
                if name.startswith("candidate")
                else value[r : r + 1]
                for name, value in feed.items()
            }
            if real.any():
                first["history"] = feed["history"][r : r + 1][:, real]
                first["history_mask"] = np.ones_like(first["history"], bool)
            rows.append(eager_logits(model, codes, first).item())
    return np.array(rows, np.float32).reshape(feed["candidates"].shape)


# smaller than published: momo takes minutes at 512 candidates, and QIN's polynomial of degree 16
# of drawn weights has more digits than float32
SMALLER = {
    "momo": {"embedding": 8, "hidden": (32, 16), "head": (16,), "feed": 16},
    "qin": {"embedding": 8, "layers": 2},
}


@pytest.mark.parametrize("name", BASELINES)
def test_exported_scores_are_eager_scores_at_every_size(name, tmp_path):
    model, codes, schema = trained(name, SMALLER.get(name))
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    for feed in random_feeds(schema, SIZES, seed=7):
        expected = eager_logits(model, codes, feed)
        actual = scorer.logits(feed)
        assert actual.shape == expected.shape
        assert np.isfinite(actual).all()
        assert difference(actual, expected) <= TOLERANCE


def test_scores_of_a_request_are_those_of_its_candidates_one_by_one(tmp_path):
    model, codes, schema = trained("compressed_fusion")
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    (feed,) = random_feeds(schema, (Example(3, 5, 9),), seed=3)
    assert not feed["history_mask"][0].any()
    np.testing.assert_allclose(scorer.logits(feed), _row_by_row(model, codes, feed), atol=2e-5)


def test_padding_more_on_the_left_changes_nothing(tmp_path):
    model, codes, schema = trained("early_fusion", context=False)
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    (feed,) = random_feeds(schema, (Example(3, 4, 6),), seed=5)
    wider = dict(feed)
    for part in ("history", "history_mask"):
        wider[part] = np.pad(feed[part], ((0, 0), (10, 0)))
    np.testing.assert_allclose(scorer.logits(feed), scorer.logits(wider), atol=1e-5)


def test_views_of_a_store_are_read_without_a_warning_and_without_a_shared_byte():
    """A store's memory maps cannot be written; torch warned of each on the terminal."""
    _model, codes, schema = trained("early_fusion")
    feed = next(random_feeds(schema, SIZES[1:2], seed=7))
    views = {name: value.copy() for name, value in feed.items()}
    for value in views.values():
        value.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = core_inputs(codes, views)
    for name in (name for name in inputs if name in views):
        np.testing.assert_array_equal(inputs[name], feed[name])
        assert not np.shares_memory(inputs[name].numpy(), views[name])
        assert np.shares_memory(core_inputs(codes, feed)[name].numpy(), feed[name])


def test_a_data_set_without_context_has_no_context_inputs(tmp_path):
    model, codes, schema = trained("compressed_fusion", context=False)
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    assert set(scorer.inputs) - {"history_mask"} == {"history", "candidates"}


def test_a_model_without_history_asks_for_candidates_alone(tmp_path):
    model, codes, schema = trained("popularity")
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    assert scorer.inputs == ["candidates"]


@pytest.mark.parametrize(("rows", "limit"), [("float16", 5e-3), ("int8", 0.1)])
def test_smaller_rows_score_nearly_the_same(rows, limit, tmp_path):
    model, codes, schema = trained("compressed_fusion")
    core = export_core(model, codes, schema)
    exact = Scorer(write_scorer(core, codes, tmp_path / "a" / "scorer.onnx", rows="float32"))
    small = Scorer(write_scorer(core, codes, tmp_path / "b" / "scorer.onnx", rows=rows))
    (feed,) = random_feeds(schema, (Example(4, 50, 20),), seed=1)
    apart = difference(exact.logits(feed), small.logits(feed))
    assert 0 < apart <= limit
    sizes = [sum(p.stat().st_size for p in (tmp_path / x).glob("*values_table.bin")) for x in "ab"]
    plain = codes.history.values.numel() + codes.candidate.values.numel()  # bytes of int8 rows
    assert sizes[1] == {"float16": sizes[0] / 2, "int8": plain}[rows]


def test_tables_are_external_data_of_the_graph(tmp_path):
    model, codes, schema = trained("compressed_fusion")
    core = export_core(model, codes, schema)
    path = write_scorer(core, codes, tmp_path / "scorer.onnx", rows="float16")
    graph = onnx.load(path, load_external_data=False).graph
    outside = {i.name for i in graph.initializer if i.data_location == onnx.TensorProto.EXTERNAL}
    assert {"history_values_table", "candidate_values_table"} <= outside
    stored = np.fromfile(tmp_path / "candidate_values_table.bin", np.float16)
    assert core.light is not None
    expected = core.light.codes(codes).candidate.values.numpy().astype(np.float16)
    np.testing.assert_array_equal(stored.reshape(expected.shape), expected)
    assert path.stat().st_size < 300_000


def test_int8_rows_are_within_half_a_step():
    values = torch.randn(50, 12, generator=torch.Generator().manual_seed(0)).numpy()
    stored = store_rows(values, "int8")
    assert stored.scale is not None
    assert np.abs(stored.values * stored.scale - values).max() <= stored.scale.max() / 2 + 1e-6
    assert (store_rows(np.zeros((3, 4), np.float32), "int8").values == 0).all()


def test_codes_too_large_for_float16_are_refused():
    with pytest.raises(ValueError, match="export with float32 rows"):
        store_rows(np.full((2, 2), 1e6, np.float32), "float16")


class _Sizes(torch.nn.Module):
    """Fixes the example's candidate count by mistake, in any exporter."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def score(self, request):
        scored = self.model.score(request)
        return scored._replace(logits=scored.logits * float(request.candidates.values.shape[1]))


def test_a_graph_that_fixed_a_size_by_mistake_is_refused():
    model, codes, schema = trained("popularity")
    with pytest.raises(GateError, match=r"_Sizes cannot be exported: .*; score it in eager mode"):
        export_core(_Sizes(model), codes, schema)


def test_history_work_does_not_grow_with_the_candidates(tmp_path: Path):
    """No product of the graph has an axis of candidates times history except attention's own."""
    model, codes, schema = trained("compressed_fusion")
    graph = export_core(model, codes, schema).graph
    from fusefront.harness.serving.export.rewrite import observe

    feeds = list(random_feeds(schema, (Example(2, 13, 37),)))
    inputs = [{n: v.detach().numpy() for n, v in core_inputs(codes, f).items()} for f in feeds]
    observed = observe(graph, inputs)
    for node in graph.graph.node:
        shape = observed[node.output[0]][0].shape if observed.get(node.output[0]) else ()
        if 13 in shape and 37 in shape:
            assert node.op_type in ("MatMul", "Add", "Softmax", "Where", "Mul")


def test_the_slow_exporter_gives_the_same_scores(monkeypatch, tmp_path):
    """The fallback for what the fast tracer gets wrong."""
    from fusefront.harness.serving.export import online

    def wrong(model, codes, example, tracer):
        if tracer == "script":
            raise RuntimeError("planted")
        return trace(model, codes, example, tracer)

    monkeypatch.setattr(online, "trace", wrong)
    model, codes, schema = trained("early_fusion", context=False)
    core = export_core(model, codes, schema)
    assert core.tracer == "capture"
    scorer = Scorer(write_scorer(core, codes, tmp_path / "scorer.onnx", rows="float32"))
    (feed,) = random_feeds(schema, (Example(2, 40, 17),), seed=7)
    assert difference(scorer.logits(feed), eager_logits(model, codes, feed)) <= TOLERANCE


def test_targets_of_views_are_read_off_at_several_sizes():
    assert reshape_target([(2, 3, 12), (5, 7, 12)], [(6, 12), (35, 12)]) == [-1, 12]
    assert reshape_target([(2, 3, 12), (5, 7, 12)], [(2, 3, 4, 3), (5, 7, 4, 3)]) == [0, 0, 4, 3]
    assert reshape_target([(6,), (35,)], [(2, 3), (5, 7)]) is None
    assert reshape_target([(2, 3), (5, 7)], [(2, 0), (5, 0)]) is None
