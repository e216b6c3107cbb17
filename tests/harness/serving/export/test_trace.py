"""What is traced: contexts that are absent, sizes as values, and warnings that are not shown."""

import logging
import warnings
from contextlib import suppress
from typing import Any, NamedTuple, cast

import pytest
import torch
from planted import trained
from torch import Tensor

from fusefront.baselines.contract import Baseline, Request
from fusefront.harness.serving.export.online import random_feeds
from fusefront.harness.serving.export.trace import (
    Example,
    Online,
    _SizesAsValues,
    core_inputs,
    quiet,
    trace,
)


class Scored(NamedTuple):
    logits: Tensor


class Reading(torch.nn.Module):
    """Keeps the request that it scores."""

    def score(self, request: Request) -> Scored:
        self.request = request
        return Scored(request.candidates.values.sum(-1))


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("size", [Example(2, 3, 5), Example(1, 1, 1)])
def test_a_request_has_every_context_and_those_left_out_have_no_columns(
    context: bool, size: Example
) -> None:
    _, codes, schema = trained("popularity", context=context)
    (feed,) = random_feeds(schema, (size,))
    inputs = core_inputs(codes, feed)
    reading = Reading()
    logits = Online(cast(Baseline, reading), tuple(inputs))(*inputs.values())
    request = reading.request
    torch.testing.assert_close(logits, inputs["candidate_values"].sum(-1))
    widths = (4, 1, 1, 2) if context else (0, 0, 0, 0)
    parts = (*request.request_context, *request.candidate_context)
    for part, lead, kind, width in zip(
        parts, (size[:1], size[:1], size[:2], size[:2]), ("ids", "numbers") * 2, widths, strict=True
    ):
        assert part.shape == (*lead, width)
        assert part.dtype == (torch.int64 if kind == "ids" else torch.float32)
    names = ("request_ids", "request_numbers", "candidate_ids", "candidate_numbers")
    for name, part in zip(names, parts, strict=True):
        assert name not in inputs or torch.equal(part, inputs[name])
    assert torch.equal(request.history_mask, inputs["history_mask"])
    assert torch.equal(request.history.values, inputs["history_values"])
    assert torch.equal(request.candidates.present, inputs["candidate_present"])


def test_an_input_without_a_name_is_refused() -> None:
    _, codes, schema = trained("popularity")
    (feed,) = random_feeds(schema, (Example(),))
    inputs = core_inputs(codes, feed)
    online = Online(cast(Baseline, Reading()), tuple(inputs))
    with pytest.raises(ValueError, match="longer"):
        online(*inputs.values(), torch.zeros(1))


def test_a_call_keeps_its_keywords() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    with _SizesAsValues():
        assert torch.sum(x, dim=0).tolist() == [3.0, 5.0, 7.0]
        assert torch.sum(x, 1, keepdim=True).tolist() == [[3.0], [12.0]]
        assert torch.unflatten(x, 0, (2, 1)).shape == (2, 1, 3)
        assert torch.unflatten(x, -1, [3, 1]).shape == (2, 3, 1)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
def test_an_axis_is_split_by_the_sizes_of_what_is_fed() -> None:
    def split(x: Tensor) -> Tensor:
        first = torch.unflatten(x, -1, (2, 3))
        return first.unflatten(1, [1, x.shape[1]]).exp()

    x = torch.randn(2, 5, 6, 4, generator=torch.Generator().manual_seed(0)).transpose(2, 3)
    expected = split(x)
    with _SizesAsValues():
        assert torch.equal(split(x), expected)
        graph = str(torch.jit.trace(split, x, check_trace=False).graph)
        keyword = torch.jit.trace(lambda x: torch.unflatten(x, dim=1, sizes=(1, 5)), x).graph
    assert "unflatten" not in graph
    assert graph.count("aten::reshape") == 2
    assert "aten::unflatten" in str(keyword)  # by keyword it stays what it is


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Provided axis name: batch will not be used here", UserWarning),
        ("isinstance(treespec, LeafSpec) is old", FutureWarning),
        ("Constant folding not applied", UserWarning),
        ("torchvision is not installed, so skip", UserWarning),
        ("anything", DeprecationWarning),
        ("anything", torch.jit.TracerWarning),  # type: ignore[attr-defined]
    ],
)
def test_known_warnings_of_exporters_are_silent_while_they_run(text: str, category: Any) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn(text, category, stacklevel=1)
        assert shown == []
        warnings.warn(text, category, stacklevel=1)
        assert len(shown) == 1
        with quiet():
            warnings.warn("anything", UserWarning, stacklevel=1)
        assert len(shown) == 2


def test_the_exporters_log_is_as_loud_as_before_after_it_was_quiet() -> None:
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with suppress(KeyError), quiet():
            levels = [logger.level]
            raise KeyError
        assert levels == [logging.ERROR]
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(before)


@pytest.mark.parametrize(("tracer", "opset"), [("script", 17), ("capture", 20)])
def test_an_exporter_prints_nothing(tracer: Any, opset: int, capfd: Any) -> None:
    model, codes, schema = trained("popularity")
    (feed,) = random_feeds(schema, (Example(),))
    graph = trace(model, codes, feed, tracer)
    assert capfd.readouterr() == ("", "")
    assert {each.domain: each.version for each in graph.opset_import}[""] == opset
    assert Example() == (2, 3, 5)
