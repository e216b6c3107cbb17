"""What an export does where an exporter fails, is wrong, or where nothing can move offline."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper
from planted import trained

from fusefront.baselines.contract import Rows
from fusefront.harness.errors import GateError
from fusefront.harness.serving.export import online
from fusefront.harness.serving.export.online import (
    TOLERANCE,
    Core,
    difference,
    eager_logits,
    eager_request,
    export_core,
    random_feeds,
    write_scorer,
)
from fusefront.harness.serving.export.quantize import quantized
from fusefront.harness.serving.export.rewrite import count_nodes
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.export.trace import Example, core_inputs, trace


@pytest.fixture(scope="module")
def parts() -> Any:
    return trained("early_fusion")


def test_an_exporter_that_fails_is_quoted_by_its_first_line(
    parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracers = []

    def fails(model: object, codes: object, feed: object, tracer: str) -> None:
        tracers.append(tracer)
        raise RuntimeError(f"\n no {tracer} here \nand more")

    monkeypatch.setattr(online, "trace", fails)
    reason = r"^\w+ cannot be exported: RuntimeError: no capture here ?; score it in eager mode$"
    with pytest.raises(GateError, match=reason):
        export_core(*parts)
    assert tracers == ["script", "capture"]


def off_by(graph: onnx.ModelProto, shift: float) -> onnx.ModelProto:
    """The graph with every logit shifted."""
    last = next(node for node in graph.graph.node if "logits" in node.output)
    last.output[0] = "unshifted"
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(shift), "shift"))
    graph.graph.node.append(onnx.helper.make_node("Add", ["unshifted", "shift"], ["logits"]))
    return graph


@pytest.mark.parametrize("shift", [0.01, np.nan])
def test_scores_beyond_the_tolerance_are_refused_with_how_far_they_are(
    parts: Any, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    def wrong(model: Any, codes: Any, feed: Any, tracer: str) -> onnx.ModelProto:
        return off_by(trace(model, codes, feed, "script"), shift)

    monkeypatch.setattr(online, "trace", wrong)
    model, codes, schema = parts
    worst = 0.0
    for feed in random_feeds(schema, online.PROBES):
        p = 1 / (1 + np.exp(-eager_logits(model, codes, feed).astype(np.float64)))
        q = 1 / (1 + np.exp(-eager_logits(model, codes, feed).astype(np.float64) - shift))
        worst = max(worst, np.abs(p - q).max(initial=0.0))
    far = "inf" if np.isnan(shift) else f"{worst:.2g}"
    with pytest.raises(GateError, match=f"probabilities differ by {far}, allowed is 1e-05; "):
        export_core(*parts)


def test_work_stays_online_where_row_0_holds_something(parts: Any) -> None:
    model, codes, schema = parts
    present = codes.history.present.clone()
    present[0, -1] = True
    core = export_core(model, codes._replace(history=Rows(codes.history.values, present)), schema)
    assert core.light is None
    assert export_core(*parts).light is not None


def test_work_stays_online_where_moving_it_fails_or_is_wrong(
    parts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    move = online.move_offline

    def fails(graph: object, observed: object) -> None:
        raise RuntimeError

    def shifted(graph: Any, observed: Any) -> Any:
        moved, items = move(graph, observed)
        return off_by(moved, 0.01), items

    for wrong in (fails, shifted, lambda graph, observed: (graph, ())):
        monkeypatch.setattr(online, "move_offline", wrong)
        core = export_core(*parts)
        assert core.light is None
        assert core.max_difference <= TOLERANCE
    model, codes, schema = parts
    path = write_scorer(core, codes, tmp_path / "new" / "deep" / "scorer.onnx", rows="float32")
    again = write_scorer(core, codes, path, rows="float32")
    (feed,) = random_feeds(schema, (Example(3, 7, 9),), seed=2)
    assert difference(Scorer(again).logits(feed), eager_logits(model, codes, feed)) <= TOLERANCE


@pytest.mark.parametrize("context", [True, False])
def test_a_feed_is_the_request_that_a_model_scores(context: bool) -> None:
    _, codes, schema = trained("popularity", context=context)
    (feed,) = random_feeds(schema, (Example(2, 3, 5),))
    request = eager_request(codes, feed)
    contexts = (*request.request_context, *request.candidate_context)
    names = ("request_ids", "request_numbers", "candidate_ids", "candidate_numbers")
    for name, part in zip(names, contexts, strict=True):
        lead = (2,) if name.startswith("request") else (2, 3)
        assert part.shape == (*lead, feed[name].shape[-1] if context else 0)
        assert part.dtype == (torch.int64 if name.endswith("ids") else torch.float32)
        assert not context or part.tolist() == feed[name].tolist()
    assert torch.equal(request.history.values, codes.history.values[feed["history"]])
    assert torch.equal(request.candidates.values, codes.candidate.values[feed["candidates"]])


def test_both_graphs_of_a_core_are_in_integers() -> None:
    """Each is calibrated on its own inputs, and scores nearly as before."""
    model, codes, schema = trained(
        "compressed_fusion", {"head": {"name": "mlp", "hidden": [256, 128]}}
    )
    core = export_core(model, codes, schema)
    assert core.light is not None
    feeds = list(random_feeds(schema, (Example(3, 20, 9), Example(4, 30, 5)), seed=2))
    whole = quantized(core, codes, feeds)
    assert whole.light is not None
    assert quantized(Core(core.graph, core.tracer, 0.0), codes, feeds).light is None
    for graph, plain in ((whole.graph, core.graph), (whole.light.graph, core.light.graph)):
        assert count_nodes(graph)["MatMulIntegerToFloat"] > 0
        assert count_nodes(plain)["MatMulIntegerToFloat"] == 0
    assert whole.light.items == core.light.items
    expected = eager_logits(model, codes, feeds[0])
    inputs = {name: value.detach().numpy() for name, value in core_inputs(codes, feeds[0]).items()}
    for graph, fed in ((whole.graph, inputs), (whole.light.graph, whole.light.feed(inputs))):
        session = ort.InferenceSession(
            graph.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        names = [value.name for value in session.get_inputs()]
        (logits,) = session.run(["logits"], {name: fed[name] for name in names})
        assert 0 < np.abs(logits - expected).max() < 0.1 * expected.std()


def test_what_differs_by_what_is_allowed_is_taken(
    parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "_worst", lambda *_: TOLERANCE)
    core = export_core(*parts)
    assert core.max_difference == TOLERANCE
    assert core.light is not None
    monkeypatch.setattr(online, "_worst", lambda *_: np.nextafter(TOLERANCE, 1))
    with pytest.raises(GateError, match=r"probabilities differ by 1e-05, allowed is 1e-05"):
        export_core(*parts)
