"""Searches by halving: what a step does by plain counting, and the same steps after any kills."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial

from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.study import Range, Tuning
from fusefront.harness.training.checkpoint import FILE
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning import search as searching
from fusefront.harness.tuning.budget import budgets
from fusefront.harness.tuning.ladder import IDLE, Known, Ladder, Step, next_step
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.search_cells import TrialSource

SPACE = {"lr": Range(low=1e-3, high=1e-1, log=True)}
LEVELS = (1, 2, 4)


@pytest.mark.parametrize("seed", range(6))
def test_who_goes_on_is_in_the_better_half_of_its_rung(seed: int) -> None:
    """By counting how many are better, rung by rung from the top."""
    rng = random.Random(seed)
    known: dict[int, Known] = {}
    steps: list[Step] = []
    for number in range(9):
        passed = rng.randrange(1, 4)
        aucs = sorted(rng.sample(range(1000), 3))  # best so far only rises
        reached = {level: aucs[k] / 1000 for k, level in enumerate(LEVELS[:passed]) if level < 4}
        known[number] = Known(reached, ended=passed == 3)
        steps += [Step(number, level) for level in LEVELS[:passed]]
    rng.shuffle(steps)
    expected = Step(9, 1)
    for level, following in ((1, 2), (2, 4)):  # the last that is found wins: the highest
        there = [n for n in known if level in known[n].reached]
        for n in sorted(there, key=lambda n: known[n].reached[level]):
            better = sum(known[m].reached[level] > known[n].reached[level] for m in there)
            waits = Step(n, following) not in steps and not known[n].ended
            if waits and better < max(1, len(there) // 2):
                expected = Step(n, following)
    assert next_step(known, steps, LEVELS, 20) == expected
    if expected == Step(9, 1):
        assert next_step(known, steps, LEVELS, 9) == IDLE


def test_of_two_or_three_at_a_rung_one_goes_on() -> None:
    known = {n: Known({1: auc}, ended=False) for n, auc in enumerate((0.6, 0.7, 0.5))}
    for count, last in ((2, 3), (3, 3)):
        steps = [Step(n, 1) for n in range(3)]
        there = {n: known[n] for n in range(count)}
        assert next_step(there, steps, LEVELS, 9) == Step(1, 2)
        assert next_step(there, [*steps, Step(1, 2)], LEVELS, 9) == Step(last, 1)
    more = {**known, 3: Known({1: 0.65}, ended=False)}
    steps = [*(Step(n, 1) for n in range(4)), Step(1, 2)]
    assert next_step(more, steps, LEVELS, 9) == Step(3, 2)  # two of four


def cell(name: str, params: dict[str, Json]) -> Cell:
    spec = RunSpec("shop", "f", "b", params, {"epochs": 4}, 1, code="c")
    return Cell(name, "trial", spec, with_test=False)


def curve(trial: Cell) -> list[float]:
    """AUC after each of four epochs: of its rate alone."""
    rate = float(str(trial.spec.settings.get("lr", 0.02)))
    best = 0.7 - abs(rate - 0.03)
    return [best - 0.1 * rate / epoch for epoch in (1, 2, 3, 4)]


class Played:
    """A search whose trainings are played: epochs are written, a pause leaves a checkpoint."""

    def __init__(self, root: Path, trials: int = 12, seconds: float = 1e6) -> None:
        self.root = root
        folder = root / "study" / "tuning" / "a"
        self.search = Search(folder, "a", SPACE, trials, 1, 2, seconds=seconds, levels=LEVELS)
        self.source = TrialSource([self.search], cell, root)

    def end(self, trial: Cell) -> int:
        """Train a cell as far as it is asked for; how many epochs that took."""
        until = self.source.until(trial)
        run = self.root / "runs" / "shop" / "a" / trial.spec.run_id
        run.mkdir(parents=True, exist_ok=True)
        checkpoint = run / FILE
        before = int(checkpoint.read_text()) if checkpoint.exists() else 0
        aucs = curve(trial)[: until or 4]
        lines = [{"epoch": n + 1, "valid_auc": auc} for n, auc in enumerate(aucs)]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        epochs = len(aucs) - before
        if until is None:
            checkpoint.unlink(missing_ok=True)
            summary = {"run_id": trial.spec.run_id, "valid_auc": max(aucs), "seconds": 4.0}
            write_json(run / "summary.json", summary)
            self.source.close(trial, "", seconds=float(epochs))
        else:
            checkpoint.write_text(str(until))
            self.source.close(trial, "", cause="paused", seconds=float(epochs))
        return epochs

    def steps(self) -> list[dict[str, Json]]:
        paths = sorted(self.search.folder.glob("step-*.json"))
        return [json.loads(path.read_text()) for path in paths]


def finish(root: Path, slots: int, seed: int, cut: float, **words: float) -> tuple[Played, int]:
    """A whole search, trials ending in a random order, everything killed at random moments; and
    the epochs that were trained."""
    rng = random.Random(seed)
    played, open_, epochs = Played(root, **words), [], 0  # type: ignore[arg-type]
    while True:
        following = played.source() if len(open_) < slots else Workers.WAIT
        if isinstance(following, Cell):
            open_.append(following)
            continue
        if following is None:
            return played, epochs
        if rng.random() < cut:  # locks are the kernel's: another process has them now
            for number in list(played.search.running):
                played.search.release(number)
            played, open_ = Played(root, **words), []  # type: ignore[arg-type]
            continue
        assert open_ or following == Workers.OTHERS
        if open_:
            epochs += played.end(open_.pop(rng.randrange(len(open_))))


def result(played: Played) -> tuple[Json, ...]:
    records = [{**record, "seconds": 0} for record in played.search.records()]
    winner = played.search.freeze()
    return played.steps(), records, winner["number"], winner["params"]


def test_kills_and_workers_do_not_change_who_goes_on(tmp_path: Path) -> None:
    plain, epochs = finish(tmp_path / "plain", slots=1, seed=0, cut=0.0)
    records = plain.search.records()
    assert len(records) == 12
    full = [record["number"] for record in records if record["state"] == "ok"]
    assert 0 in full  # the defaults always come to their end
    assert 3 <= len(full) <= 6
    # nothing is trained twice: every epoch of every trial once
    reached = {1: 0, 2: 0, 4: len(full)}
    for record in records:
        if record["state"] == "pruned":
            reached[max(map(int, record["rungs"]))] += 1
    assert epochs == sum(level * count for level, count in reached.items())
    assert plain.search.spent == epochs
    assert min(reached.values()) > 0
    for attempt in range(2):
        wild, _ = finish(tmp_path / f"wild{attempt}", slots=2, seed=attempt, cut=0.3)
        assert result(wild) == result(plain)


def test_a_paused_trial_counts_as_given_and_keeps_no_checkpoint(tmp_path: Path) -> None:
    played, epochs = finish(tmp_path, slots=2, seed=3, cut=0.0)
    assert list(tmp_path.rglob(FILE))
    played.search.freeze()
    played.source.clear()
    assert not list(tmp_path.rglob(FILE))
    (spent,) = budgets(tmp_path / "study", Tuning(trials=12, seconds=1e6), "a")
    assert (spent.trials, spent.chances, spent.seconds) == (12, 12, epochs)
    assert spent.causes["pruned"] == 12 - spent.finished
    paused = next(r for r in played.search.records() if r["state"] == "pruned")
    assert paused["reason"].startswith("paused after epoch")


def test_checkpoints_of_a_search_that_is_left_out_stay(tmp_path: Path) -> None:
    played, _ = finish(tmp_path, slots=1, seed=0, cut=0.0)
    waiting = list(tmp_path.rglob(FILE))
    again = Played(tmp_path)
    (again.search.folder / "trial-0000.json").write_text("{")
    assert again.search.examine()
    again.source.clear()
    assert list(tmp_path.rglob(FILE)) == waiting != []
    played.source.clear()  # it read the record before
    assert list(tmp_path.rglob(FILE)) == []


def test_a_larger_cap_goes_on_with_what_was_paused(tmp_path: Path) -> None:
    """Though no checkpoint is left: its first epochs are trained again."""
    short, before = finish(tmp_path / "a", slots=1, seed=0, cut=0.0, seconds=9.0)
    short.search.freeze()
    short.source.clear()
    assert short.search.spent == before
    assert 9.0 <= before < 13.0
    first = short.steps()
    longer, again = finish(tmp_path / "a", slots=1, seed=0, cut=0.0)
    assert longer.steps()[: len(first)] == first
    whole, epochs = finish(tmp_path / "b", slots=1, seed=0, cut=0.0)
    assert result(longer)[:2] == result(whole)[:2]
    assert before + again > epochs


def test_a_run_that_is_on_record_is_told_whole(tmp_path: Path) -> None:
    """Another study trained the defaults: they have all their rungs at once."""
    played = Played(tmp_path)
    following = played.source()
    assert isinstance(following, Cell)
    played.source.until = lambda _: None  # type: ignore[method-assign]
    played.end(following)
    record = played.search.record(0)
    assert record is not None
    assert (record["state"], sorted(record["rungs"])) == ("ok", ["1", "2"])
    del played.source.until
    second = played.source()
    assert isinstance(second, Cell)
    assert played.source.until(second) == 1


ENDS: dict[str, Callable[[Played, Cell], None]] = {
    "nan": lambda played, trial: played.source.close(trial, "nan", cause="nan", seconds=2.0),
    "killed": lambda played, trial: played.source.close(
        trial, "code -9", passing=True, cause="killed", seconds=2.0
    ),
}


@pytest.mark.parametrize("end", list(ENDS))
def test_a_later_part_of_a_trial_may_fail_or_be_cut(tmp_path: Path, end: str) -> None:
    played = Played(tmp_path)
    first, second = played.source(), played.source()
    assert isinstance(first, Cell)
    assert isinstance(second, Cell)
    played.end(first)
    again = played.source()
    assert again == first  # the only one known at its rung
    assert played.source.until(again) == 2
    ENDS[end](played, first)
    assert played.search.spent == 3.0
    record = played.search.record(0)
    if end == "nan":
        assert record is not None
        assert (record["state"], record["cause"], record["seconds"]) == ("infeasible", "nan", 3.0)
    else:
        assert record is None
        assert played.source() == first  # tried again, from its checkpoint
        assert played.end(first) == 1


def test_a_limit_of_one_trial_counts_all_its_parts(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.search.trial_seconds = 100.0
    first, _ = played.source(), played.source()
    assert isinstance(first, Cell)
    played.end(first)
    assert played.source() == first
    left = played.source.left(first)
    assert left is not None
    assert 98.0 < left <= 99.0
    played.source.close(first, "late", cause="time", seconds=99.0)
    record = played.search.record(0)
    assert record is not None
    assert (record["cause"], record["seconds"]) == ("time", 100.0)


def test_what_a_ladder_knows_of_trials_that_ended_with_or_without_pausing(tmp_path: Path) -> None:
    """By hand: two rungs and a reason, a whole run without a rung, a reason alone, one that waits;
    a trial whose step at a rung is over counts as it was there."""
    ladder = Ladder(tmp_path, LEVELS)
    for number, until, rungs in (
        (0, 1, {"1": 0.5}),
        (0, 2, {"1": 0.5, "2": 0.6}),
        (3, 1, {"1": 0.4}),
        (4, 1, {"1": 0.3}),
        (5, 1, {"1": 0.2}),
    ):
        words = {"number": number, "until": until, "run_id": "r", "rungs": rungs, "seconds": 1.0}
        write_json(ladder.rung_file(number, until), {"format": 1, **words})
    ended = {"seconds": 1.0, "reason": "", "params": {}, "run_id": "r"}
    records = {
        0: {"number": 0, "state": "infeasible", "value": None, **ended},
        1: {"number": 1, "state": "ok", "value": 0.9, "rungs": {"1": 0.7, "2": 0.8}, **ended},
        2: {"number": 2, "state": "infeasible", "value": None, **ended},
        5: {"number": 5, "state": "infeasible", "value": None, **ended},
        4: {"number": 4, "state": "ok", "value": 0.9, "rungs": {"1": 0.7, "2": 0.8}, **ended},
    }
    steps = [Step(0, 1), Step(1, 4), Step(0, 4), IDLE, Step(2, 1), Step(0, 2), Step(3, 1)]
    assert ladder.known([*steps, Step(4, 1), Step(5, 2)], records) == {  # type: ignore[arg-type]
        0: Known({1: 0.5, 2: 0.6}, ended=True),
        1: Known({1: 0.7, 2: 0.8}, ended=True),
        2: Known({}, ended=True),
        3: Known({1: 0.4}, ended=False),
        4: Known({1: 0.3}, ended=False),
        5: Known({1: 0.2}, ended=True),
    }


def test_a_ladder_rests_once_as_many_steps_as_the_lag_were_idle(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, LEVELS)
    assert not ladder.rests(1)
    for k, (step, rests) in enumerate(
        [(IDLE, (True, False)), (Step(0, 1), (False, False)), (IDLE, (True, False))]
    ):
        assert ladder.add(k, step) == step
        assert (ladder.rests(1), ladder.rests(2)) == rests
    assert ladder.add(3, IDLE) == IDLE
    assert ladder.rests(2)
    assert not ladder.rests(3)
    again = Ladder(tmp_path, LEVELS)
    assert again.add(0, Step(5, 1)) == IDLE  # another process was first
    assert again.step(2) is None  # those before it come first
    assert [again.step(k) for k in (1, 2, 3, 4)] == [Step(0, 1), IDLE, IDLE, None]


def test_the_sampler_sees_who_paused_and_how_far_each_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every proposal, against the steps that were over when it was drawn."""
    drawn: list[dict[int, tuple[str, dict[int, float]]]] = []

    class Watching(optuna.samplers.RandomSampler):
        def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
            earlier = study.get_trials(deepcopy=False)[:-1]
            drawn.append(
                {n + 1: (t.state.name, t.intermediate_values) for n, t in enumerate(earlier)}
            )

    monkeypatch.setattr(searching, "make_sampler", lambda _, seed, trials: Watching(seed=seed))
    played, _ = finish(tmp_path, slots=1, seed=0, cut=0.0)
    assert [len(each) for each in drawn] == list(range(11))
    aucs = {
        n: curve(cell("a", json.loads(claim.read_text())["params"]))
        for n, claim in enumerate(sorted(played.search.folder.glob("claim-*.json")))
    }
    steps = [(step["number"], step["until"]) for step in played.steps()]
    for number, sight in enumerate(drawn, 1):
        k = steps.index((number, 1))
        over = steps[: k - 1]  # all but the newest: the lag is 2
        for n, (state, reached) in sight.items():
            until = max((u for m, u in over if m == n), default=0)
            assert state == {0: "RUNNING", 4: "COMPLETE"}.get(until, "PRUNED")
            rungs = [level for level in (1, 2) if level <= until]
            best = {level: max(aucs[n][:level]) for level in rungs}
            assert reached == pytest.approx(best)
    assert {state for sight in drawn for state, _ in sight.values()} >= {"COMPLETE", "PRUNED"}
