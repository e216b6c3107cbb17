"""Batches made where the log lies, against those of the host, number by number."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data import module, resident
from fusefront.harness.data.batches import Batcher, moved
from fusefront.harness.data.module import RequestData
from fusefront.harness.data.resident import (
    ResidentBatcher,
    _ranked,
    device_bytes,
    history_log,
    make_batcher,
)

from ..waits import Waits

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def told_apart(ragged: PreparedDataset) -> PreparedDataset:
    """The ragged log, its histories of two kinds of events."""
    history: Any = type("History", (), {"kinds": ("click", "order")})()
    store = replace(ragged, manifest=ragged.manifest.model_copy(update={"history": history}))
    kinds = np.random.default_rng(3).integers(1, 3, len(ragged.history_values)).astype(np.uint8)
    store.__dict__["history_kinds"] = kinds
    return store


def same(resident: Any, host: Any) -> None:
    """Equal trees of tensors, types included."""
    if isinstance(host, torch.Tensor):
        assert resident.dtype == host.dtype
        assert resident.shape == host.shape
        assert torch.equal(resident, host)
    elif isinstance(host, tuple):
        for part, other in zip(resident, host, strict=True):
            same(part, other)
    else:
        assert resident == host


@pytest.mark.parametrize("kinds", [False, True])
@pytest.mark.parametrize(
    ("split", "longest", "rows"), [("train", 64, 60), ("valid", 5, 30), ("test", 1, 50)]
)
def test_batches_are_those_of_the_host(
    ragged: PreparedDataset,
    told_apart: PreparedDataset,
    split: str,
    longest: int,
    rows: int,
    kinds: bool,
) -> None:
    store = told_apart if kinds else ragged
    host = Batcher(store, split, longest)
    resident = ResidentBatcher(store, split, longest, CPU, history_log(store, CPU))
    order = np.random.default_rng(5).permutation(len(host.units))
    for drawn in (None, order, order[:3]):
        pairs = list(zip(resident.batches(rows, drawn), host.batches(rows, drawn), strict=True))
        assert len(pairs) >= (1 if drawn is not None and len(drawn) == 3 else 4)
        for ours, expected in pairs:
            assert (expected.events is not None) == kinds
            same(ours, expected)
    same(resident.batch(order[4:9]), host.batch(order[4:9]))
    assert list(resident.batches(rows, order[:0])) == []


def test_requests_without_a_history_make_batches_too(ragged: PreparedDataset) -> None:
    host = Batcher(ragged, "train", 64)
    length = np.asarray(ragged.split("train").history_length)
    none = np.flatnonzero(length[host.units.at(np.arange(len(host.units)))[0]] == 0)
    assert len(none)
    same(ResidentBatcher(ragged, "train", 64, CPU).batch(none), host.batch(none))


@pytest.mark.parametrize("lengths", [(2, 0, 1), (1, 0, 1), (1, 1, 1), (0, 3, 0)])
def test_batches_of_few_entries_are_those_of_the_host(
    ragged: PreparedDataset, lengths: tuple[int, ...]
) -> None:
    """As many entries as requests, or none longer than one, is not yet one entry a request."""
    host = Batcher(ragged, "train", 1)
    length = np.asarray(ragged.split("train").history_length)[
        host.units.at(np.arange(len(host.units)))[0]
    ]
    chosen = np.array([np.flatnonzero(length == n)[place] for place, n in enumerate(lengths)])
    batch = host.batch(chosen)
    assert batch.history_mask.sum(1).tolist() == list(lengths)
    same(ResidentBatcher(ragged, "train", 1, CPU).batch(chosen), batch)


def test_a_batch_moves_with_all_its_parts(told_apart: PreparedDataset) -> None:
    batch = next(Batcher(told_apart, "train", 8).batches(40))
    there = moved(batch, torch.device("meta"))

    def placed(part: Any, of: Any) -> int:
        assert type(part) is type(of)
        if isinstance(part, torch.Tensor):
            assert (part.device.type, part.shape, part.dtype) == ("meta", of.shape, of.dtype)
            return 1
        if isinstance(part, tuple):
            return sum(map(placed, part, of))
        assert part == of
        return 0

    assert placed(there, batch) == 17  # ids, masks, contexts, labels, events and entries
    same(moved(batch, CPU), batch)


def test_the_host_counts_entries_and_pairs(ragged: PreparedDataset) -> None:
    for batch in Batcher(ragged, "train", 7).batches(40):
        assert batch.entries is not None
        assert batch.entries.tolist() == batch.history_mask.flatten().nonzero()[:, 0].tolist()
        real = batch.candidate_mask.sum(1) * batch.history_mask.sum(1)
        assert batch.pairs == int(real.sum())


def test_kinds_of_events_take_their_room_too(
    ragged: PreparedDataset, told_apart: PreparedDataset
) -> None:
    more = device_bytes(told_apart, "train") - device_bytes(ragged, "train")
    kinds = history_log(told_apart, CPU).kinds
    assert kinds is not None
    assert more == kinds.nbytes > 100


def test_the_log_goes_to_a_gpu_where_it_fits(
    ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, built = torch.device("cuda"), []

    class Placed(Batcher):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments[:3])
            built.append(arguments[3:])

    need = device_bytes(ragged, "train")
    placed = ResidentBatcher(ragged, "train", 1, CPU)  # a unit a row
    tensors = [*vars(placed).values(), *placed.request_columns, *placed.candidate_columns]
    tensors = [part for part in [*tensors, placed.log.items] if isinstance(part, torch.Tensor)]
    order = 8 * len(placed.units)
    assert need == sum(part.nbytes for part in tensors) + order
    monkeypatch.setattr(resident, "ResidentBatcher", Placed)
    for free, fits in ((2 * need, True), (2 * need - 2, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, 1 << 40))
        assert isinstance(make_batcher(ragged, "train", 8, gpu), Placed) == fits
    assert built == [(gpu, None)]
    assert not isinstance(make_batcher(ragged, "train", 8, CPU), Placed)


def test_an_epoch_on_the_device_is_that_of_the_host(
    ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everywhere(*arguments: Any) -> Batcher:
        return ResidentBatcher(*arguments)

    def data() -> RequestData:
        return RequestData(ragged, batch_rows=50, max_candidates=9, seed=6)

    host = data()
    monkeypatch.setattr(module, "make_batcher", everywhere)
    placed = data()
    assert isinstance(placed.train, ResidentBatcher)
    assert isinstance(placed.valid, ResidentBatcher)
    assert placed.train.log is placed.valid.log
    loaders = (placed.train_dataloader(), host.train_dataloader())
    for _ in range(2):
        for ours, expected in zip(*loaders, strict=True):
            same(ours, expected)
    for ours, expected in zip(placed.val_dataloader(), host.val_dataloader(), strict=True):
        same(ours, expected)
    for ours, expected in zip(
        placed.passes(placed.valid, 30), host.passes(host.valid, 30), strict=True
    ):
        same(ours, expected)


def test_no_batch_waits_for_the_device(
    ragged: PreparedDataset, told_apart: PreparedDataset
) -> None:
    for store in (ragged, told_apart):
        placed = ResidentBatcher(store, "train", 9, CPU)
        batches = placed.batches(50, np.random.default_rng(0).permutation(len(placed.units)))
        next(batches)  # counts the whole epoch
        with Waits() as waits:
            assert len(list(batches)) > 5
        assert waits.names == []
    with Waits() as waits:
        host = next(Batcher(ragged, "train", 9).batches(50))
        host.labels[host.candidate_mask].sum().item()
    assert waits.names == ["aten.index.Tensor", "aten._local_scalar_dense.default"]


def test_what_is_kept_of_a_batch_is_as_large_as_its_distinct_keys() -> None:
    """Nothing of the size of the log, and one spare place."""
    distinct, rank = _ranked(torch.tensor([5, 2, 5, 7]), 9, 4)
    assert distinct.tolist() == [0, 2, 5, 7]
    assert rank[torch.tensor([0, 2, 5, 7])].tolist() == [0, 1, 2, 3]
    assert (len(rank), distinct.untyped_storage().nbytes()) == (9, 5 * 8)


def test_keys_of_events_are_counted_to_the_last_kind(
    told_apart: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def ranked(keys: torch.Tensor, size: int, count: int) -> object:
        sizes.append(size)
        return _ranked(keys, size, count)

    monkeypatch.setattr(resident, "_ranked", ranked)
    ResidentBatcher(told_apart, "train", 5, CPU).batch(np.arange(9))
    items = told_apart.manifest.schema_.items + 1
    assert sizes == [items, items * (2 + 1)]  # two kinds, and none
