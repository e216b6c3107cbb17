"""Scores a whole split in the store's row order, by the offline and the online half, as serving
does."""

from pathlib import Path

import numpy as np
import polars as pl
import torch

from fusefront.baselines.contract import Baseline, ItemCodes
from fusefront.datasets.durable import replacing
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import moved
from fusefront.harness.data.module import EVALUATION_ROWS
from fusefront.harness.data.resident import make_batcher
from fusefront.harness.runs.hashes import MARK

LONGEST = 512  # candidates scored at once


def predict(
    model: Baseline, codes: ItemCodes, store: PreparedDataset, split: str
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Logits [N] float32 of all rows of `split`, computed on the device of `codes`."""
    device = codes.candidate.values.device
    batcher = make_batcher(store, split, LONGEST, device)
    model.eval()
    scores = []
    with torch.inference_mode():
        for batch in batcher.batches(EVALUATION_ROWS):
            batch = moved(batch, device)
            scores.append(model.score_rows(codes, batch, batch.items)[0].float())
        whole = torch.cat(scores).cpu() if scores else torch.zeros(0)
    return whole.numpy()


def write_predictions(
    path: Path,
    logits: np.ndarray[tuple[int], np.dtype[np.float32]],
    store: PreparedDataset,
    split: str,
) -> None:
    """Write `logits` [rows] as predictions/<split>.parquet, from which all statistics are
    computed."""
    rows = store.split(split)
    start = np.asarray(rows.row_start, np.int64)
    count = start[1:] - start[:-1]
    request = np.repeat(np.arange(len(count)), count)
    frame = pl.DataFrame(
        {
            "row_id": np.asarray(rows.row_id, np.int64),
            "request": request,
            "group": np.asarray(rows.group, np.int64)[request],
            "item": np.asarray(rows.item, np.int32),
            "label": np.asarray(rows.label, np.uint8),
            "logit": logits,
        }
    )
    with replacing(path) as written:
        frame.write_parquet(written, metadata=dict(MARK))
