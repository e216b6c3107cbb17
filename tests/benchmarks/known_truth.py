"""Test AUC of the families on worlds of known truth: the table of docs/synthetic.md.

    python tests/benchmarks/known_truth.py [WORLD ...]

The training loop, the data and the settings are those of tests/baselines/test_known_truth.py.
"""

import importlib.util
import sys
import time
from pathlib import Path

PRESENCE = ("presence_features", True)
ROWS = {  # world: baseline and settings
    "additive": (
        ("id_only",),
        ("early_fusion",),
        ("early_fusion", ("token_width", 32)),
        ("late_fusion",),
        ("compressed_fusion",),
    ),
    "multiplicative": (
        ("early_fusion",),
        ("early_fusion", ("token_width", 32)),
        ("late_fusion",),
        ("compressed_fusion",),
        ("compressed_fusion", ("head", "linear")),
        ("compressed_fusion", ("head", "linear"), ("operator", "none")),
    ),
    "redundant": (
        ("compressed_fusion",),
        ("compressed_fusion", ("compressor", "none")),
        ("compressed_fusion", ("modalities", ("text",))),
    ),
    "noise": (
        ("compressed_fusion",),
        ("compressed_fusion", ("modalities", ("text",))),
        ("gated_fusion",),
        ("gated_fusion", ("modalities", ("text",))),
    ),
    "gated": (("late_fusion",), ("gated_fusion",), ("compressed_fusion",)),
    "missing_not_at_random": (("compressed_fusion",), ("compressed_fusion", PRESENCE)),
    "popularity": (("popularity",), ("id_only",), ("compressed_fusion",)),
    "tour": (
        ("early_fusion",),
        ("late_fusion",),
        ("gated_fusion",),
        ("compressed_fusion",),
        ("compressed_fusion", PRESENCE),
    ),
}


def main(worlds: list[str]) -> None:
    """Print a line a model as it is trained."""
    path = Path(__file__).parents[1] / "baselines" / "test_known_truth.py"
    spec = importlib.util.spec_from_file_location("known_truth_loop", path)
    assert spec is not None
    assert spec.loader is not None
    loop = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loop
    spec.loader.exec_module(loop)
    print("| world | model | test AUC | CPU s |\n|---|---|---|---|")
    for world in worlds or ROWS:
        for name, *settings in ROWS[world]:
            begin = time.process_time()
            auc = loop.trained(world, name, *settings)
            words = ", ".join(f"{key} {value}" for key, value in settings)
            used = time.process_time() - begin
            print(f"| {world} | {name} {words} | {auc:.4f} | {used:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
