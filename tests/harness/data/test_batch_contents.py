"""Every field of a batch against a plain loop over the store; how rows become batches."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fusefront.baselines.contract import RequestBatch
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher, cut_batches, most_batches
from fusefront.harness.data.module import RequestData


def by_loop(store: PreparedDataset, name: str, requests: list[int]) -> dict[str, object]:
    """What one batch of these whole requests must hold, one value at a time."""
    split, longest = store.split(name), store.manifest.schema_.max_history
    rows = [range(int(split.row_start[r]), int(split.row_start[r + 1])) for r in requests]
    start, length = split.history_start, split.history_length
    histories = [
        [int(i) for i in store.history_values[int(start[r]) : int(start[r]) + int(length[r])]]
        for r in requests
    ]
    histories = [history[-longest:] for history in histories]
    wide, deep = max(map(len, rows)), max(map(len, histories))
    ids, numbers = split.candidate_ids.shape[1], split.candidate_numbers.shape[1]

    def filled(values: object, *absent: object) -> list[list[object]]:
        return [[values[n] for n in part] + list(absent) * (wide - len(part)) for part in rows]  # type: ignore[index]

    return {
        "history": [[0] * (deep - len(history)) + history for history in histories],
        "history_mask": [[False] * (deep - len(h)) + [True] * len(h) for h in histories],
        "candidates": filled(split.item, 0),
        "candidate_mask": [[True] * len(p) + [False] * (wide - len(p)) for p in rows],
        "rows": [r * wide + k for r, part in enumerate(rows) for k in range(len(part))],
        "request_ids": split.request_ids[requests].tolist(),
        "request_numbers": split.request_numbers[requests].tolist(),
        "candidate_ids": filled(split.candidate_ids.tolist(), [0] * ids),
        "candidate_numbers": filled(split.candidate_numbers.tolist(), [0.0] * numbers),
        "labels": filled(split.label, 0.0),
        "row_ids": filled(split.row_id, -1),
        "groups": [int(split.group[r]) for r in requests],
    }


def as_lists(batch: RequestBatch) -> dict[str, object]:
    tensors = {
        "history": batch.items[batch.history],
        "history_mask": batch.history_mask,
        "candidates": batch.items[batch.candidates],
        "candidate_mask": batch.candidate_mask,
        "rows": batch.rows,
        "request_ids": batch.request_context.ids,
        "request_numbers": batch.request_context.numbers,
        "candidate_ids": batch.candidate_context.ids,
        "candidate_numbers": batch.candidate_context.numbers,
        "labels": batch.labels,
        "row_ids": batch.row_ids,
        "groups": batch.groups,
    }
    return {name: tensor.tolist() for name, tensor in tensors.items()}


@pytest.mark.parametrize("requests", [[5, 2, 31, 8], [2], [39, 38, 37, 1, 0, 20]])
def test_a_batch_holds_what_the_store_says_of_its_requests(
    ragged: PreparedDataset, requests: list[int]
) -> None:
    batch = Batcher(ragged, "train", 512).batch(np.array(requests))
    assert as_lists(batch) == by_loop(ragged, "train", requests)
    assert batch.events is None
    distinct = {int(i) for part in (batch.history, batch.candidates) for i in part.flatten()}
    assert distinct <= set(range(len(batch.items)))
    entries = {0, *batch.items[batch.history].flatten().tolist()}
    assert batch.items.tolist() == sorted(
        entries | set(batch.items[batch.candidates].flatten().tolist())
    )


def test_a_batch_has_the_types_of_the_contract(ragged: PreparedDataset) -> None:
    batch = Batcher(ragged, "test", 4).batch(np.array([3, 1]))
    floats = (batch.labels, batch.request_context.numbers, batch.candidate_context.numbers)
    assert {tensor.dtype for tensor in floats} == {torch.float32}
    assert batch.history_mask.dtype == batch.candidate_mask.dtype == torch.bool
    whole = (batch.items, batch.history, batch.candidates, batch.rows, batch.row_ids, batch.groups)
    contexts = (batch.request_context.ids, batch.candidate_context.ids)
    assert {tensor.dtype for tensor in (*whole, *contexts)} == {torch.int64}


def test_one_batch_leaves_nothing_in_the_next(ragged: PreparedDataset) -> None:
    batcher = Batcher(ragged, "train", 512)
    first = batcher.batch(np.array([7, 21]))
    batcher.batch(np.array([0, 13]))
    again = batcher.batch(np.array([7, 21]))
    for tensor, other in zip(first, again, strict=True):
        torch.testing.assert_close(tensor, other, rtol=0, atol=0)


def test_an_empty_order_makes_no_batch(ragged: PreparedDataset) -> None:
    assert list(Batcher(ragged, "train", 8).batches(16, np.zeros(0, np.int64))) == []


@pytest.mark.parametrize(
    ("rows", "batch_rows", "batches"),
    [(1, 8, 1), (3, 8, 1), (11, 8, 1), (13, 8, 2), (100, 8, 12), (495, 8, 62), (8, 8, 1)],
)
def test_the_number_of_batches_is_the_nearest_whole_one(
    rows: int, batch_rows: int, batches: int
) -> None:
    assert most_batches(rows, batch_rows) == batches


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(2, 64))
def test_a_request_is_in_the_batch_that_its_last_row_falls_in(
    lengths: list[int], batch_rows: int
) -> None:
    rows, last, batches = sum(lengths), -1, []
    share = Fraction(rows, most_batches(rows, batch_rows))  # rows of an even batch
    for length in lengths:
        last += length
        batches.append(int(last / share))
    ends = [n + 1 for n in range(len(lengths) - 1) if batches[n] != batches[n + 1]]
    assert cut_batches(np.array(lengths), batch_rows).tolist() == [*ends, len(lengths)]


@pytest.mark.parametrize(
    ("batch_rows", "max_candidates", "longest"), [(8, 64, 8), (64, 5, 5), (1024, 1024, 23)]
)
def test_a_piece_of_a_request_fits_a_batch_and_the_longest_allowed(
    ragged: PreparedDataset, batch_rows: int, max_candidates: int, longest: int
) -> None:
    data = RequestData(ragged, batch_rows=batch_rows, max_candidates=max_candidates, seed=0)
    assert data.train.units.length.max() == longest
    assert data.valid.units.length.max() == min(longest, 22)
    assert (data.train.rows, data.valid.rows) == (495, 151)
    assert data.steps == len(list(data.train_dataloader())) == max(1, round(495 / batch_rows))


def test_training_follows_the_order_of_seed_and_epoch_and_validation_the_store(
    ragged: PreparedDataset,
) -> None:
    data = RequestData(ragged, batch_rows=50, max_candidates=512, seed=6)
    loader, split = data.train_dataloader(), ragged.split("train")
    for epoch in range(3):
        rows = [int(n) for b in loader for n in b.row_ids[b.candidate_mask]]
        order = np.random.default_rng([6, epoch]).permutation(len(split.group))
        parts = [split.row_id[split.row_start[r] : split.row_start[r + 1]] for r in order]
        assert rows == np.concatenate(parts).tolist()
    valid = [int(n) for b in data.val_dataloader() for n in b.row_ids[b.candidate_mask]]
    assert valid == ragged.split("valid").row_id.tolist()
