"""The greedy path against a plain search over values of every subset; nothing is trained."""

from itertools import combinations
from typing import Any, cast

import numpy as np
import pytest

from fusefront.harness.ablation.greedy import greedy_path
from fusefront.harness.ablation.path import BuildPath
from fusefront.harness.ablation.plan import AblatedStrategy

PARTS = ["text", "head", "pooler", "ids"]


class Content:
    """A strategy that is what its text says."""

    def __init__(self, text: str) -> None:
        self.text = text

    def model_dump(self, mode: str) -> str:
        return self.text


def strategy(without: frozenset[str], content: str = "") -> AblatedStrategy:
    name = "whole" if not without else "without " + ", ".join(sorted(without))
    return AblatedStrategy(name, "path", name, cast(Any, Content(content or name)))


class Table:
    """Validation AUC of each subset; what was compared is noted."""

    def __init__(self, values: dict[frozenset[str], float]) -> None:
        self.values = {strategy(key).name: value for key, value in values.items()}
        self.compared: list[str] = []

    def scored(self, strategies: list[AblatedStrategy]) -> dict[str, float]:
        names = [each.name for each in strategies]
        self.compared += names
        return {name: self.values[name] for name in names if name in self.values}


def subsets(parts: list[str]) -> list[frozenset[str]]:
    return [frozenset(s) for n in range(len(parts) + 1) for s in combinations(parts, n)]


def by_hand(values: dict[frozenset[str], float]) -> list[str]:
    """The part that leaves the highest value, step by step."""
    without, order = set(PARTS), []
    while without:
        best = max(sorted(without), key=lambda part: values[frozenset(without - {part})])
        order.append(best)
        without.remove(best)
    return order


@pytest.mark.parametrize("seed", range(8))
def test_each_step_adds_most_to_those_before_it(seed: int) -> None:
    """Every subset that a step compares is measured, and no other: 1 + 4 + 3 + 2 beside the whole
    (the last step compares nothing)."""
    rng = np.random.default_rng(seed)
    values = {each: float(rng.uniform(0.5, 0.8)) for each in subsets(PARTS)}
    table = Table(values)
    path = greedy_path(PARTS, strategy, table.scored)
    order = by_hand(values)
    assert path.parts == order
    assert [each.name for each in path.strategies] == [
        strategy(frozenset(order[at:])).name for at in range(len(order))
    ]
    assert (path.base, path.untrained, path.greedy, path.open) == ("", 0, True, 0)
    assert len(table.compared) == len(set(table.compared)) == 1 + 4 + 3 + 2
    for at, rivals in enumerate(path.rivals[:-1]):
        rest = frozenset(order[at:])
        assert rivals == {part: values[rest - {part}] for part in rest}
    assert path.rivals[-1] == {}


def test_a_part_that_is_good_alone_comes_late_where_another_replaces_it() -> None:
    """`text` adds most alone; the ids do its work, so that the pooler comes before it."""
    gains = {"text": 0.05, "ids": 0.06, "pooler": 0.02, "head": 0.01}

    def value(without: frozenset[str]) -> float:
        there = set(PARTS) - without
        total = 0.6 + sum(gains[part] for part in there)
        return total - (0.049 if {"text", "ids"} <= there else 0)

    table = Table({each: value(each) for each in subsets(PARTS)})
    assert greedy_path(PARTS, strategy, table.scored).parts == ["ids", "pooler", "head", "text"]


def test_where_nothing_can_be_trained_without_a_part_it_is_the_base() -> None:
    values = {each: 0.8 - 0.01 * len(each) for each in subsets(PARTS)}
    values[frozenset(PARTS) - {"ids"}] = 0.9
    table = Table(values)

    def subset(without: frozenset[str]) -> AblatedStrategy | None:
        return None if without == frozenset(PARTS) else strategy(without)

    path = greedy_path(PARTS, subset, table.scored)
    assert (path.base, path.parts) == ("ids", ["text", "head", "pooler"])
    assert path.strategies[0].name == "without head, pooler, text"
    assert len(path.strategies) == len(path.parts) == len(path.rivals)


def test_two_are_added_at_once_where_one_changes_nothing() -> None:
    """The head means nothing without the pooler, and what ids add at last is no change."""

    def subset(without: frozenset[str]) -> AblatedStrategy | None:
        if ("head" in without) != ("pooler" in without):
            return None
        rest = without - {"ids"}
        return strategy(without, "parts " + ", ".join(sorted(rest)))

    values = {each: 0.8 - 0.01 * len(each) for each in subsets(PARTS)}
    path = greedy_path(PARTS, subset, Table(values).scored)
    assert path.parts == ["text", "head + pooler + ids"]
    assert [each.name for each in path.strategies] == [
        "without head, ids, pooler, text",
        "without head, ids, pooler",
    ]
    alike = greedy_path(PARTS, lambda without: strategy(without, "same"), Table(values).scored)
    assert alike == BuildPath([], [], greedy=True)


def test_subsets_without_runs_are_counted_and_passed_over() -> None:
    values = {each: 0.8 - 0.01 * len(each) for each in subsets(PARTS)}
    best = frozenset(PARTS) - {"pooler"}
    values[best] = 0.9
    full = greedy_path(PARTS, strategy, Table(values).scored)
    assert (full.parts[0], full.untrained) == ("pooler", 0)
    del values[best]
    less = greedy_path(PARTS, strategy, Table(values).scored)
    assert (less.parts[0], less.untrained, less.open) == ("text", 1, 0)
    alone = {frozenset(PARTS): 0.5}
    none = greedy_path(PARTS, strategy, Table(alone).scored)
    assert (none.open, none.parts) == (0, ["text + head + pooler + ids"])  # straight to the whole
    assert none.untrained == 4 + 6 + 4


def test_a_path_that_is_not_known_yet_says_how_many_parts_are_open() -> None:
    values = {each: 0.8 - 0.01 * len(each) for each in subsets(PARTS)}
    table = Table(values)

    def scored(strategies: list[AblatedStrategy]) -> dict[str, float] | None:
        return (
            None
            if "without head, ids" in (s.name for s in strategies)
            else table.scored(strategies)
        )

    path = greedy_path(PARTS, strategy, scored)
    assert (path.parts, path.open) == (["text"], 3)
    assert greedy_path(PARTS, strategy, lambda _: None).open == 4
