"""How many trainings to run at a time: the choice, what is measured, and what memory holds."""

import os
from typing import Any

import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.training import capacity
from fusefront.harness.training.capacity import Capacity, bytes_of_training, choose, cores


@pytest.mark.parametrize(
    ("most", "speeds", "workers", "speedup"),
    [
        (1, {1: 7}, 1, 1.0),
        (2, {1: 10, 2: 19}, 2, 1.9),
        (2, {1: 10, 2: 10.5}, 1, 1.0),  # 10 is 95.2 % of 10.5
        (2, {1: 9.9, 2: 10.5}, 2, 10.5 / 9.9),  # 94.3 %
        (8, {1: 10, 2: 20, 4: 38, 8: 39}, 4, 3.8),  # cores that share their arithmetic
        (6, {1: 10, 2: 20, 4: 38, 6: 55}, 6, 5.5),  # no power of two
        (8, {1: 10, 2: 20, 4: 30, 8: 12}, 4, 3.0),  # more would be in each other's way
    ],
)
def test_the_fewest_that_do_almost_as_much_as_any(
    most: int, speeds: dict[int, float], workers: int, speedup: float
) -> None:
    measured = []

    def speed(count: int) -> float:
        measured.append(count)
        return speeds[count]

    assert choose(most, 20, speed) == Capacity(workers, pytest.approx(speedup), 20)
    assert measured == list(speeds)


def test_memory_limits_what_is_measured(
    world: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = bytes_of_training(world)
    schema = world.manifest.schema_
    numbers = sum(world.vectors(name).shape[1] for name in schema.modalities)
    assert share == 700 * 2**20 + 12 * (schema.items + 1) * numbers
    monkeypatch.setattr(capacity, "cores", lambda: 16)
    monkeypatch.setattr(capacity, "together", lambda count: 3.0 * count)

    def with_free(free: float) -> Capacity:
        monkeypatch.setattr(capacity, "free_memory", lambda: free)
        return capacity.measured_capacity(world)

    assert with_free(3 * share) == Capacity(3, 3.0, 3)
    assert with_free(3 * share - 1) == Capacity(2, 2.0, 2)
    assert with_free(0.5 * share) == Capacity(1, 1.0, 1)
    assert with_free(100 * share) == Capacity(16, 16.0, 100)
    monkeypatch.setattr(capacity, "cores", lambda: 192)
    assert with_free(100 * share) == Capacity(64, 64.0, 100)  # the most that --jobs allows


def test_the_choice_in_a_sentence() -> None:
    assert Capacity(4, 3.81, 9).sentence() == (
        "4 trainings at a time: together 3.8 times as fast as one, memory for 9 "
        "(measured; --jobs N sets it)"
    )
    alone = Capacity(1, 1.0, 9).sentence()
    assert alone.startswith("1 training at a time: more would not be faster (measured")
    assert Capacity(1, 1.0, 1).sentence().startswith("1 training at a time: memory holds no more")


def test_processes_do_their_work_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each counts its own turns; in a tenth of a second one does at least one."""
    monkeypatch.setattr(capacity, "SECONDS", 0.1)
    assert capacity.together(2) >= 2
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_a_process_that_fails_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "WORK", "import sys; print(); sys.stdin.readline(); print('x')")
    started: list[Any] = []
    plain = capacity.subprocess.Popen

    def noted(*words: Any, **options: Any) -> Any:
        started.append(plain(*words, **options))
        return started[-1]

    monkeypatch.setattr(capacity.subprocess, "Popen", noted)
    with pytest.raises(ValueError, match="invalid literal"):
        capacity.together(2)
    assert [process.poll() is not None for process in started] == [True, True]
