"""Steps of a training as a former commit had them and as this checkout has them, in turn.

    python tests/benchmarks/revisions.py COMMIT [--store out/prepared/movielens/FINGERPRINT]
        [--strategy din] [--rows 512] [--evaluate] [--bf16] [--no-allocator] [--rounds 5]

The commit's files are written to a temporary folder. Each side has a process of its own, one
thread, and makes its model by its own code with the same seed; batches come from the same prepared
store by its own code, or without `--store` from the log that `training_speed.py` generates. Printed
is the median over rounds of the ratio of CPU seconds a row, former over present, with the lowest
and the highest, and each side's rows/s, page faults and peak memory. `--bf16` and `--no-allocator`
(the C library's allocator as it ships) are for the present side; a former commit has what it had.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from turns import answer, compare

ROOT = Path(__file__).resolve().parents[2]


def serve(root: Path, chosen: argparse.Namespace) -> None:
    """Be one side: the package is read from the files below `root`."""
    package = ModuleType("fusefront")
    package.__path__ = [str(root)]
    sys.modules["fusefront"] = package
    import torch

    from fusefront.harness.parts.plugins import load_parts

    torch.set_num_threads(1)
    if not chosen.no_allocator:
        try:
            from fusefront.harness.training.allocator import keep_freed_memory
        except ImportError:
            pass  # a commit from before it
        else:
            keep_freed_memory()
    torch.manual_seed(0)
    if chosen.store:
        schema, table, batches = of_store(chosen)
    else:
        import generated_batches

        schema, table, batches = generated_batches.generated_log(chosen.rows, chosen.batches)
    parts = load_parts([])
    model = parts.baselines[chosen.strategy].build(schema, table, {}, parts, 0)
    turn = evaluation(model, batches, schema.items) if chosen.evaluate else steps(model, batches)
    rows = sum(len(batch.rows) for batch in batches)
    with torch.autocast("cpu", torch.bfloat16, enabled=chosen.bf16 and root == ROOT):
        answer(lambda: turn() or rows, len(batches))


def of_store(chosen: argparse.Namespace) -> tuple[Any, Any, list[Any]]:
    """Schema, items and the first batches of a store: of train in a drawn order, or of valid."""
    import torch

    from fusefront.datasets.store import PreparedDataset
    from fusefront.harness.data.batches import Batcher
    from fusefront.harness.data.tables import item_table, schema_of

    store = PreparedDataset.open(chosen.store)
    batcher = Batcher(store, "valid" if chosen.evaluate else "train", 64)
    order = torch.randperm(len(batcher.units), generator=torch.Generator().manual_seed(0))
    stream = batcher.batches(chosen.rows, None if chosen.evaluate else order.numpy())
    return schema_of(store), item_table(store), [next(stream) for _ in range(chosen.batches)]


def steps(model: Any, batches: list[Any]) -> Callable[[], None]:
    """A step for each batch: losses, gradients, their norm cut, the common recipe's optimiser."""
    import torch

    from fusefront.harness.runs.recipe import Training
    from fusefront.harness.training.optimiser import make_optimizer

    model.train()
    optimizer = make_optimizer(model, Training(), 200)

    def turn() -> None:
        for batch in batches:
            losses = model.losses(batch)
            optimizer.zero_grad()
            (losses.click + losses.auxiliary).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()

    return turn


def evaluation(model: Any, batches: list[Any], items: int) -> Callable[[], None]:
    """Each batch scored from a table of codes, as validation and test are."""
    import torch

    from fusefront.baselines.contract import gather
    from fusefront.harness.training.module import encode_table

    model.eval()
    with torch.inference_mode():
        codes = encode_table(model, items)

    def turn() -> None:
        with torch.inference_mode():
            for batch in batches:
                if hasattr(model, "score_rows"):
                    model.score_rows(codes, batch, batch.items)
                else:
                    model.score(gather(codes, batch, batch.items), batch.rows)

    return turn


def write_files(commit: str, folder: Path) -> None:
    """Write the files of a commit below `folder`."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)


def main() -> None:
    """Let both sides take turns, or be one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--strategy", default="din")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--evaluate", action="store_true", help="score from the code table")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--no-allocator", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen)
        return
    what = "evaluation" if chosen.evaluate else "training"
    where = chosen.store.parent.name if chosen.store else "MMCTR shape"
    title = f"{what}{' in bf16' * chosen.bf16}, {chosen.strategy}, {where}, {chosen.rows:,} rows"
    with tempfile.TemporaryDirectory(prefix="former") as folder:
        write_files(chosen.commit, Path(folder))
        script = [sys.executable, __file__, *sys.argv[1:], "--serve"]
        sides = {chosen.commit: [*script, folder], "present": [*script, str(ROOT)]}
        compare(title, sides, chosen.rounds)


if __name__ == "__main__":
    main()
