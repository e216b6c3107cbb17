"""Which trial may start, what it is given and which wins, by plain loops and Optuna itself."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from fusefront.baselines.settings import expand
from fusefront.datasets.locks import Wait, locked
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.study import Range
from fusefront.harness.tuning import search as searching
from fusefront.harness.tuning.search import NoWinnerError, Search
from fusefront.harness.tuning.space import Space, apply, constants, distributions

SPACE: Space = {"lr": Range(low=1e-3, high=1e-1, log=True), "k": (4, 8, 16), "fixed": (3,)}


def search(folder: Path, trials: int = 9, lag: int = 2, space: Space = SPACE) -> Search:
    return Search(folder, "early", space, trials, seed=5, lag=lag)


def end(trial: Search, number: int, value: float | None, seconds: float = 1.0) -> None:
    trial.tell(
        {
            "number": number,
            "params": {"told": number},
            "state": "failed" if value is None else "ok",
            "value": value,
            "seconds": seconds,
            "reason": "" if value is not None else f"reason {number % 2}",
        }
    )


def started(first: Search) -> list[int]:
    """Numbers of all trials that may start now."""
    numbers = []
    while (trial := first.next_trial()) is not None:
        numbers.append(trial[0])
    return numbers


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_a_trial_starts_when_all_that_lie_the_lag_behind_have_ended(
    tmp_path: Path, lag: int
) -> None:
    trial = search(tmp_path, trials=6, lag=lag)
    assert started(trial) == list(range(lag))
    assert started(trial) == []  # none twice
    if lag == 3:
        end(trial, 1, 0.6)
        assert started(trial) == []  # trial 0 still runs
    end(trial, 0, 0.5)
    assert started(trial) == ([3, 4] if lag == 3 else [lag])
    assert set(trial.running) == {0: set(), 1: {1}, 2: {1, 2}, 3: {2, 3, 4}}[lag]
    assert not trial.finished


def test_every_trial_ended_is_the_end(tmp_path: Path) -> None:
    trial = search(tmp_path, trials=3)
    for number in range(3):
        assert trial.finished is False
        assert (trial.next_trial() or (9,))[0] == number
        end(trial, number, 0.5)
        end(trial, number, 0.9)  # the first writer wins
    assert trial.finished is True
    assert [trial.record(number) for number in (0, 3)][1] is None
    record = trial.record(2)
    assert record is not None
    assert (record["value"], record["params"]) == (0.5, {"told": 2})
    assert trial.running == {}


def test_a_search_whose_place_gave_out_begins_nothing_more(tmp_path: Path) -> None:
    """Though two trials could start; the next command goes on where it was."""
    trial = search(tmp_path, trials=6, lag=3)
    assert started(trial) == [0, 1, 2]
    trial.halt(1, "no memory")
    assert (trial.halted, set(trial.running)) == ("trial 1: no memory", {0, 2})
    assert trial.next_trial() is None
    assert trial.finished
    assert trial.record(1) is None
    assert started(search(tmp_path, trials=6, lag=3)) == [1]  # the others run still
    for number in (0, 2):
        trial.release(number)
    assert started(search(tmp_path, trials=6, lag=3)) == [0, 1, 2]


def proposed(trials: list[tuple[dict[str, Json], float | None]], of: int, lag: int) -> object:
    """What Optuna proposes next after `trials`, each with its parameters and value."""
    number = len(trials)
    spaces = {
        "lr": FloatDistribution(1e-3, 1e-1, log=True),
        "k": CategoricalDistribution((4, 8, 16)),
    }
    seed = int.from_bytes(hashlib.sha256(f"5:early:{number}".encode()).digest()[:4], "big")
    startup = sorted([2, of // 3, 10])[1]
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup),
    )
    for at, (params, value) in enumerate(trials):
        if at == 0:
            continue  # the defaults have no place in the space
        state = TrialState.COMPLETE if value is not None else TrialState.FAIL
        if at > number - lag:
            state, value = TrialState.RUNNING, None
        study.add_trial(create_trial(state=state, value=value, params=params, distributions=spaces))
    return study.ask(spaces).params


@pytest.mark.parametrize(("trials", "lag"), [(4, 1), (9, 2), (16, 3), (34, 1)])
def test_a_trial_is_what_optuna_makes_of_those_before(
    tmp_path: Path, trials: int, lag: int
) -> None:
    trial = search(tmp_path, trials, lag)
    ended: list[tuple[dict[str, Json], float | None]] = []
    for number in range(trials):
        values, params = trial.next_trial() or (-1, {})
        assert values == number
        assert params.pop("fixed") == 3  # a key with one value has it, the defaults included
        if number:
            assert params == proposed(ended, trials, lag)
        claim = json.loads((tmp_path / f"claim-{number:04d}.json").read_text())
        assert {**params, "fixed": 3} == claim["params"]
        lr, k = params.get("lr", 0.03), params.get("k", 8)
        value = None if number % 5 >= 3 else 1 - abs(float(str(lr)) - 0.02) - int(str(k)) / 100
        if number % 5 == 4:  # it ended well, and has no AUC
            trial.tell({"number": number, "state": "ok", "value": None})
        end(trial, number, value)
        ended.append((params, value))
    assert len({str(params) for params, _ in ended}) == trials


def test_the_winner_is_the_best_and_of_equals_the_first(tmp_path: Path) -> None:
    trial = search(tmp_path, trials=6)
    for number, value in enumerate((0.6, None, 0.8, 0.7, 0.8, 0.1)):
        end(trial, number, value, seconds=number + 0.00061)
    winner = trial.freeze()
    assert (winner["number"], winner["valid_auc"]) == (2, 0.8)
    assert winner["params"] == {"told": 2}
    assert (winner["strategy"], winner["trials"], winner["seconds"]) == ("early", 6, 15.004)
    assert json.loads((tmp_path / "winner-6.json").read_text()) == winner
    assert trial.freeze() == winner


def test_a_winner_of_other_records_is_refused(tmp_path: Path) -> None:
    trial = search(tmp_path, trials=2)
    end(trial, 0, 0.6)
    first = trial.freeze()
    assert first["trials"] == 1
    end(trial, 1, 0.5)  # loses, and yet it is another search
    with pytest.raises(UsageError, match=r"winner-2\.json: another winner was frozen"):
        trial.freeze()


def test_without_a_winner_the_reasons_are_said_once_each(tmp_path: Path) -> None:
    trial = search(tmp_path, trials=4)
    with pytest.raises(NoWinnerError, match=r"^early: no trial finished, .* \(no trials\)$"):
        trial.freeze()
    for number in range(4):
        end(trial, number, None)
    with pytest.raises(NoWinnerError, match=r"\(reason 0; reason 1\)$"):
        trial.freeze()


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 6},
        {"lag": 3},
        {"space": {"k": (4, 8)}},
        {"space": {**SPACE, "fixed": (4,)}},
        {"objectives": ("auc", "macs")},
        {"budget_macs": 100.0},
    ],
)
def test_a_search_goes_on_only_as_it_began(tmp_path: Path, changed: dict[str, object]) -> None:
    same: dict[str, object] = {"space": SPACE, "trials": 4, "seed": 5, "lag": 2}
    Search(tmp_path, "early", **same)  # type: ignore[arg-type]
    Search(tmp_path, "early", **{**same, "trials": 8})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="another seed, lag, space or sampler"):
        Search(tmp_path, "early", **{**same, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(("trials", "result"), [(0, 0), (1, 1), (20, 1)])
def test_where_nothing_is_searched_the_defaults_are_the_one_trial(
    tmp_path: Path, trials: int, result: int
) -> None:
    only = search(tmp_path, trials, space={"k": (4,), "l": (), "m": Range(low=2, high=2)})
    assert only.trials == result
    if trials:
        assert only.next_trial() == (0, {"k": 4, "m": 2})


def test_ranges_and_lists_become_what_optuna_draws_from() -> None:
    space: Space = {
        "whole": Range(low=2, high=9, log=True),
        "number": Range(low=2, high=9.5),
        "other": Range(low=2.5, high=9, log=True),
        "values": (1, 2.5, "a", True, None),
        "parts": ([64, 32], {"b": 1, "a": 2}),
        "single": ("x",),
        "point": Range(low=0.5, high=0.5),
        "kept": (),
    }
    assert constants(space) == {"single": "x", "point": 0.5}
    assert constants({"part": ({"b": 1, "a": 2},)}) == {"part": 'json:{"a": 2, "b": 1}'}
    assert distributions(space) == {
        "whole": IntDistribution(2, 9, log=True),
        "number": FloatDistribution(2.0, 9.5),
        "other": FloatDistribution(2.5, 9.0, log=True),
        "values": CategoricalDistribution((1, 2.5, "a", True, None)),
        "parts": CategoricalDistribution(("json:[64, 32]", 'json:{"a": 2, "b": 1}')),
    }


def test_what_is_applied_leaves_the_strategy_as_it_was() -> None:
    settings: dict[str, Json] = {"head": {"hidden": [8]}, "k": 1}
    training: dict[str, Json] = {"epochs": 2}
    new, recipe = apply(
        {"head.hidden": "json:[64, 32]", "k": "json", "training.epochs": 5}, settings, training
    )
    assert new == {"head": {"hidden": [64, 32]}, "k": "json"}
    assert recipe == {"epochs": 5}
    assert settings == {"head": {"hidden": [8]}, "k": 1}
    assert training == {"epochs": 2}


def test_a_part_that_is_named_alone_takes_searched_values(tmp_path: Path) -> None:
    """`operator: gate` and a search over `operator.hidden`."""
    settings: dict[str, Json] = {"operator": "gate", "k": "x"}
    new, _ = apply({"operator.hidden": 16, "k": "y"}, settings, {})
    assert new == {"operator": {"name": "gate", "hidden": 16}, "k": "y"}
    assert settings["operator"] == "gate"


def test_a_searched_value_takes_the_place_of_one_written_with_a_dot(tmp_path: Path) -> None:
    new, _ = apply({"head.dropout": 0.2}, {"head.dropout": 0.1, "head.hidden": [8]}, {})
    assert expand(new)["head"] == {"dropout": 0.2, "hidden": [8]}


def test_only_a_search_of_two_objectives_freezes_its_front(tmp_path: Path) -> None:
    points = ((0.7, 9.0), (0.8, 20.0), (0.6, 9.5), (0.7, 5.0), (0.8, 30.0))
    for objectives in (("auc",), ("auc", "macs")):
        trial = Search(tmp_path / objectives[-1], "early", SPACE, 5, 5, 2, objectives=objectives)
        for number, (value, macs) in enumerate(points):
            trial.tell({"number": number, "state": "ok", "value": value, "macs": macs})
        winner = trial.freeze()
        if objectives == ("auc",):
            assert "front" not in winner
            continue
        front = [(point["number"], point["valid_auc"], point["macs"]) for point in winner["front"]]
        assert front == [(3, 0.7, 5.0), (1, 0.8, 20.0)]


def test_a_trials_lock_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has trial 0: trial 1 is begun at once."""
    waits = []

    def noted(path: Path, wait: Wait) -> contextlib.AbstractContextManager[None]:
        waits.append(wait.limit)
        return locked(path, wait)

    monkeypatch.setattr(searching, "locked", noted)
    first, second = search(tmp_path), search(tmp_path)
    assert [each.next_trial()[0] for each in (first, second)] == [0, 1]  # type: ignore[index]
    assert waits == [0.0, 0.0, 0.0]


def test_what_is_noted_of_a_process_goes_with_the_trial(tmp_path: Path) -> None:
    note = tmp_path / "running-0000.json"
    first = search(tmp_path)
    for end_of in (first.release, lambda number: first.halt(number, "disk")):
        assert first.next_trial() == (0, {"fixed": 3})
        first.begun(0, os.getpid())
        assert note.exists()
        end_of(0)
        assert not note.exists()
        first.halted = ""
    first.next_trial()
    first.begun(0, None)  # no process to be ended later
    assert not note.exists()
    dead = {"pid": 2**22 + 1, "start": 1, "boot": "another", "begin": 0.0}
    write_json(note, {"format": 1, **dead})  # left by a killed one
    first.locks.pop(0).close()
    again = search(tmp_path)
    assert again.next_trial() == (0, {"fixed": 3})
    assert not note.exists()


def test_a_plain_search_is_known_by_its_seed_lag_and_space(tmp_path: Path) -> None:
    """Records of before the other keys came stay those of the same search."""
    plain = {"format": 1, "seed": 5, "lag": 2}
    space = {
        "k": "CategoricalDistribution(choices=(4, 8, 16))",
        "lr": "FloatDistribution(high=0.1, log=True, low=0.001, step=None)",
    }
    search(tmp_path / "a")
    written = json.loads((tmp_path / "a" / "search.json").read_text())
    assert written == {**plain, "space": space, "constants": {"fixed": 3}}
    Search(tmp_path / "b", "early", {"k": (4, 8, 16)}, 9, seed=5, lag=2)
    written = json.loads((tmp_path / "b" / "search.json").read_text())
    assert written == {**plain, "space": {"k": space["k"]}}
    front = {"objectives": ("auc", "macs"), "sampler": "random", "budget_macs": 5.0}
    Search(tmp_path / "c", "early", {"k": (4, 8, 16)}, 9, seed=5, lag=2, **front)  # type: ignore[arg-type]
    written = json.loads((tmp_path / "c" / "search.json").read_text())
    assert written == {**plain, "space": {"k": space["k"]}, **front, "objectives": ["auc", "macs"]}


def test_of_a_limit_nothing_is_said_where_no_trial_ended(tmp_path: Path) -> None:
    limited = Search(tmp_path, "early", SPACE, 2, seed=5, lag=2, slo_ms=1.0)
    with pytest.raises(NoWinnerError, match=r"no winner \(no trials\)$"):
        limited.freeze()


def test_a_trial_that_another_process_ends_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one records it between the look at its record and the lock."""
    mine, other = search(tmp_path, trials=3), search(tmp_path, trials=3)
    take = mine._lock

    def late(number: int) -> bool:
        if number == 0:
            assert (other.next_trial() or (9,))[0] == 0
            end(other, 0, 0.5)
        return take(number)

    monkeypatch.setattr(mine, "_lock", late)
    assert (mine.next_trial() or (9,))[0] == 1
    assert set(mine.locks) == set(mine.running) == {1}
    assert other._lock(0)  # it is free for all
