"""Simplifies a traced graph: constants are folded, known shapes are fixed, nothing is computed
twice.

The graph is run at three sizes whose axes all differ; the rules use what each node did there.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime as ort

from fusefront.datasets.durable import temporary_folder
from fusefront.harness.serving.export import masks, products, rules, transposes
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.rules import Observed
from fusefront.harness.serving.export.scorer import session_options


def lighten(model: onnx.ModelProto, probes: Sequence[Feed]) -> onnx.ModelProto:
    """The same function with fewer nodes; `probes` are feeds of the graph's inputs."""
    model = fold(model)
    observed = observe(model, probes)
    rules.fix_constants(model, observed)
    rules.drop_expands(model, observed)
    rules.aim_expands(model, observed)
    rules.drop_lone_concats(model)
    rules.join_views(model, observed)
    rules.name_shapes(model, observed)
    masks.turn_wheres(model)
    masks.multiply_masks(model, observed)
    masks.count_truths(model)
    model = prune(model)
    rules.gather_columns(model, observed)
    products.merge_products(model)
    products.drop_views(model, observed)
    model = prune(model)
    products.drop_slices(model, observed)
    model = prune(model)
    transposes.turn_inward(model, observe(model, probes))
    return fold(prune(model))


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants and remove redundant nodes, by the runtime's basic level of optimisation."""
    options = session_options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with temporary_folder("rewrite") as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(str(path))


def observe(model: onnx.ModelProto, probes: Sequence[Feed]) -> Observed:
    """Every intermediate value at each probe."""
    open_graph = onnx.ModelProto()
    open_graph.CopyFrom(model)
    have = {output.name for output in open_graph.graph.output}
    names = [
        name for node in open_graph.graph.node for name in node.output if name and name not in have
    ]
    open_graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = session_options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        open_graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    observed: Observed = {name: [] for name in (*outputs, *inputs)}
    for probe in probes:
        values = session.run(outputs, {name: probe[name] for name in inputs})
        for at, value in enumerate(values):
            observed[outputs[at]].append(value)
        for name in inputs:
            observed[name].append(probe[name])
    return observed


def prune(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without nodes, initializers and inputs that no output needs."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(rules.reads(node))
    rules.replace(graph.node, list(reversed(nodes)))
    rules.replace(graph.initializer, [i for i in graph.initializer if i.name in needed])
    rules.replace(graph.input, [i for i in graph.input if i.name in needed])
    del graph.value_info[:]
    return model


def count_nodes(model: onnx.ModelProto) -> Counter[str]:
    """The number of nodes by operator."""
    return Counter(node.op_type for node in model.graph.node)
