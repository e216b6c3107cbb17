"""How much faster a model is built whose compressions an earlier training of the study has fitted.

    python tests/benchmarks/shared_tables.py --store out/prepared/wide/FINGERPRINT
        [--compressors pca rq bottleneck_pretrained none]

Builds early fusion with each compressor in turn in three ways, one thread, CPU seconds: by itself,
as the first of a study (which writes its tables), and as any later one. Prints the ratio of the
first to the last way, and how much of each model's frozen tables is memory of its own.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from fusefront.baselines.contract import Baseline
from fusefront.baselines.frozen import frozen_tables, kept_by
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.training.build import build_model
from fusefront.harness.training.frozen import FrozenTables


def anonymous() -> int:
    """Bytes of this process that are not pages of files."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return next(int(x.split()[1]) << 10 for x in text.splitlines() if x.startswith("Pss_Anon:"))


def main() -> None:
    """Build, print seconds and bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument(
        "--compressors", nargs="+", default=["pca", "rq", "bottleneck_pretrained", "none"]
    )
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    store, parts = PreparedDataset.open(chosen.store), load_parts([])
    recipe = Training().model_dump(mode="json")
    for name in chosen.compressors:
        settings = {"compressor": name}
        spec = RunSpec(store.name, store.fingerprint, "early_fusion", settings, recipe, 0)

        def timed(spec: RunSpec = spec) -> tuple[float, int, Baseline]:
            before, begin = anonymous(), time.process_time()
            model = build_model(spec, store, parts)
            return time.process_time() - begin, anonymous() - before, model

        with tempfile.TemporaryDirectory() as root:
            alone, own, model = timed()
            state = model.state_dict()
            size = sum(state[table].nbytes for table in frozen_tables(model))
            del model, state
            with kept_by(FrozenTables(Path(root), spec)):
                first, _, model = timed()
                del model
                later, shared, model = timed()
                del model
        print(
            f"{name}: {alone:.2f} s by itself, {first:.2f} s as the first, {later:.2f} s later: "
            f"{alone / later:.1f} x; tables {size / 2**20:.1f} MiB, memory grows by "
            f"{own / 2**20:.1f} and {shared / 2**20:.1f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
