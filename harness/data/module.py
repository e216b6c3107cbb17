"""The one Lightning data module of all strategies."""

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from fusefront.baselines.contract import RequestBatch
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher, most_batches, moved
from fusefront.harness.data.resident import ResidentBatcher, make_batcher

EVALUATION_ROWS = 8192
CPU = torch.device("cpu")


class _Shuffled(IterableDataset[RequestBatch]):
    """Requests in a fresh order each epoch, the order a function of (seed, epoch) alone."""

    def __init__(self, batcher: Batcher, batch_rows: int, seed: int, first: int) -> None:
        self.batcher, self.batch_rows, self.seed = batcher, batch_rows, seed
        self.epoch = first

    def __iter__(self) -> Iterator[RequestBatch]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        order = rng.permutation(len(self.batcher.units))
        return self.batcher.batches(self.batch_rows, order)


class _InOrder(IterableDataset[RequestBatch]):
    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher

    def __iter__(self) -> Iterator[RequestBatch]:
        return self.batcher.batches(EVALUATION_ROWS)


class RequestData(pl.LightningDataModule):
    """Batches of ids for training and validation, sized in rows; the same seed gives every strategy
    the same order.

    `first` is the number of the first epoch, counted from 0. On a GPU, batches are made on the
    device if the log fits there (`resident.make_batcher`).
    """

    def __init__(
        self,
        store: PreparedDataset,
        *,
        batch_rows: int,
        max_candidates: int,
        seed: int,
        first: int = 0,
        device: torch.device = CPU,
    ) -> None:
        super().__init__()
        self.first, self.device = first, device
        longest = min(max_candidates, batch_rows)
        self.train = make_batcher(store, "train", longest, device)
        log = self.train.log if isinstance(self.train, ResidentBatcher) else None
        self.valid = make_batcher(store, "valid", longest, device, log)
        self.batch_rows, self.seed = batch_rows, seed
        self.steps = most_batches(self.train.rows, batch_rows)  # an epoch

    def train_dataloader(self) -> DataLoader[RequestBatch]:
        """One epoch of training batches."""
        shuffled = _Shuffled(self.train, self.batch_rows, self.seed, self.first)
        return DataLoader(shuffled, batch_size=None)

    def val_dataloader(self) -> DataLoader[RequestBatch]:
        """The validation split in the store's order."""
        return DataLoader(_InOrder(self.valid), batch_size=None)

    def passes(self, split: Batcher, batch_rows: int) -> Iterator[RequestBatch]:
        """The batches of `train` or `valid` in the store's order, on the device."""
        return (moved(batch, self.device) for batch in split.batches(batch_rows))
