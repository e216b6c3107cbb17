"""How fast what ships is: the compressed-interaction default against a graph of its matrix
products.

Run: python tests/benchmarks/latency_ratio.py [--rounds 20]. One thread, history 64, K = 100; every
graph is visited in every round, in random order, and ratios are taken within rounds. Printed are
the median over rounds of the p50 and p99 ratio, int8 over fp32, and fits of T(K) = a + b K at
several lengths of history, whose growth of b is compared with that of the bare graph.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from fusefront.baselines.contract import Baseline, Field, ItemCodes, ItemTable, Parts, Rows, Schema
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.models.compressed_fusion import CompressedFusion
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.serving.export.online import Core, export_core, write_scorer
from fusefront.harness.serving.export.quantize import quantized
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.rewrite import observe
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.export.transposes import turn_inward
from fusefront.harness.serving.latency.bench import visit_length
from fusefront.harness.serving.latency.session import Recording, TimedSubject, measure, warm_up
from fusefront.harness.statistics.auc import exact_auc

ITEMS = 20_000
WIDE: dict[str, object] = {
    "token_width": 64,
    "pooler": {"name": "target_attention", "heads": 4},
    "head": {"name": "mlp", "hidden": (256, 128)},
}
RATIO_P50, RATIO_WIDE, RATIO_P99, INT8 = 1.25, 1.1, 1.5, 0.8
COMPARED = (
    ("shipped", "bare"),
    ("bare+softmax", "bare"),
    ("bare, turned inward", "bare"),
    ("shipped", "bare+softmax"),
    ("int8", "shipped"),
)
LENGTHS, COUNTS = (16, 64, 128, 256), (1, 50, 100, 200, 500)


@dataclass(frozen=True)
class Shipped:
    """The default model on a planted world, its codes and its graph."""

    model: Baseline
    codes: ItemCodes
    schema: Schema
    core: Core


def default_model(*, wide: bool = False, history: int = 64) -> Shipped:
    """compressed_fusion as it is without settings: id and three modalities, a field on either side.

    `wide`: tokens of 64, four heads, a head of 256 and 128, as published models have them.
    """
    g = torch.Generator().manual_seed(0)
    widths = {"text": 64, "image": 64, "audio": 32}
    present = torch.rand(ITEMS + 1, 3, generator=g) < 0.95
    present[0] = False
    vectors = {
        name: torch.randn(ITEMS + 1, width, generator=g) * present[:, m : m + 1]
        for m, (name, width) in enumerate(widths.items())
    }
    in_train = torch.rand(ITEMS + 1, generator=g) < 0.97
    in_train[0] = False
    shown = torch.randint(0, 50, (ITEMS + 1,), generator=g)
    nothing = torch.zeros(ITEMS + 1, 0)
    table = ItemTable(vectors, present, nothing.long(), nothing, in_train, shown, shown // 3)
    context = (Field("device", 5),), 0, (Field("position", 9),), 0
    schema = Schema(ITEMS, widths, (), 0, *context, history)
    parts = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)
    model = CompressedFusion.build(schema, table, WIDE if wide else {}, parts, 0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=g)
        codes = model.encode_items(torch.arange(ITEMS + 1))
    return Shipped(model, codes, schema, export_core(model, codes, schema))


def bare_graph(shipped: Shipped, *, softmax: bool = False) -> onnx.ModelProto:
    """Gathers, splits, transposes, products, concatenations and ReLU; no softmax, mask, gate,
    multiply.

    The products are those of the model: keys and values of four streams of two heads, the
    operator's low-rank turn and mix, the head's three layers. With `softmax`, the attention's
    softmax as well: the part of the rest that no rewriting can take away.
    """
    settings = shipped.model.settings  # type: ignore[attr-defined]
    d, heads = settings.token_width, settings.pooler["heads"]
    rank, hidden = settings.operator["rank"], settings.head["hidden"]
    slots = slots_of(shipped)
    pairs, width = slots * (slots - 1) // 2, d // heads
    lefts = [i for i in range(slots) for _ in range(i + 1, slots)]
    rng = np.random.default_rng(0)
    node = _Graph()
    history = node("Reshape", "history_values", node.shape(0, 0, slots, 2, heads * width))
    keys = node("Gather", history, node.scalar(0), axis=3)
    values = node("Gather", history, node.scalar(1), axis=3)
    split = node.shape(0, 0, slots * heads, width)
    keys = node("Transpose", node("Reshape", keys, split), perm=[0, 2, 3, 1])
    values = node("Transpose", node("Reshape", values, split), perm=[0, 2, 1, 3])
    target, query = node.many(
        "Split", 2, "candidate_values", node.shape(slots * d, slots * d), axis=-1
    )
    query = node("Transpose", node("Reshape", query, split), perm=[0, 2, 1, 3])
    weight = node("MatMul", query, keys)
    weight = node("Softmax", weight, axis=-1) if softmax else weight
    pooled = node("MatMul", weight, values)
    pooled = node("Reshape", node("Transpose", pooled, perm=[0, 2, 1, 3]), node.shape(0, 0, -1))
    fields = node("Reshape", pooled, node.shape(-1, slots, d))
    first = node("Slice", fields, node.shape(0), node.shape(slots - 1), node.shape(1))
    turned = node("Reshape", first, node.shape(-1, d))
    for a, b in ((d, rank), (rank, d)):
        turned = node("MatMul", turned, node.weight(f"turn{a}", rng.normal(size=(a, b))))
    turned = node("Reshape", turned, node.shape(-1, slots - 1, d))
    turned = node("Gather", turned, node.shape(*lefts), axis=1)
    both = node("Concat", fields, turned, axis=1)
    mix = rng.normal(size=((slots + pairs) * d, d))
    both = node("Reshape", both, node.shape(-1, (slots + pairs) * d))
    crossed = node("Gemm", both, node.weight("mix", mix), node.weight("mixb", np.zeros(d)))
    flat = [node("Reshape", part, node.shape(-1, slots * d)) for part in (pooled, target, pooled)]
    context = node("Reshape", "context", node.shape(-1, 2 * settings.context_width))
    x = node("Concat", *flat, crossed, context, axis=-1)
    widths = [3 * slots * d + d + 2 * settings.context_width, *hidden, 1]
    for number, (a, b) in enumerate(pairwise(widths)):
        weight = node.weight(f"w{number}", rng.normal(size=(a, b)) * 0.1)
        x = node("Gemm", x, weight, node.weight(f"b{number}", np.zeros(b)))
        x = node("Relu", x) if b != 1 else x
    node.nodes.append(helper.make_node("Reshape", [x, node.shape(1, -1)], ["logits"]))
    return node.model(shipped, settings.context_width)


def inward(graph: onnx.ModelProto, shipped: Shipped) -> onnx.ModelProto:
    """The hand-written graph with its transposes in the form that the exporter gives every
    graph."""
    wide = [part.values.shape[1] for part in plain_codes(shipped)]
    rng = np.random.default_rng(0)
    probes: list[Feed] = [
        {
            "history_values": rng.normal(size=(r, length, wide[0])).astype(np.float32),
            "candidate_values": rng.normal(size=(r, k, wide[1])).astype(np.float32),
            "request_ids": np.zeros((r, 1), np.int64),
            "candidate_ids": np.zeros((r, k, 1), np.int64),
        }
        for r, length, k in ((2, 3, 5), (3, 7, 11))
    ]
    turned = onnx.ModelProto()
    turned.CopyFrom(graph)
    turn_inward(turned, observe(turned, probes))
    return turned


class _Graph:
    """Nodes and initializers as they come."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def __call__(self, kind: str, *inputs: str, **attributes: object) -> str:
        return self.many(kind, 1, *inputs, **attributes)[0]

    def many(self, kind: str, outputs: int, *inputs: str, **attributes: object) -> list[str]:
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def weight(self, name: str, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def shape(self, *sizes: int) -> str:
        name = f"shape{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(sizes, np.int64), name))
        return name

    def scalar(self, value: int) -> str:
        name = f"scalar{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(value, np.int64), name))
        return name

    def model(self, shipped: Shipped, context: int) -> onnx.ModelProto:
        """With the embeddings of the two context fields in front, over gathered rows."""
        rng = np.random.default_rng(1)
        front = []
        for name, ids in (("request", "request_ids"), ("candidate", "candidate_ids")):
            self.weight(f"{name}_table", rng.normal(size=(9, context)))
            front.append(
                helper.make_node("Gather", [f"{name}_table", ids], [f"{name}_rows"], axis=0)
            )
        self.weights.append(numpy_helper.from_array(np.array([2], np.int64), "last"))
        front += [
            helper.make_node("Squeeze", ["candidate_rows", "last"], ["candidate_flat"]),
            helper.make_node("Shape", ["candidate_flat"], ["like"]),
            helper.make_node("Expand", ["request_rows", "like"], ["request_flat"]),
            helper.make_node("Concat", ["request_flat", "candidate_flat"], ["context"], axis=-1),
        ]
        wide = [part.values.shape[1] for part in plain_codes(shipped)]
        inputs = [
            ("history_values", TensorProto.FLOAT, ["requests", "history", wide[0]]),
            ("candidate_values", TensorProto.FLOAT, ["requests", "candidates", wide[1]]),
            ("request_ids", TensorProto.INT64, ["requests", 1]),
            ("candidate_ids", TensorProto.INT64, ["requests", "candidates", 1]),
        ]
        graph = helper.make_graph(
            [*front, *self.nodes],
            "bare",
            [helper.make_tensor_value_info(*value) for value in inputs],
            [
                helper.make_tensor_value_info(
                    "logits", TensorProto.FLOAT, ["requests", "candidates"]
                )
            ],
            self.weights,
        )
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)


def plain_codes(shipped: Shipped) -> ItemCodes:
    """The codes without the ones that masks are added to: what a graph without masks looks up."""
    settings = shipped.model.settings  # type: ignore[attr-defined]
    values, slots = shipped.codes.candidate.values, slots_of(shipped)
    wide, heads = slots * settings.token_width, slots * settings.pooler["heads"]
    queries = values[:, wide:].reshape(len(values), heads, -1)
    queries = queries[..., : settings.token_width // settings.pooler["heads"]].flatten(1)
    rows = Rows(torch.cat([values[:, :wide], queries], -1), shipped.codes.candidate.present)
    return ItemCodes(shipped.codes.history, rows)


def slots_of(shipped: Shipped) -> int:
    """Streams of the model: id and modalities."""
    return int(shipped.codes.history.present.shape[1])


def feeds_of(shipped: Shipped, candidates: int, history: int, count: int = 200) -> list[Feed]:
    """Requests of one user with a full history; items by a Zipf law, as they are shown."""
    rng = np.random.default_rng(candidates * 1000 + history)
    feeds = []
    for _ in range(count):
        ids = np.minimum(rng.zipf(1.2, history + candidates), ITEMS).astype(np.int64)
        feeds.append(
            {
                "history": ids[None, :history],
                "history_mask": np.ones((1, history), np.bool_),
                "candidates": ids[None, history:],
                "request_ids": rng.integers(0, 5, (1, 1)),
                "candidate_ids": rng.integers(0, 9, (1, candidates, 1)),
            }
        )
    return feeds


def subject(name: str, scorer: Scorer, feeds: list[Feed]) -> TimedSubject:
    """Warmed, its visits as long as its speed asks."""
    selected = [scorer.select(feed) for feed in feeds]
    call: Callable[[object], object] = scorer.run  # type: ignore[assignment]
    warmed = TimedSubject(name, call, selected)
    took = warm_up(warmed)
    length = visit_length(float(np.median(took[len(took) // 2 :])) / 1e6)
    return TimedSubject(name, call, selected, length)


def ratios(recording: Recording, a: str, b: str, p: float) -> np.ndarray:
    """Ratio of the p quantiles of two subjects in every round."""
    rounds = recording.by_round()
    pairs = zip(rounds[a], rounds[b], strict=True)
    return np.array([np.quantile(x, p) / np.quantile(y, p) for x, y in pairs])


def measure_all(
    folder: Path, rounds: int, lengths: tuple[int, ...], *, wide: bool = False
) -> dict[str, float]:
    """Everything that is printed, by name."""
    shipped = default_model(wide=wide)
    bare = Core(bare_graph(shipped), "script", 0.0)
    soft = Core(bare_graph(shipped, softmax=True), "script", 0.0)
    turned = Core(inward(bare.graph, shipped), "script", 0.0)
    int8 = quantized(shipped.core, shipped.codes, feeds_of(shipped, 100, 48, 40))
    scorers = {
        name: Scorer(write_scorer(core, codes, folder / name / "s.onnx", rows="float16"))
        for name, core, codes in (
            ("shipped", shipped.core, shipped.codes),
            ("bare", bare, plain_codes(shipped)),
            ("bare+softmax", soft, plain_codes(shipped)),
            ("bare, turned inward", turned, plain_codes(shipped)),
            ("int8", int8, shipped.codes),
        )
    }
    subjects = [
        subject(f"{name}|{k}|{length}", scorer, feeds_of(shipped, k, length))
        for name, scorer in scorers.items()
        for k in COUNTS
        for length in lengths
        if (name in ("shipped", "bare") and (length == 64 or k in (1, 100, 500)))
        or (k, length) == (100, 64)
    ]
    recording = measure(subjects, rounds, np.random.default_rng(0))
    light = shipped.core.light
    integers = [n for n in (int8.light or int8).graph.graph.node if n.domain == "com.microsoft"]
    figures = {
        "nodes": float(len((light or shipped.core).graph.graph.node)),
        "products in int8": float(len(integers)),  # 0: no product is large enough to pay
    }
    for name, other in COMPARED:
        for p in (0.5, 0.99):
            each = ratios(recording, f"{name}|100|64", f"{other}|100|64", p)
            figures[f"{name}/{other} p{100 * p:.0f}"] = float(np.median(each))
    figures["contended"] = (
        sum(recording.contended()[f"{n}|100|64"] for n in scorers) / len(scorers) / rounds
    )
    figures["int8 AUC change"] = auc_change(shipped, scorers)
    for name in ("shipped", "bare"):
        figures |= slopes(recording, name, lengths)
    return figures


def slopes(recording: Recording, name: str, lengths: tuple[int, ...]) -> dict[str, float]:
    """a and b of T(K) = a + b K in us, weights 1 / T, at each length; db / dL."""
    rounds = recording.by_round()
    figures, b_of = {}, []
    for length in lengths:
        points = [k for k in COUNTS if f"{name}|{k}|{length}" in rounds]
        took = [
            float(np.median(np.concatenate(rounds[f"{name}|{k}|{length}"]))) * 1e3 for k in points
        ]
        b, a = np.polyfit(points, took, 1, w=1 / np.array(took))
        figures |= {
            f"{name} a at L={length}, us": float(a),
            f"{name} b at L={length}, us": float(b),
        }
        b_of.append(b)
    if len(lengths) > 1:
        figures[f"{name} db/dL, us"] = float(np.polyfit(lengths, b_of, 1)[0])
    return figures


def auc_change(shipped: Shipped, scorers: dict[str, Scorer]) -> float:
    """int8 - fp32 on clicks drawn from the fp32 probabilities, 20,000 rows."""
    feeds = feeds_of(shipped, 100, 64)
    logits = {
        name: np.concatenate([scorers[name].logits(feed).ravel() for feed in feeds])
        for name in ("shipped", "int8")
    }
    standard = (logits["shipped"] - logits["shipped"].mean()) / logits["shipped"].std()
    clicked = np.random.default_rng(0).random(len(standard)) < 1 / (1 + np.exp(-standard))
    label = clicked.astype(np.uint8)
    return exact_auc(logits["int8"], label) - exact_auc(logits["shipped"], label)


def integer_products(rounds: int = 60, repeats: int = 20) -> dict[str, float]:
    """Integer over float products of 100 rows alone, nothing quantised: what int8 can gain at
    most."""
    import onnxruntime as ort

    from fusefront.harness.serving.export.scorer import session_options

    figures = {}
    for k, n in ((172, 64), (640, 256), (1024, 512)):
        runs = {}
        for kind, dtype, out in (
            ("MatMulInteger", "uint8", TensorProto.INT32),
            ("MatMul", "float32", TensorProto.FLOAT),
        ):
            rng = np.random.default_rng(0)
            weight = rng.integers(-127, 128, (k, n)).astype("int8" if dtype == "uint8" else dtype)
            x = rng.integers(0, 256, (100, k)).astype(dtype)
            graph = helper.make_graph(
                [helper.make_node(kind, [f"x{i}", "w"], [f"y{i}"]) for i in range(repeats)],
                "products",
                [
                    helper.make_tensor_value_info(
                        f"x{i}", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape
                    )
                    for i in range(repeats)
                ],
                [helper.make_tensor_value_info(f"y{i}", out, None) for i in range(repeats)],
                [numpy_helper.from_array(weight, "w")],
            )
            model = helper.make_model(
                graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
            )
            session = ort.InferenceSession(
                model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
            )
            runs[kind] = (session, {f"x{i}": x for i in range(repeats)})
        took: dict[str, list[float]] = {kind: [] for kind in runs}
        for _ in range(rounds):
            for kind, (session, feed) in runs.items():
                begin = perf_counter()
                session.run(None, feed)
                took[kind].append(perf_counter() - begin)
        ratio = np.median(took["MatMulInteger"]) / np.median(took["MatMul"])
        figures[f"integer/float product {k}x{n}"] = float(ratio)
    return figures


def profile(folder: Path) -> dict[str, float]:
    """Share of the time by kind of node, K = 100, L = 64."""
    import json
    from collections import Counter

    import onnxruntime as ort

    from fusefront.harness.serving.export.scorer import session_options

    shipped = default_model()
    path = write_scorer(shipped.core, shipped.codes, folder / "profile" / "s.onnx", rows="float16")
    options = session_options()
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile" / "trace")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    feeds = feeds_of(shipped, 100, 64)
    for feed in feeds * 3:
        session.run(None, {name: feed[name] for name in names})
    events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    total = sum(spent.values())
    return {kind: took / total for kind, took in spent.most_common()}


def main() -> int:
    """Print every figure; 1 where a limit is missed on a machine that was not contended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="history 64 alone")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--wide", action="store_true", help="the model in published widths")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if options.profile:
            for kind, share in profile(Path(folder)).items():
                sys.stdout.write(f"{kind:32s} {share:.1%}\n")
            return 0
        lengths = (64,) if options.quick else LENGTHS
        figures = measure_all(Path(folder), options.rounds, lengths, wide=options.wide)
    figures |= integer_products()
    for name, value in figures.items():
        sys.stdout.write(f"{name:32s} {value:.6g}\n")
    missed = [
        f"{name} {figures[name]:.2f} above {limit}"
        for name, limit in (
            ("shipped/bare p50", RATIO_WIDE if options.wide else RATIO_P50),
            ("shipped/bare p99", RATIO_P99),
            *([("int8/shipped p50", INT8)] if figures["products in int8"] else []),
        )
        if figures[name] > limit
    ]
    sys.stdout.write(("missed: " + "; ".join(missed) if missed else "every limit is met") + "\n")
    return int(bool(missed) and figures["contended"] < 0.2)


if __name__ == "__main__":
    sys.exit(main())
