"""DIN as the MMCTR challenge ships it and as it is here, in turn: training, evaluation, loading.

    python tests/benchmarks/official_din.py --official CLONE [--fuxictr FOLDER ...]
        [--what training|evaluation|loader] [--rows 512] [--bf16] [--rounds 5]

CLONE is a checkout of github.com/reczoo/WWW2025_MMCTR_Challenge, whose code is used unchanged;
FOLDER is where `pip install --target FOLDER fuxictr==2.3.7` has put it with its dependencies. Both
sides read the same generated log at the challenge's shape (91,718 items drawn by a power law,
histories of 26 to 64, text and image of 128 numbers, tags, likes and views), have the same widths
and train by Adam 1e-3 with gradients cut at 10; one thread, a process each. The official side's
`fit` needs a name that NumPy 2 has no longer, so its `train_step` is called batch by batch. Our
side's processes keep freed memory, as training workers do; the official side runs as it ships, or
with `--allocator` likewise. Evaluation is from codes that were computed before; the loader of the
official side has no workers, as ours.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from generated_batches import HISTORY, ITEMS
from gpu_log import TAGS, WIDTH, log_of, planted
from turns import answer, compare

from fusefront.baselines.contract import ItemTable, RequestBatch
from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.allocator import keep_freed_memory
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.optimiser import make_optimizer

CLIP, RATE, EMBEDDING = 10.0, 1e-3, 64


def official(
    chosen: argparse.Namespace, table: ItemTable, store: PreparedDataset
) -> Callable[[], int]:
    """What the official side does in a turn."""
    sys.path[:0] = [str(path) for path in (chosen.official, *chosen.fuxictr)]
    import pandas as pd
    from fuxictr.features import FeatureMap
    from src.DIN import DIN
    from src.mmctr_dataloader import MMCTRDataLoader

    folder = Path(tempfile.mkdtemp(prefix="official"))
    split, values = store.split("train"), store.history_values
    histories = [
        [0] * (HISTORY - int(length)) + values[start : start + length].tolist()
        for start, length in zip(split.history_start, split.history_length, strict=True)
    ]
    log = {
        "item_seq": histories,
        "item_id": split.item,
        "likes_level": split.candidate_ids[:, 0],
        "views_level": split.candidate_ids[:, 1],
        "label": split.label,
    }
    pd.DataFrame(log).to_parquet(folder / "train.parquet")
    items = {
        "item_id": range(ITEMS + 1),
        "item_tags": table.fields.tolist(),
        **{name: vectors.tolist() for name, vectors in table.vectors.items()},
    }
    pd.DataFrame(items).to_parquet(folder / "items.parquet")
    level = {"type": "categorical", "source": "", "vocab_size": 11}
    vector = {
        "type": "embedding",
        "source": "item",
        "embedding_dim": WIDTH,
        "pretrain_dim": WIDTH,
    }
    features = FeatureMap("generated", str(folder))
    features.labels, features.default_emb_dim = ["label"], EMBEDDING
    features.features.update(
        likes_level=level,
        views_level=dict(level),
        item_id={"type": "categorical", "source": "item", "vocab_size": ITEMS + 1},
        item_tags={
            "type": "sequence",
            "source": "item",
            "vocab_size": TAGS,
            "feature_encoder": "layers.MaskedAveragePooling()",
            "max_len": 5,
        },
        text=vector,
        image=dict(vector),
        item_seq={"type": "meta"},
    )
    loader = MMCTRDataLoader(
        features,
        str(folder / "train.parquet"),
        str(folder / "items.parquet"),
        batch_size=chosen.rows,
        num_workers=0,
        max_len=HISTORY,
    )
    if chosen.what == "loader":
        return lambda: sum(len(mask) for _, _, mask in loader)
    model = DIN(
        features,
        embedding_dim=EMBEDDING,
        dnn_hidden_units=[1024, 512, 256],
        attention_hidden_units=[512, 256],
        attention_hidden_activations="ReLU",
        attention_dropout=0.1,
        batch_norm=True,
        learning_rate=RATE,
        optimizer="adam",
        loss="binary_crossentropy",
        metrics=["AUC"],
        verbose=0,
        model_root=str(folder),
    )
    model._max_gradient_norm, model._batch_index = CLIP, 0
    batches = list(loader)

    def turn() -> int:
        for batch in batches:
            if chosen.what == "training":
                model.train_step(batch)
            else:
                with torch.no_grad():
                    model.forward(batch)["y_pred"].numpy()
        return sum(len(mask) for _, _, mask in batches)

    model.train(chosen.what == "training")
    return turn


def ours(
    chosen: argparse.Namespace, table: ItemTable, store: PreparedDataset, schema: Any
) -> Callable[[], int]:
    """What our side does in a turn."""
    batcher = Batcher(store, "train", 64)
    order = torch.randperm(len(batcher.units), generator=torch.Generator().manual_seed(0)).numpy()
    if chosen.what == "loader":
        return lambda: sum(len(batch.rows) for batch in batcher.batches(chosen.rows, order))
    model = BASELINES["din"].build(schema, table, {}, load_parts([]), 0)
    batches: list[RequestBatch] = list(batcher.batches(chosen.rows, order))
    rows = sum(len(batch.rows) for batch in batches)
    half = torch.autocast("cpu", torch.bfloat16, enabled=chosen.bf16)
    if chosen.what == "evaluation":
        model.eval()
        with torch.inference_mode(), half:
            codes = encode_table(model, schema.items)

        def score() -> int:
            with torch.inference_mode(), half:
                for batch in batches:
                    model.score_rows(codes, batch, batch.items)
            return rows

        return score
    recipe = Training(optimizer="adam", learning_rate=RATE)
    optimizer = make_optimizer(model.train(), recipe, 200)

    def train() -> int:
        for batch in batches:
            with half:
                losses = model.losses(batch)
            optimizer.zero_grad()
            (losses.click + losses.auxiliary).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
        return rows

    return train


def main() -> None:
    """Let both sides take turns, or be one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--official", type=Path, required=True)
    parser.add_argument("--fuxictr", type=Path, nargs="*", default=[])
    parser.add_argument("--what", default="training", choices=["training", "evaluation", "loader"])
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bf16", action="store_true", help="our products in bf16")
    parser.add_argument("--allocator", action="store_true", help="on the official side, too")
    parser.add_argument("--side", choices=["official", "ours"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side is None:
        what = f"{chosen.what}{' in bf16' * chosen.bf16}"
        script = [sys.executable, __file__, *sys.argv[1:], "--side"]
        sides = {side: [*script, side] for side in ("official", "ours")}
        compare(f"{what}, DIN, MMCTR shape, {chosen.rows:,} rows", sides, chosen.rounds)
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if chosen.side == "ours" or chosen.allocator:
        keep_freed_memory()
    schema, table, kind = planted(ITEMS)
    store = log_of(schema, kind, {"train": chosen.rows * chosen.batches})
    if chosen.side == "official":
        work = official(chosen, table, store)
    else:
        work = ours(chosen, table, store, schema)
    answer(work, chosen.batches)


if __name__ == "__main__":
    main()
