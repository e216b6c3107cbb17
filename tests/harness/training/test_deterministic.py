"""Reruns to the bit: `training.deterministic`, for every shipped model."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fusefront.baselines.contract import RequestBatch
from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.build import build_model
from fusefront.harness.training.fit import deterministic
from fusefront.harness.training.optimiser import make_optimizer
from fusefront.harness.training.run import RunRecord
from tests.harness.training.conftest import Turning

SMALL = {"momo": {"embedding": 8, "hidden": (32, 16), "head": (16,), "feed": 16}}  # else too slow


@pytest.fixture
def threads() -> Any:
    """Two threads, on which sums may be taken in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def trained_bits(
    store: PreparedDataset, spec: Any, parts: Any, batches: list[RequestBatch]
) -> dict[str, torch.Tensor]:
    """All weights after a step for each batch."""
    torch.manual_seed(3)
    model = build_model(spec, store, parts).train()
    optimizer = make_optimizer(model, Training(), 10)
    with deterministic(True):
        for batch in batches:
            losses = model.losses(batch)
            optimizer.zero_grad()
            (losses.click + losses.auxiliary).backward()
            optimizer.step()
    return dict(model.state_dict())


def batches_of(store: PreparedDataset) -> list[RequestBatch]:
    """Two small batches of train."""
    return list(Batcher(store, "train", 64).batches(64))[:2]


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    """Both have the same weights to the bit."""
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "baseline", [name for name, kind in BASELINES.items() if not kind.solved and name != "composed"]
)
def test_a_rerun_is_equal_to_the_bit_on_a_cpu(
    ragged: PreparedDataset, parts: Any, make_cell: Callable[..., Any], baseline: str
) -> None:
    spec, batches = make_cell(baseline, SMALL.get(baseline)).spec, batches_of(ragged)
    assert_equal(*(trained_bits(ragged, spec, parts, batches) for _ in range(2)))


@pytest.mark.usefixtures("threads")
def test_a_rerun_on_two_threads_is_equal_to_the_bit_and_another_seed_is_not(
    ragged: PreparedDataset, parts: Any, make_cell: Callable[..., Any]
) -> None:
    spec, batches = make_cell("din").spec, batches_of(ragged)
    first = trained_bits(ragged, spec, parts, batches)
    assert_equal(first, trained_bits(ragged, spec, parts, batches))
    other = trained_bits(ragged, replace(spec, seed=1), parts, batches)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("enabled", [False, True])
def test_every_step_of_a_run_and_nothing_after_it_is_deterministic_where_it_is_set(
    train: Callable[..., RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    plain, states = Turning.losses, []

    def losses(model: Turning, batch: RequestBatch, keep: Any = None) -> Any:
        states.append(torch.are_deterministic_algorithms_enabled())
        return plain(model, batch, keep)

    monkeypatch.setattr(Turning, "losses", losses)
    train(tmp_path, deterministic=enabled)
    assert set(states) == {enabled}
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("gpu", [False, True])
def test_what_was_set_before_is_set_again(monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    """An operator without such an algorithm is an error on a CPU and a warning on a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    extra = torch.utils.deterministic
    before = extra.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with suppress(KeyError), deterministic(True):
            assert torch.is_deterministic_algorithms_warn_only_enabled() is gpu
            assert extra.fill_uninitialized_memory is False
            raise KeyError
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert extra.fill_uninitialized_memory is before
