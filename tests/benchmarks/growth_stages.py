"""What one process of `growth.py` measures, in CPU seconds of one thread."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset

BATCH_ROWS, MAX_MEMORY = 2048, 2 << 30
STEPS, FEWEST, MOST = 10, 3, 40  # more of quick steps, fewer of slow ones
ENOUGH, LIMIT = 1.5, 5.0  # seconds
Figures = dict[str, float]


def seconds(action: Callable[[], object]) -> float:
    """CPU seconds of an action."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


def least(action: Callable[[], object]) -> float:
    """CPU seconds of an action, the least of three, of two if it is slow: the first takes fresh
    memory."""
    times: list[float] = []
    while len(times) < 2 or (len(times) < 3 and sum(times) < ENOUGH):
        times.append(seconds(action))
    return min(times)


def preparing(folder: Path) -> Figures:
    """`prepare`, and the bytes of log and store."""
    spec = load_spec(folder / "spec.yaml")
    cost = seconds(lambda: prepare(spec, folder, folder / "out", max_memory=MAX_MEMORY))
    log = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    paths = store_of(folder).glob("**/*")
    store = sum(path.stat().st_size for path in paths if path.is_file())
    return {"prepare s": cost, "log MiB": log / 2**20, "store MiB": store / 2**20}


def store_of(folder: Path) -> Path:
    """The store that was prepared there."""
    (manifest,) = folder.glob("out/prepared/*/*/manifest.json")
    return manifest.parent


def loading(folder: Path) -> Figures:
    """All batches of an epoch without a model, and the AUC of so many scores."""
    import torch
    from torchmetrics.classification import BinaryAUROC

    from fusefront.harness.data.batches import Batcher

    torch.set_num_threads(1)
    batcher = Batcher(PreparedDataset.open(store_of(folder)), "train", 64)

    def epoch() -> None:
        order = np.random.default_rng([0, 0]).permutation(len(batcher.units))
        for _ in batcher.batches(BATCH_ROWS, order):
            pass

    cost = seconds(epoch)
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(batcher.rows, dtype=torch.float64, generator=generator)
    labels = torch.from_numpy(np.array(batcher.split.label, np.int32))
    auc = BinaryAUROC(thresholds=None, validate_args=False)
    auc.update(scores, labels)
    return {"loader s": cost, "auc s": seconds(auc.compute)}


def training(folder: Path, strategy: str) -> Figures:
    """Build a model, take steps, compute the code table, score rows of train from it.

    The steps' batches are made beforehand; `score` is scaled to all rows if not all were scored
    within the limit.
    """
    import torch

    from fusefront.baselines.contract import Baseline
    from fusefront.baselines.zoo import BASELINES
    from fusefront.harness.data.batches import Batcher
    from fusefront.harness.data.module import EVALUATION_ROWS
    from fusefront.harness.data.tables import item_table, schema_of
    from fusefront.harness.parts.plugins import load_parts
    from fusefront.harness.runs.recipe import Training
    from fusefront.harness.training.allocator import keep_freed_memory
    from fusefront.harness.training.module import encode_table
    from fusefront.harness.training.optimiser import make_optimizer

    torch.set_num_threads(1)
    keep_freed_memory()
    parts = load_parts([])

    def build() -> Baseline:
        store = PreparedDataset.open(store_of(folder))
        return BASELINES[strategy].build(schema_of(store), item_table(store), {}, parts, 0)

    built = least(build)
    model, store = build(), PreparedDataset.open(store_of(folder))
    batcher = Batcher(store, "train", 64)
    optimizer = make_optimizer(model.train(), Training(), 200)

    def drawn() -> Iterator[object]:
        rng = np.random.default_rng(0)
        while True:
            yield from batcher.batches(BATCH_ROWS, rng.permutation(len(batcher.units)))

    steps: list[float] = []
    for number, batch in enumerate(islice(drawn(), MOST + 2)):
        begin = time.process_time()
        losses = model.losses(batch)
        optimizer.zero_grad()
        (losses.click + losses.auxiliary).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        if number >= 2:  # the first two are to warm up
            steps.append(time.process_time() - begin)
        if sum(steps) > (ENOUGH if len(steps) >= STEPS else LIMIT) and len(steps) >= FEWEST:
            break
    items = store.manifest.schema_.items
    encoded = least(lambda: encode_table(model, items))
    codes = encode_table(model.eval(), items)
    spent, rows = 0.0, 0
    with torch.inference_mode():
        for batch in batcher.batches(EVALUATION_ROWS):
            begin = time.process_time()
            model.score_rows(codes, batch, batch.items)
            spent += time.process_time() - begin
            rows += len(batch.rows)
            if spent > LIMIT:
                break
    return {
        f"{strategy} build s": built,
        f"{strategy} step ms": median(steps) * 1e3,
        f"{strategy} epoch s": median(steps) * batcher.rows / BATCH_ROWS,
        f"{strategy} codes s": encoded,
        f"{strategy} score s": spent * batcher.rows / rows,
    }


def main() -> None:
    """Measure one job in the folder of a log; print the figures as JSON."""
    job, folder = sys.argv[1], Path(sys.argv[2])
    jobs = {"prepare": preparing, "loader": loading}
    figures = jobs[job](folder) if job in jobs else training(folder, job)
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
