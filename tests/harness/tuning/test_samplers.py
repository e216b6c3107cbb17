"""Samplers: where each is refused, and that each spreads and repeats as it should."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest, qmc

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import Range, Sampler
from fusefront.harness.tuning import samplers
from fusefront.harness.tuning.samplers import population, quasi_random, refusal, startup
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
        ("cma-es", RANGES, 20, "cma-es moves a cloud through ranges of numbers, and 'width' is wh"),
        ("cma-es", LISTS, 20, "cma-es moves a cloud through ranges of numbers, and 'width' is wh"),
        ("cma-es", {"rate": RANGES["rate"]}, 20, "cma-es needs two ranges or more, and there is"),
        (
            "nsga-ii",
            RANGES,
            200,
            "nsga-ii searches for a Pareto front; write objectives: [auc, macs]",
        ),
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


def test_a_third_of_a_search_is_drawn_at_random_and_a_fifth_is_a_generation() -> None:
    assert [startup(trials) for trials in (1, 6, 9, 29, 30, 33, 400)] == [2, 2, 3, 9, 10, 10, 10]
    assert [population(trials) for trials in (1, 24, 25, 99, 250, 255)] == [4, 4, 5, 19, 50, 50]


CONTINUOUS: Space = {key: RANGES[key] for key in ("rate", "dropout")}
FRONT = ("auc", "macs")


@pytest.mark.parametrize("installed", [True, False])
def test_cma_es_fits_ranges_where_its_package_is(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers, "find_spec", lambda _: object() if installed else None)
    text = refusal("cma-es", distributions(CONTINUOUS), 20)
    assert text == "" if installed else "the package cmaes, which is not installed" in text
    assert "one objective" in refusal("cma-es", distributions(CONTINUOUS), 20, objectives=2)


def ended_front(folder: Path, sampler: Sampler, trials: int, budget: float | None) -> Search:
    """A search of a toy in which width costs and helps, killed after every trial."""
    for number in range(trials):
        search = Search(
            folder,
            "early",
            RANGES,
            trials,
            seed=5,
            lag=2,
            sampler=sampler,
            objectives=FRONT,
            budget_macs=budget,
            macs=lambda params: 100 * int(str(params.get("width", 8))),
        )
        following, params = search.next_trial() or (-1, {})
        assert following == number
        dropout = float(str(params.get("dropout", 0.5)))
        width = int(str(params.get("width", 8)))
        value = 0.7 - abs(dropout - 0.1) + width / 100
        search.tell(
            {
                "number": number,
                "state": "ok",
                "value": value,
                "macs": 100.0 * width,
                "params": params,
            }
        )
    return search


@pytest.mark.parametrize("sampler", ["nsga-ii", "tpe", "random"])
def test_a_front_is_what_no_trial_beats(sampler: Sampler, tmp_path: Path) -> None:
    search = ended_front(tmp_path, sampler, 20, None)
    points = [(r["number"], r["value"] or 0.0, r["macs"]) for r in search.records()]
    best = set()
    for number, value, macs in points:
        beaten = [
            n
            for n, v, m in points
            if (v >= value and m < macs)
            or (v > value and m <= macs)
            or (v == value and m == macs and n < number)
        ]
        if not beaten:
            best.add(number)
    assert {point["number"] for point in search.front()} == best
    costs = [point["macs"] for point in search.front()]
    assert costs == sorted(costs)
    winner = search.freeze()
    assert winner["front"] == search.front()
    assert winner["number"] == search.ranked()[0]["number"]  # the best AUC of the front


def test_nsga_ii_goes_by_generations_though_it_is_made_anew_each_time(tmp_path: Path) -> None:
    """A generation of four of twenty: those that come later have parents, and are no luck."""
    search = ended_front(tmp_path, "nsga-ii", 20, None)
    claims = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("claim-*.json"))]
    generations = [
        claim.get("system_attrs", {}).get("NSGAIISampler:generation") for claim in claims
    ]
    assert generations[0] is None
    assert generations[1] == 0
    assert generations[1:] == sorted(generations[1:])
    assert generations[-1] >= 2
    late = [record["value"] for record in search.records()[12:]]
    drawn = [r["value"] for r in ended_front(tmp_path / "r", "random", 20, None).records()[12:]]
    assert sum(late) > sum(drawn)  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", ["nsga-ii", "tpe", "qmc"])
def test_no_proposal_is_above_the_budget(sampler: Sampler, tmp_path: Path) -> None:
    """Counting is free: what is too dear is drawn again, and no trial is lost to it."""
    objectives = ("auc",) if sampler == "qmc" else FRONT
    search = Search(
        tmp_path,
        "early",
        RANGES,
        12,
        seed=5,
        lag=2,
        sampler=sampler,
        objectives=objectives,
        budget_macs=850.0,
        macs=lambda params: 100 * int(str(params.get("width", 9))),
    )
    widths = []
    while (trial := search.next_trial()) is not None:
        number, params = trial
        widths.append(params.get("width", 9))
        search.tell({"number": number, "state": "ok", "value": 0.5, "macs": 1.0, "params": params})
    assert widths == [9] + 11 * [8]  # of 8, 9, 10, 11; the defaults are as they are
    assert search.excess({}) == 50.0
    claims = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("claim-*.json"))]
    generation = {"nsga-ii"} & {sampler}
    for claim in claims[1:]:  # it is in its generation whoever drew it at last
        assert ("system_attrs" in claim) == bool(generation)
        assert ("NSGAIISampler:generation" in claim.get("system_attrs", {})) == bool(generation)


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


def test_trials_of_qmc_are_consecutive_points_of_one_sequence(tmp_path: Path) -> None:
    seed = int.from_bytes(hashlib.sha256(b"5:early:qmc").digest()[:4], "big")
    shares = qmc.Sobol(3, scramble=True, seed=seed).random(8)[:7]  # columns by name
    drawn = proposals(tmp_path, "qmc", 8)
    assert drawn[0] == {}
    for point, (dropout, rate, width) in zip(drawn[1:], shares, strict=True):
        assert point == {
            "dropout": pytest.approx(0.5 * dropout),
            "rate": pytest.approx(1e-4 * 1000**rate),
            "width": min(int(7.5 + 4 * width + 0.5), 11),
        }


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


def test_whole_numbers_on_a_scale_of_ratios_stay_within_their_ends() -> None:
    space = distributions({"width": Range(low=1, high=64, log=True)})
    widths = np.array([int(str(quasi_random(space, 3, n)["width"])) for n in range(128)])
    assert widths.min() == 1
    assert 60 <= widths.max() <= 64
    assert np.mean(widths <= 8) == pytest.approx(np.log(8.5 / 0.5) / np.log(64.5 / 0.5), abs=0.02)
