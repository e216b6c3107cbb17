"""Paths from a plan: their order by validation, what is trained for them, and how many that is."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fusefront.baselines.contract import Parts
from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation import routes
from fusefront.harness.ablation.factors import AblationDesign
from fusefront.harness.ablation.path import NO_PATH, BuildPath
from fusefront.harness.ablation.plan import AblatedStrategy, Factor, Level, Workbench, removals
from fusefront.harness.ablation.routes import (
    crossed_path,
    known_aucs,
    ordered_path,
    path_runs,
    trained_path,
)
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Strategy
from fusefront.harness.testing.scene import SCHEMA

GAINS = {"text": 0.05, "use_id": 0.02, "head": 0.03, "products": 0.01}


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


def out(word: str, kind: str = "component") -> AblatedStrategy:
    return AblatedStrategy(f"a without {word}", kind, word, cast(Any, ""))


def factor(word: str, kind: str = "component") -> Factor:
    return Factor(word, kind, (Level(word, ({word: None},)),))


def planned_of(factors: list[Factor]) -> Any:
    workspace = SimpleNamespace(root="root")
    design = SimpleNamespace(crossed=False, factors=factors)
    return SimpleNamespace(removed=[], designed=design, workspace=workspace, workbench=None)


class Store:
    """A plan of four parts at two seeds whose runs are there where their strategy is `trained`;
    the validation AUC of a strategy is the sum of its parts."""

    def __init__(self, parts: Parts, *, crossed: bool = False) -> None:
        strategy = Strategy.model_validate({"baseline": "compressed_fusion"})
        self.workbench = Workbench.open("mine", strategy, SCHEMA, parts)
        factors = [f for f in removals(self.workbench) if f.name in GAINS]
        self.designed = AblationDesign("minimal", factors, crossed=crossed)
        self.removed = self.designed.strategies(self.workbench)
        self.plan = SimpleNamespace(
            study=SimpleNamespace(seeds=(4, 9), tuning=SimpleNamespace(trials=5))
        )
        self.workspace = SimpleNamespace(root="root")
        self.retuned, self.trials = False, 5
        self.parent_cells = self.cells_of([AblatedStrategy("mine", "", "", strategy)])
        self.trained = {"mine"}

    def cells_of(self, strategies: Any) -> list[Any]:
        return [SimpleNamespace(name=s.name, seed=seed) for s in strategies for seed in (4, 9)]

    def lacking(self, strategies: Any) -> set[Any]:
        names = [each.name for each in strategies if each.name not in self.trained]
        words = [f"trial {n}" for n in range(self.trials)] if self.retuned else []
        return {(name, word) for name in names for word in (4, 9, *words)}

    def find_record(self, cell: Any, root: str) -> Any:
        if cell.name not in self.trained:
            return None
        there = sum(gain for part, gain in GAINS.items() if part not in cell.name)
        noise = 0.001 if cell.seed == 4 else -0.001
        return SimpleNamespace(summary={"valid_auc": 0.6 + there + noise})

    def train(self, strategies: Any) -> None:
        self.trained |= {each.name for each in strategies}


@pytest.fixture
def store(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Any:
    planted = Store(parts)
    monkeypatch.setattr(routes, "find_record", lambda cell, root: planted.find_record(cell, root))
    return planted


ORDER = ["text", "head", "use_id", "products"]


def test_a_greedy_path_is_trained_as_it_goes(store: Any) -> None:
    """And a dry run counts what that is: all of it at most before, and nothing after it."""
    plans_own = len(store.removed) * 2
    assert len(store.lacking(store.removed)) == plans_own == 8
    before = path_runs(store, greedy=True)
    assert before == (2 * (1 + 4 + 3), True)  # the last two steps compare the removals, or nothing
    store.train(store.removed)
    assert path_runs(store, greedy=True) == before
    rounds: list[int] = []

    def train(strategies: Any) -> None:
        rounds.append(len(store.lacking(strategies)))
        store.train(strategies)
        counts.append(path_runs(store, greedy=True))

    counts: list[Any] = []
    path = trained_path(store, train)
    assert path.parts == ORDER
    assert rounds == [2 * (1 + 4), 2 * 3, 0]
    assert counts == [(2 * 3, False), (0, False), (0, False)]
    assert [round(r["head"], 9) for r in path.rivals[:2]] == [0.63, 0.68]
    assert (path.untrained, path.open, path.greedy) == (0, 0, True)


def test_the_runs_of_a_path_in_order_are_counted_once_its_order_is_known(store: Any) -> None:
    assert path_runs(store, greedy=False) == (2 * 3, True)
    store.train(store.removed)
    assert path_runs(store, greedy=False) == (2 * 3, False)  # the last step is a removal
    path = ordered_path(store)
    assert (path.parts, path.greedy) == (ORDER, False)
    store.train(path.strategies[:1])
    assert path_runs(store, greedy=False) == (2 * 2, False)
    store.designed = store.designed._replace(factors=store.designed.factors[:1])
    assert path_runs(store, greedy=True) == NO_PATH
    assert trained_path(store, store.train) == BuildPath([], [], greedy=True)


def test_a_path_that_is_tuned_again_has_the_trials_of_every_step(store: Any) -> None:
    """Five trials and two seeds a strategy, wherever the frozen path has two seeds."""
    store.retuned = True
    assert path_runs(store, greedy=False) == (7 * 3, True)
    assert path_runs(store, greedy=True) == (7 * (1 + 4 + 3), True)
    store.train(store.removed)
    assert path_runs(store, greedy=False) == (7 * 3, False)
    store.train(ordered_path(store).strategies[:2])
    assert path_runs(store, greedy=False) == (7, False)
    trained_path(store, store.train)
    assert path_runs(store, greedy=True) == (0, False)


def test_crossed_parts_have_their_path_from_the_plans_own_cells(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained; a cell without a run is passed over and counted."""
    store: Any = Store(parts, crossed=True)
    monkeypatch.setattr(routes, "find_record", store.find_record)
    assert path_runs(store, greedy=True) == NO_PATH
    store.train(store.removed)
    path = crossed_path(store)
    assert (path.parts, path.untrained) == (ORDER, 0)
    assert {each.name for each in path.strategies} <= {each.name for each in store.removed}
    by_count = {each.name: each.name.count("without") for each in store.removed}
    (text,) = (s for s in store.removed if by_count[s.name] == 3 and "text" not in s.name)
    store.trained.remove(text.name)
    path = crossed_path(store)
    assert (path.parts, path.untrained) == (["head", "text", "use_id", "products"], 1)
    store.removed.remove(text)  # as of drawn subsets: it is not in the plan
    store.trained.add(text.name)
    assert crossed_path(store) == path
    swap = Factor("k", "swap", (Level("k 4", ({"token_width": 4},)),))
    factors = [*store.designed.factors, swap]
    store.designed = store.designed._replace(factors=factors)
    assert crossed_path(store) == BuildPath([], [], greedy=True)


def test_two_parts_are_a_path_and_a_single_part_is_none(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = BuildPath([], [], greedy=True)
    assert NO_PATH == (0, False)
    for crossed in (False, True):
        store: Any = Store(parts, crossed=crossed)
        monkeypatch.setattr(routes, "find_record", store.find_record)
        factors = {factor.name: factor for factor in store.designed.factors}
        pair = [factors["use_id"], factors["text"]]
        store.designed = store.designed._replace(factors=pair)
        store.removed = store.designed.strategies(store.workbench)
        store.train(store.removed)
        if crossed:
            assert crossed_path(store).parts == ["text", "use_id"]
        else:
            plainest = 2  # at two seeds, beside the removals
            assert path_runs(store, greedy=True) == (plainest, False)
            assert path_runs(store, greedy=False) == (plainest, False)
            ordered = ordered_path(store)
            assert ordered.parts == ["text", "use_id"]
            assert (list(ordered.rivals), ordered.untrained, ordered.open) == ([], 0, 0)
            assert trained_path(store, store.train).parts == ["text", "use_id"]
        store.designed = store.designed._replace(factors=pair[:1])
        assert path_runs(store, greedy=True) == NO_PATH
        assert (crossed_path(store) if crossed else trained_path(store, store.train)) == none


def test_a_strategy_counts_where_every_seed_has_its_number(store: Any) -> None:
    removed = store.removed[:2]
    store.train(removed[:1])
    assert list(known_aucs(store, removed)) == [removed[0].name]
    whole, single = store.find_record, removed[0].name
    store.find_record = lambda cell, root: (
        SimpleNamespace(summary={}) if (cell.name, cell.seed) == (single, 9) else whole(cell, root)
    )
    assert known_aucs(store, removed) == {}
    assert known_aucs(store, []) == {}


def test_the_order_is_of_what_validation_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean AUC of the whole less that of each removal; what has no run is left out."""
    ablation = planned_of([])
    valid = {"a": [0.70, 0.72], "head": [0.69, 0.71], "text": [0.60, 0.66], "image": [0.65, None]}

    def find_record(cell: Any, root: Any) -> Any:
        if cell.value == "damaged":
            raise DataContractError("damaged")
        if cell.value == "missing":
            return None
        return SimpleNamespace(summary={} if cell.value is None else {"valid_auc": cell.value})

    def cells_of(strategies: Any) -> Any:
        values = valid.get(strategies[0].without, ["damaged", "missing", None])
        return [SimpleNamespace(value=value) for value in values]

    monkeypatch.setattr(routes, "find_record", find_record)
    monkeypatch.setattr(routes, "build_path", lambda bench, factors: [f.name for f in factors])
    words = {"head": "component", "pooler": "component", "text": "modality", "image": "modality"}
    ablation.removed = [out(word, kind) for word, kind in words.items()]
    ablation.removed += [out("head", "swap")]
    ablation.designed.factors = [factor(w, kind) for w, kind in words.items()]
    ablation.designed.factors += [factor("k", "swap")]
    ablation.cells_of = cells_of
    ablation.parent_cells = [SimpleNamespace(value=value) for value in valid["a"]]
    assert ordered_path(ablation) == ["text", "image", "head"]  # gains of .08, .06, .01
    ablation.removed = ablation.removed[:1]
    assert ordered_path(ablation) == BuildPath([], [])  # one part is no path
    ablation.removed += [out("text", "modality")]
    assert ordered_path(ablation) == ["text", "head"]
    ablation.parent_cells = []
    assert ordered_path(ablation) == BuildPath([], [])
