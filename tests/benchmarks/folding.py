"""What folding linear steps saves in a served request: graphs with and without it, in turn.

    python tests/benchmarks/folding.py

One request of 100 candidates and 64 places of history on one thread, from gathered rows; the ratio
is of the fastest of 300 runs each, unfolded over folded, and MACs are counted on the model.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import onnxruntime as ort
import torch
from torch import Tensor, nn

from fusefront.baselines.heads.deep import Deep
from fusefront.fusion_variants.layers import Chain
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.serving.export.online import export_core, random_feeds
from fusefront.harness.serving.export.scorer import session_options
from fusefront.harness.serving.export.trace import Example, core_inputs

sys.path.insert(0, str(Path(__file__).parents[1] / "harness" / "serving"))
from planted import trained

RUNS = 300
BILINEAR = {"name": "bilinear", "rank": 16}
CASES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "din, hidden 1024-512-256": ("din", {"embedding": 16}),
    "din, hidden 64-32": ("din", {"embedding": 16, "attention": (32, 16), "hidden": (64, 32)}),
    "compressed_fusion, bilinear of rank 16": ("compressed_fusion", {"operator": BILINEAR}),
}


def unfolded_deep(head: Deep, x: Tensor) -> Tensor:
    """A layer, then its norm as scale and shift, then ReLU."""
    for layer, norm in zip(head.layers, head.norms, strict=True):
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        x = (layer(x) * scale + (norm.bias - norm.running_mean * scale)).relu()
    assert head.out is not None
    logits: Tensor = head.out(x).squeeze(-1)
    return logits


def request(name: str, settings: Mapping[str, object]) -> tuple[Callable[[], object], int]:
    """A run of the model's scorer on one request, and its MACs a candidate."""
    model, codes, schema = trained(name, dict(settings))
    (feed,) = random_feeds(schema, (Example(1, 100, 64),), seed=1)
    core = export_core(model, codes, schema)
    session = ort.InferenceSession(
        core.graph.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    names = {value.name for value in session.get_inputs()}
    values = core_inputs(codes, feed)
    inputs = {key: value.detach().numpy() for key, value in values.items() if key in names}
    macs = macs_per_candidate(model, schema.items, schema)
    return lambda: session.run(["logits"], inputs), macs


def main() -> None:
    """Print a row a model."""
    torch.set_num_threads(1)
    print("| model | MACs unfolded | folded | ms unfolded | folded | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for title, (name, settings) in CASES.items():
        sides = [request(name, settings)]
        with (
            mock.patch.object(Deep, "forward", unfolded_deep),
            mock.patch.object(Chain, "forward", nn.Sequential.forward),
        ):
            sides.append(request(name, settings))
        fastest = [float("inf")] * 2
        for _ in range(RUNS):
            for at, (run, _) in enumerate(sides):
                begin = time.perf_counter()
                run()
                fastest[at] = min(fastest[at], time.perf_counter() - begin)
        folded, unfolded = (1e3 * seconds for seconds in fastest)
        row = f"| {title} | {sides[1][1]:,} | {sides[0][1]:,} "
        print(f"{row}| {unfolded:.3f} | {folded:.3f} | {unfolded / folded:.2f} |", flush=True)


if __name__ == "__main__":
    main()
