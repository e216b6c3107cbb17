"""Which trials lie near a search's front, and what a timing above the limit takes out."""

import json
from pathlib import Path

import numpy as np
import pytest

from fusefront.harness.runs.records import TimedTrial, Trial
from fusefront.harness.runs.study import Range, Tuning
from fusefront.harness.tuning.finalists import candidates
from fusefront.harness.tuning.latency_model import LatencyModel, RequestCost
from fusefront.harness.tuning.search import NoWinnerError, Search
from fusefront.harness.tuning.timings import Timings, nearest

AUC = (0.70, 0.74, 0.72, 0.74, 0.69)  # by trial; 3 is the configuration of 1
MACS = (10.0, 40.0, 20.0, 40.0, 30.0)


def search(folder: Path, slo_ms: float | None = None, timed: int = 2, finalists: int = 0) -> Search:
    """A front that is over: trial 0 is cheapest, 1 (and 3) best, 2 between, 4 is beaten."""
    over = Search(
        folder,
        "early",
        {"lr": Range(low=0.1, high=1.0)},
        len(AUC),
        seed=0,
        lag=2,
        objectives=("auc", "macs"),
        slo_ms=slo_ms,
        timed=timed,
        finalists=finalists,
    )
    for number, (auc, macs) in enumerate(zip(AUC, MACS, strict=True)):
        run_id = f"run{1 if number == 3 else number}"
        ended: Trial = {
            "number": number,
            "run_id": run_id,
            "params": {"lr": number},
            "state": "ok",
            "value": auc,
            "macs": macs,
            "seconds": 1.0,
        }
        if over.record(number) is None:
            over.tell(ended)
    return over


def timing(number: int, low: float | None, run_id: str = "") -> TimedTrial:
    p99 = None if low is None else low + 0.1
    high = None if low is None else low + 0.3
    run_id = run_id or f"run{1 if number == 3 else number}"
    return {
        "number": number,
        "run_id": run_id,
        "p50_ms": 0.1,
        "p99_ms": p99,
        "low": low,
        "high": high,
        "session": "timed-0",
    }


def test_the_nearest_lose_least_to_the_best_that_costs_no_more() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        auc, cost = rng.integers(1, 6, 9) / 10, rng.integers(1, 6, 9)
        trials: list[Trial] = [
            {"number": n, "run_id": f"r{n}", "state": "ok", "value": float(auc[n])}
            for n in np.lexsort((np.arange(9), -auc))
        ]
        gaps = {}
        for place, trial in enumerate(trials):
            better = [
                auc[o["number"]] for o in trials if cost[o["number"]] <= cost[trial["number"]]
            ]
            gaps[trial["number"]] = (max(better) - auc[trial["number"]], place)
        expected = sorted(gaps, key=lambda n: gaps[n])
        for count in (1, 4, 20):
            near = nearest(trials, lambda trial, cost=cost: float(cost[trial["number"]]), count)
            assert [trial["number"] for trial in near] == expected[:count]


def test_trials_of_one_configuration_are_timed_once(tmp_path: Path) -> None:
    numbers = [trial["number"] for trial in search(tmp_path, timed=9).near_front()]
    assert numbers == [1, 2, 0, 4]  # the front from the best down, then what is beaten
    assert [trial["number"] for trial in search(tmp_path, timed=2).near_front()] == [1, 2]


def test_near_is_by_macs_where_a_limit_cannot_be_predicted(tmp_path: Path) -> None:
    """By the predicted p99 where what a request costs is counted: here the reverse of MACs."""
    over = search(tmp_path, timed=9)
    over.latency = LatencyModel((0.0, 0.0, 1.0), (0.0, 0.0, 1.0), 0.0, 0.0, 6)
    assert [trial["number"] for trial in over.near_front()] == [1, 2, 0, 4]
    over.counted = lambda params: RequestCost(1.0, 9.0 - float(str(params["lr"])))
    assert [trial["number"] for trial in over.near_front()] == [1, 2, 4, 0]
    # 4 is the cheapest now, so that it is on the front; 0 is the dearest and loses .04 to 1


def test_what_is_timed_above_the_limit_does_not_win(tmp_path: Path) -> None:
    late = search(tmp_path, slo_ms=1.0, finalists=0)
    late.timings.note(timing(1, 1.2))
    late.timings.note(timing(2, 0.95))  # its interval holds the limit: not known, not out
    late.timings.note(timing(3, 1.2))
    assert [trial["number"] for trial in late.in_time()] == [2, 0, 4]
    assert [trial["number"] for trial in late.near_front()] == [2, 0]
    winner = late.freeze()
    assert (winner["number"], late.winner.name) == (2, "winner-5-timed-2.json")
    assert [(t["number"], t["p99_ms"]) for t in winner["timed"]] == [
        (1, pytest.approx(1.3)),
        (3, pytest.approx(1.3)),
        (2, pytest.approx(1.05)),
    ]
    points = {p["number"]: p.get("p99_ms") for p in winner["front"]}
    assert points == {0: None, 2: pytest.approx(1.05), 1: pytest.approx(1.3)}
    assert json.loads(late.winner.read_text())["timed"] == winner["timed"]
    free = search(tmp_path / "free")
    free.timings.note(timing(1, 1.2))
    assert free.freeze()["number"] == 1  # without a limit nothing is late


def test_at_the_limit_itself_and_without_a_p99_nothing_is_above(tmp_path: Path) -> None:
    timings = Timings(tmp_path)
    trial: Trial = {"number": 0, "run_id": "run0", "state": "ok", "value": 0.7}
    assert timings.of(trial) is None
    assert not timings.above(trial, 1.0)
    timings.note(timing(0, 1.0))
    assert not timings.above(trial, 1.0)
    assert timings.above(trial, 0.999)
    assert not timings.above(trial, None)
    timings.note({**timing(0, 1.0), "high": None})  # an open upper end
    assert timings.above(trial, 0.999)
    timings.note(timing(0, None))
    assert not timings.above(trial, 0.001)


def test_what_was_timed_of_another_run_counts_for_none(tmp_path: Path) -> None:
    made_again = search(tmp_path, slo_ms=1.0)
    made_again.timings.note(timing(1, 9.0, run_id="before"))
    assert made_again.in_time()[0]["number"] == 1


def test_a_damaged_timing_leaves_its_search_out(tmp_path: Path) -> None:
    damaged = search(tmp_path)
    assert damaged.examine() == []
    (tmp_path / "timed-0001.json").write_text("{}")
    (sentence,) = damaged.examine()
    assert "timed-0001.json" in sentence
    assert damaged.unsound == sentence


def test_a_search_that_is_late_as_a_whole_says_so(tmp_path: Path) -> None:
    late = search(tmp_path, slo_ms=0.01)
    for number in range(len(AUC)):
        late.timings.note(timing(number, 0.5))
    assert late.near_front() == []
    with pytest.raises(NoWinnerError, match=r"p99 timed above 0.01 ms"):
        late.freeze()


def test_finalists_are_chosen_among_those_in_time(tmp_path: Path) -> None:
    late = search(tmp_path, slo_ms=1.0, finalists=2)
    late.timings.note(timing(1, 1.2))
    late.timings.note(timing(3, 1.2))
    assert [trial["number"] for trial in candidates(late, 2)] == [2, 0]


def test_timed_needs_what_it_decides() -> None:
    with pytest.raises(ValueError, match="timed has no effect without slo_ms or two objectives"):
        Tuning(trials=4, timed=2)
    assert Tuning(trials=4, timed=2, slo_ms=1.0).timed == 2
    assert Tuning(trials=4, timed=2, objectives=("auc", "macs")).timed == 2
