"""From a trained model and its item codes to an ONNX scorer over item ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states
from torch import Tensor

from fusefront.baselines.contract import (
    Baseline,
    Context,
    ItemCodes,
    Request,
    Rows,
    Schema,
    kinds_in,
)
from fusefront.harness.errors import GateError
from fusefront.harness.serving.export.event_tables import slot_patterns
from fusefront.harness.serving.export.offline import ItemGraph, move_offline
from fusefront.harness.serving.export.request import CONTEXTS, Feed, FeedShape
from fusefront.harness.serving.export.rewrite import fold, lighten, observe
from fusefront.harness.serving.export.scorer import probability, session_options
from fusefront.harness.serving.export.tables import RowFormat, graft
from fusefront.harness.serving.export.trace import Example, Tracer, core_inputs, quiet, trace

_REFUSALS = (
    RuntimeError,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.RuntimeException,
)  # errors of an exporter or of a session
TOLERANCE = 1e-5  # of a probability, fp32
PROBES = (Example(), Example(3, 7, 11), Example(5, 4, 2), Example(1, 1, 1))


class Light(NamedTuple):
    """The online graph over tables that already hold the work on single items."""

    graph: onnx.ModelProto
    items: tuple[ItemGraph, ...]

    def codes(self, codes: ItemCodes) -> ItemCodes:
        """The codes in the form of those tables."""
        for part in self.items:
            tables = (value.detach().numpy()[None] for value in getattr(codes, part.side))
            rows = Rows(*(torch.from_numpy(value[0]) for value in part.apply(*tables)))
            codes = codes._replace(**{part.side: rows})
        return codes

    def feed(self, feed: Feed) -> Feed:
        """A feed of gathered rows in the form of those tables."""
        for part in self.items:
            table, presence = f"{part.side}_values", f"{part.side}_present"
            values, present = part.apply(feed[table], feed[presence])
            feed = feed | {table: values, presence: present}
        return feed


class Probe(NamedTuple):
    """The inputs of a graph at one size, and the logits [R, K] of PyTorch."""

    inputs: Feed
    expected: NDArray[np.float32]


@dataclass(frozen=True)
class Core:
    """The online graph over gathered rows, compared with PyTorch; tables are attached to it
    later."""

    graph: onnx.ModelProto
    tracer: Tracer
    max_difference: float  # largest difference of a probability over the probes
    light: Light | None = None  # if there is work on single items that can move offline


def feed_shape(schema: Schema) -> FeedShape:
    """The context columns of a data set."""
    return FeedShape(
        sum(field.columns for field in schema.request_fields),
        schema.request_numbers,
        sum(field.columns for field in schema.candidate_fields),
        schema.candidate_numbers,
        schema.max_history,
        schema.history_kinds,
    )


def export_online(
    model: Baseline,
    codes: ItemCodes,
    schema: Schema,
    path: Path,
    *,
    rows: RowFormat = "float32",
) -> Path:
    """Write the scorer: inputs are history, history_mask, candidates and contexts, output is logits
    [R, K].

    The item tables are written beside `path` as external data, which is memory-mapped when loaded.
    """
    return write_scorer(export_core(model, codes, schema), codes, path, rows=rows)


def export_core(model: Baseline, codes: ItemCodes, schema: Schema) -> Core:
    """Trace the model, simplify the graph and compare it with PyTorch at four sizes; if that fails,
    use the slower exporter.

    Raises:
        GateError: the graph does not score as the model does.
    """
    example, *others = random_feeds(schema, PROBES)
    reason = "the model scores no candidate"
    tracers: tuple[Tracer, ...] = ("script", "capture")
    for tracer in tracers:
        try:
            graph = trace(model, codes, example, tracer)
            probes = [_probe(model, codes, feed) for feed in (example, *others)]
            graph = lighten(graph, _apart(probes))
            worst = _worst(graph, probes)
        except _REFUSALS as error:
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            continue
        if worst <= TOLERANCE:
            return Core(graph, tracer, worst, _lightened(graph, codes, probes))
        reason = f"probabilities differ by {worst:.2g}, allowed is {TOLERANCE:.0e}"
    raise GateError(f"{type(model).__name__} cannot be exported: {reason}; score it in eager mode")


def _probe(model: Baseline, codes: ItemCodes, feed: Feed) -> Probe:
    inputs = core_inputs(codes, feed)
    rows = {name: value.detach().numpy() for name, value in inputs.items()}
    return Probe(rows, eager_logits(model, codes, feed))


def _apart(probes: list[Probe]) -> list[Feed]:
    """Inputs of the sizes that tell axes apart: all but the last, where each is 1."""
    *apart, _ = probes
    return [probe.inputs for probe in apart]


def _lightened(graph: onnx.ModelProto, codes: ItemCodes, probes: list[Probe]) -> Light | None:
    """The simplified graph if there is one, if its scores are right and if row 0 holds nothing;
    else None."""
    if codes.history.present[0].any():
        return None
    try:
        moved, items = move_offline(graph, observe(graph, _apart(probes)))
        light = Light(fold(moved), items)
        fed = [probe._replace(inputs=light.feed(probe.inputs)) for probe in probes]
        worst = _worst(light.graph, fed)
        return light if items and worst <= TOLERANCE else None
    except _REFUSALS:
        return None  # the unchanged graph is used instead


def write_scorer(core: Core, codes: ItemCodes, path: Path, *, rows: RowFormat) -> Path:
    """Attach the tables in the format `rows` to the graph and write both.

    With int8 rows the work on single items stays in the graph, because one scale a row does not
    suit masks and codes together.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    slots = slot_patterns(codes) if kinds_in(codes) > 1 else None
    if core.light is None or rows == "int8":
        graph = graft(core.graph, codes, path.parent, rows, slots)
    else:
        graph = graft(core.light.graph, core.light.codes(codes), path.parent, rows, slots)
    path.write_bytes(graph.SerializeToString())
    return path


def random_feeds(schema: Schema, sizes: tuple[Example, ...], seed: int = 0) -> Iterator[Feed]:
    """Feeds of known items with histories of unequal length; with several requests, the first
    history is empty."""
    rng = np.random.default_rng(seed)

    def draw(least: int, most: int, sizes: tuple[int, ...]) -> NDArray[np.int64]:
        return rng.integers(least, most, sizes, endpoint=True)

    shape = feed_shape(schema)
    for size in sizes:
        feed = shape.arrays(size.requests, size.candidates, size.history)
        length = draw(1, size.history, (size.requests,))
        if size.requests > 1:
            length[0] = 0
        mask = np.arange(size.history)[::-1] < length[:, None]
        feed["history_mask"][:] = mask
        feed["history"][:] = np.where(mask, draw(1, schema.items, mask.shape), 0)
        if "history_kinds" in feed:
            feed["history_kinds"][:] = np.where(mask, draw(0, schema.history_kinds, mask.shape), 0)
        feed["candidates"][:] = draw(1, schema.items, feed["candidates"].shape)
        for name in CONTEXTS:
            if name in feed:
                feed[name][:] = _context(schema, name, feed[name].shape, rng)
        yield feed


def _context(
    schema: Schema, name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.generic]:
    side, kind = name.split("_")
    if kind == "numbers":
        return rng.normal(size=shape)
    fields = schema.request_fields if side == "request" else schema.candidate_fields
    sizes = np.repeat([f.size for f in fields], [f.columns for f in fields])
    return rng.integers(0, sizes, shape)


def eager_request(codes: ItemCodes, feed: Feed, events: Tensor | None = None) -> Request:
    """A feed as the request that `Baseline.score` takes; `events` [R, L] are rows of codes made for
    this feed."""
    inputs = core_inputs(codes, feed, events)
    requests, candidates = feed["candidates"].shape
    contexts = []
    for name in CONTEXTS:
        side, kind = name.split("_")
        lead = (requests,) if side == "request" else (requests, candidates)
        dtype = torch.int64 if kind == "ids" else torch.float32
        contexts.append(inputs.get(name, torch.zeros((*lead, 0), dtype=dtype)))
    return Request(
        Rows(inputs["history_values"], inputs["history_present"]),
        inputs["history_mask"],
        Rows(inputs["candidate_values"], inputs["candidate_present"]),
        Context(contexts[0], contexts[1]),
        Context(contexts[2], contexts[3]),
    )


def eager_logits(model: Baseline, codes: ItemCodes, feed: Feed) -> NDArray[np.float32]:
    """The model's own logits for a feed, [R, K]."""
    with torch.inference_mode(), quiet():
        logits = model.score(eager_request(codes, feed)).logits
    return np.asarray(logits.float().numpy())


def _worst(graph: onnx.ModelProto, probes: list[Probe]) -> float:
    """The largest difference of a probability; infinite if logits have another shape or
    are not all finite."""
    session = ort.InferenceSession(
        graph.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    worst = 0.0
    for inputs, expected in probes:
        (logits,) = session.run(["logits"], {name: inputs[name] for name in names})
        if logits.shape != expected.shape or not np.isfinite((logits, expected)).all():
            return float("inf")
        worst = max(worst, difference(logits, expected))
    return worst


def difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The largest difference of the click probabilities of logits a and b, both [...]."""
    return float(np.abs(probability(a) - probability(b)).max(initial=0.0))
