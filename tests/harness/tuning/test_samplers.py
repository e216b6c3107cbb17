"""Samplers: where each is refused, and that each spreads and repeats as it should."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import Range, Sampler
from fusefront.harness.tuning.samplers import quasi_random, refusal
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.space import Space, distributions

RANGES: Space = {
    "rate": Range(low=1e-4, high=1e-1, log=True),
    "width": Range(low=8, high=11),
    "dropout": Range(low=0.0, high=0.5),
}
LISTS: Space = {**RANGES, "operator": ("sum", "gate")}


@pytest.mark.parametrize(
    ("sampler", "space", "trials", "sentence"),
    [
        ("tpe", LISTS, 500, ""),
        ("random", LISTS, 500, ""),
        ("qmc", RANGES, 20, ""),
        ("qmc", LISTS, 20, "qmc spreads points over ranges, and 'operator' is a list of choices"),
        ("gp", LISTS, 100, ""),
        ("gp", LISTS, 101, "gp takes seconds for each proposal beyond 100 trials, and there are"),
        ("cma-es", RANGES, 20, "cma-es goes by a state of its own"),
        ("nsga-ii", RANGES, 200, "nsga-ii goes by a state of its own"),
    ],
)
def test_a_sampler_that_does_not_fit_is_refused_in_a_sentence(
    sampler: Sampler, space: Space, trials: int, sentence: str, tmp_path: Path
) -> None:
    text = refusal(sampler, distributions(space), trials)
    assert text.startswith(sentence)
    assert bool(text) == bool(sentence)
    if sentence:
        with pytest.raises(UsageError, match=r"^strategy 'early': tuning\.sampler: "):
            Search(tmp_path, "early", space, trials, seed=5, lag=2, sampler=sampler)
        assert list(tmp_path.iterdir()) == []


def proposals(folder: Path, sampler: Sampler, trials: int, space: Space = RANGES) -> list[dict]:  # type: ignore[type-arg]
    drawn = []
    search = Search(folder, "early", space, trials, seed=5, lag=2, sampler=sampler)
    for number in range(trials):
        if number == trials // 2:  # killed, and started again
            search = Search(folder, "early", space, trials, seed=5, lag=2, sampler=sampler)
        _, params = search.next_trial() or (0, {})
        drawn.append(params)
        value = 0.7 - abs(float(str(params.get("dropout", 0.5))) - 0.1)
        search.tell({"number": number, "state": "ok", "value": value, "params": params})
    return drawn


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_proposals_are_distinct_and_the_same_after_a_kill(sampler: Sampler, tmp_path: Path) -> None:
    first = proposals(tmp_path / "a", sampler, 12)
    assert first == proposals(tmp_path / "b", sampler, 12)
    assert len({str(params) for params in first}) == 12
    assert first[0] == {}


def test_a_search_begun_with_another_sampler_is_refused(tmp_path: Path) -> None:
    Search(tmp_path, "early", RANGES, 12, seed=5, lag=2)
    with pytest.raises(UsageError, match="another seed, lag, space or sampler"):
        Search(tmp_path, "early", RANGES, 12, seed=5, lag=2, sampler="random")


def test_quasi_random_points_fill_every_range_more_evenly_than_chance() -> None:
    space = distributions(RANGES)
    points = [quasi_random(space, 3, number) for number in range(64)]
    shares = {
        "rate": [np.log(float(str(p["rate"])) / 1e-4) / np.log(1e3) for p in points],
        "dropout": [float(str(p["dropout"])) / 0.5 for p in points],
    }
    for values in shares.values():
        assert kstest(values, "uniform").statistic < 0.04  # 64 random draws: about .11
    counts = np.bincount([int(str(p["width"])) for p in points])[8:]
    assert counts.tolist() == [16, 16, 16, 16]
    assert quasi_random(space, 4, 0) != points[0]
