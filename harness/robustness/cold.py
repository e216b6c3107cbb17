"""A trained model that meets items whose ids it never saw, and users without a history."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fusefront.baselines.contract import Baseline
from fusefront.datasets.store import PreparedDataset, Split


class WithoutHistories(PreparedDataset):
    """A store in which no request has a history."""

    def split(self, name: str) -> Split:
        """As it is stored, with histories of length 0."""
        part = super().split(name)
        return part._replace(history_length=np.zeros_like(part.history_length))


def id_tables(model: Baseline) -> list[nn.Module]:
    """The parts that embed ids and know which were seen in train."""
    return [
        part
        for part in model.modules()
        if isinstance(getattr(part, "in_train", None), Tensor)
        and getattr(part, "ids", None) is not None
    ]


@contextmanager
def unknown_ids(model: Baseline, cold: Tensor) -> Iterator[None]:
    """The items of cold [n + 1] have ids as if train had never shown them."""
    before = [(part, cast(Tensor, part.in_train)) for part in id_tables(model)]
    for part, shown in before:
        part.in_train = shown & ~cold.to(shown.device)
    try:
        yield
    finally:
        for part, shown in before:
            part.in_train = shown


def cold_items(store: PreparedDataset, share: float, seed: int = 0) -> Tensor:
    """Which items [n + 1] are taken for new; shares are nested and the same for every model."""
    draw = np.random.default_rng([seed, 4]).random(store.manifest.schema_.items + 1)
    return torch.from_numpy(draw < share)


def cold_users(store: PreparedDataset, share: float, seed: int = 0) -> NDArray[np.bool_]:
    """Of which rows [N] of test the user is taken for new, all the user's requests together; shares
    are nested and the same for every model."""
    split = store.split("test")
    start = np.asarray(split.row_start, np.int64)
    users, place = np.unique(np.asarray(split.group), return_inverse=True)
    draw = np.random.default_rng([seed, 5]).random(len(users))
    return np.repeat((draw < share)[place], start[1:] - start[:-1])
