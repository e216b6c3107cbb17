"""Batches against a plain loop over the store."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric.utilities import move_data_to_device

from fusefront.baselines.contract import RequestBatch
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.yaml_file import Json
from fusefront.harness.data.batches import Batcher, RequestUnits, cut_batches, most_batches
from fusefront.harness.data.events import kinds_of
from fusefront.harness.data.module import RequestData


def rows_of(batch: RequestBatch) -> list[tuple[int, int, float, tuple[int, ...], tuple[int, ...]]]:
    """row id, item, label, history and candidate context of each real candidate, by plain
    indexing."""
    rows = []
    for r, k in zip(*np.nonzero(batch.candidate_mask.numpy()), strict=True):
        real = batch.history_mask[r].numpy()
        history = batch.items[batch.history[r]].numpy()
        assert (history[~real] == 0).all()
        rows.append(
            (
                int(batch.row_ids[r, k]),
                int(batch.items[batch.candidates[r, k]]),
                float(batch.labels[r, k]),
                tuple(int(i) for i in history[real]),
                tuple(int(i) for i in batch.candidate_context.ids[r, k]),
            )
        )
    return rows


def rows_by_loop(store: PreparedDataset, name: str) -> list[tuple[object, ...]]:
    split, longest = store.split(name), store.manifest.schema_.max_history
    rows: list[tuple[object, ...]] = []
    for r in range(len(split.group)):
        start, length = int(split.history_start[r]), int(split.history_length[r])
        history = [int(i) for i in store.history_values[start : start + length]][-longest:]
        for n in range(int(split.row_start[r]), int(split.row_start[r + 1])):
            context = tuple(int(i) for i in split.candidate_ids[n])
            row = (int(split.row_id[n]), int(split.item[n]), float(split.label[n]))
            rows.append((*row, tuple(history), context))
    return rows


@pytest.mark.parametrize("max_candidates", [3, 8, 64])
def test_batches_hold_every_row_once_with_its_history(
    world: PreparedDataset, max_candidates: int
) -> None:
    batcher = Batcher(world, "train", max_candidates)
    order = np.random.default_rng(0).permutation(len(batcher.units))
    rows = [row for batch in batcher.batches(100, order) for row in rows_of(batch)]
    assert sorted(rows) == sorted(rows_by_loop(world, "train"))


def test_batches_keep_the_order_of_the_store(world: PreparedDataset) -> None:
    batches = Batcher(world, "valid", 512).batches(64)
    rows = [row for batch in batches for row in rows_of(batch)]
    assert rows == rows_by_loop(world, "valid")


def test_items_are_distinct_and_begin_with_padding(world: PreparedDataset) -> None:
    for batch in Batcher(world, "train", 8).batches(200):
        assert int(batch.items[0]) == 0
        assert len(set(batch.items.tolist())) == len(batch.items)
        assert torch.equal(batch.rows, batch.candidate_mask.flatten().nonzero().squeeze(1))


def test_two_epochs_differ_and_a_seed_repeats_them(world: PreparedDataset) -> None:
    def epochs() -> list[list[int]]:
        loader = RequestData(world, batch_rows=256, max_candidates=8, seed=3).train_dataloader()
        return [[int(i) for b in loader for i in b.row_ids.flatten()] for _ in range(2)]

    first, second = epochs(), epochs()
    assert first == second
    assert first[0] != first[1]
    assert sorted(first[0]) == sorted(first[1])


def test_the_data_module_is_lightnings(world: PreparedDataset) -> None:
    data = RequestData(world, batch_rows=256, max_candidates=8, seed=3)
    assert data.trainer is None  # a trainer sets it
    assert data.hparams == {}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 5))
def test_units_cover_the_rows_in_pieces(rows: list[int], longest: int) -> None:
    start = np.concatenate([[0], np.cumsum(rows)])
    units = RequestUnits(start, longest)
    covered = [
        (int(r), n)
        for r, s, length in zip(*units.at(np.arange(len(units))), strict=True)
        for n in range(s, s + length)
    ]
    assert (units.length > 0).all()
    assert covered == [(r, n) for r in range(len(rows)) for n in range(start[r], start[r + 1])]
    assert (units.length <= longest).all()


@given(st.lists(st.integers(1, 8), min_size=1, max_size=200), st.integers(8, 64), st.integers(0, 9))
def test_no_order_makes_more_batches_than_the_schedule_has_steps(
    lengths: list[int], batch_rows: int, seed: int
) -> None:
    length = np.random.default_rng(seed).permutation(np.array(lengths))
    total = int(length.sum())
    most, ends = most_batches(total, batch_rows), cut_batches(length, batch_rows)
    assert len(ends) <= most
    assert ends[-1] == len(length)
    assert (np.diff(ends, prepend=0) > 0).all()
    if length.max() * most <= total:  # no piece is longer than a batch
        assert len(ends) == most


def test_kinds_stand_beside_the_entries_of_a_history(
    world: PreparedDataset, tmp_path: Path
) -> None:
    """The kind follows from the item here; without kinds a batch has none, on any device."""
    rng, rows = np.random.default_rng(6), 600
    log = {
        "u": rng.integers(0, 20, rows),
        "i": rng.integers(0, 50, rows),
        "y": rng.integers(0, 2, rows),
    }
    kind = [f"kind{item % 3}" if item % 7 else None for item in log["i"]]
    pl.DataFrame(log | {"t": np.arange(rows), "k": kind}).write_parquet(tmp_path / "log.parquet")
    raw: dict[str, Json] = {
        "name": "typed",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": 9, "events": "all", "kind": "k"},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }
    store = prepare(parse_spec(raw, "test"), tmp_path, tmp_path / "out")
    assert kinds_of(store) == 3
    key_of, count = dict(store.item_keys().iter_rows()), 0
    for batch in Batcher(store, "train", 8).batches(50):
        moved = move_data_to_device(batch, torch.device("cpu"))
        assert moved.events is not None
        events = moved.events
        assert (events.item[0], events.kind[0]) == (0, 0)
        assert len({*zip(events.item.tolist(), events.kind.tolist(), strict=True)}) == len(
            events.item
        )
        assert torch.equal(events.item[events.place], batch.history)
        items = batch.items[batch.history]
        for item, code, real in zip(
            items.flatten(),
            events.kind[events.place].flatten(),
            batch.history_mask.flatten(),
            strict=True,
        ):
            right = key_of[int(item)] % 3 + 1 if real and key_of[int(item)] % 7 else 0
            assert int(code) == right
            count += int(real)
    assert count > rows
    plain = next(Batcher(world, "train", 8).batches(50))
    assert move_data_to_device(plain, torch.device("cpu")).events is None


def test_histories_of_ten_thousand_come_whole_into_a_batch(tmp_path: Path) -> None:
    """300 rows through prepare, open and batch, against the source."""
    rng, longest = np.random.default_rng(5), 10_000
    lists = [rng.integers(0, 300, longest if k % 4 == 0 else k).tolist() for k in range(300)]
    log = {"u": rng.integers(0, 30, 300), "i": rng.integers(0, 300, 300), "y": np.arange(300) % 2}
    pl.DataFrame(log | {"h": lists}).write_parquet(tmp_path / "log.parquet")
    raw: dict[str, Json] = {
        "name": "long",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y"},
        "history": {"from": "list", "column": "h", "max_length": longest},
        "items": {"keys": "log"},
        "split": {"by": "user", "valid": 0.2, "test": 0.2},
    }
    prepared = prepare(parse_spec(raw, "test"), tmp_path, tmp_path / "out")
    store, row_ids = PreparedDataset.open(prepared.path), set()
    key_of = dict(store.item_keys().iter_rows())
    for name in ("train", "valid", "test"):
        batcher = Batcher(store, name, 8)
        for batch in batcher.batches(64):
            for row, item, label, history, _ in rows_of(batch):
                assert [key_of[k] for k in history] == lists[row]
                assert (key_of[item], label) == (log["i"][row], log["y"][row])
                row_ids.add(row)
    assert row_ids == set(range(300))
