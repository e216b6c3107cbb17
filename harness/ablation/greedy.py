"""A path that adds, at each step, the part that adds most on validation to those before it."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from fusefront.harness.ablation.path import BuildPath
from fusefront.harness.ablation.plan import AblatedStrategy
from fusefront.harness.runs.files import digest

Subset = Callable[[frozenset[str]], AblatedStrategy | None]  # of the parts left out; None: nothing
# validation AUC by name of those that are trained; None: the path ends here, for now
Scored = Callable[[list[AblatedStrategy]], Mapping[str, float] | None]


class _Place(NamedTuple):
    """A subset of the parts: those it is without, and its strategy."""

    without: frozenset[str]
    strategy: AblatedStrategy

    @property
    def content(self) -> str:
        return digest(self.strategy.strategy.model_dump(mode="json"))


class _Choice(NamedTuple):
    """Where a step leads, and the validation AUC of all that it could have led to."""

    place: _Place
    rivals: dict[str, float]  # parts added -> AUC


def greedy_path(parts: Sequence[str], subset: Subset, scored: Scored) -> BuildPath:
    """From the strategy without all `parts` to the whole, `subset(frozenset())`.

    Where no single part can be added (alone it means nothing, changes nothing or is not trained)
    two are, and so on; of equal ones the first in `parts`. Without a subset that could be trained
    there is no path; where `scored` ends it, parts are left `open`.
    """
    whole = subset(frozenset())
    assert whole is not None
    goal = _Place(frozenset(), whole).content
    plainest = subset(frozenset(parts))
    at = None if plainest is None else _Place(frozenset(parts), plainest)
    beside = strategies = [] if at is None else [at.strategy]
    added: list[str] = []
    rivals: list[dict[str, float]] = []
    base, untrained = "", 0
    while at is None or at.content != goal:
        without = frozenset(parts) if at is None else at.without
        choice, lost = _step(parts, at, without, subset, scored, beside)
        untrained += lost
        if choice is None:
            known = BuildPath(strategies, added, base, rivals, untrained, greedy=True)
            return known._replace(open=len(without))
        part = _listed(parts, without - choice.place.without)
        if at is None:
            base = part
        else:
            added.append(part)
            rivals.append(choice.rivals)
        at, beside = choice.place, []
        strategies = [*strategies, at.strategy] if at.without else strategies
    if at.without and added:  # what is left changes nothing: it comes with the last part
        strategies = strategies[:-1]
        added[-1] = _listed(parts, {*added[-1].split(" + "), *at.without})
    if not added:
        return BuildPath([], [], greedy=True)
    return BuildPath(strategies, added, base, rivals, untrained, greedy=True)


def _listed(parts: Sequence[str], some: Collection[str]) -> str:
    """Parts that come together, in the plan's order."""
    return " + ".join(part for part in parts if part in some)


def _step(
    parts: Sequence[str],
    at: _Place | None,
    without: frozenset[str],
    subset: Subset,
    scored: Scored,
    beside: list[AblatedStrategy],
) -> tuple[_Choice | None, int]:
    """The best next place and how many places could not be compared; `beside` is trained too."""
    untrained = 0
    for count in range(1, len(without) + 1):
        places = list(_next(parts, at, without, count, subset))
        if not places:
            continue
        compared = [*beside, *(place.strategy for place in places if place.without)]
        aucs = scored(compared) if compared else {}
        if aucs is None:
            return None, untrained
        usable = [p for p in places if p.strategy.name in aucs or not p.without]
        untrained += len(places) - len(usable)
        if usable:
            best = max(usable, key=lambda place: aucs.get(place.strategy.name, math.inf))
            rivals = {
                _listed(parts, without - place.without): aucs[place.strategy.name]
                for place in usable
                if place.without
            }
            return _Choice(best, rivals), untrained
    return None, untrained


def _next(
    parts: Sequence[str],
    at: _Place | None,
    without: frozenset[str],
    count: int,
    subset: Subset,
) -> Iterator[_Place]:
    """Subsets with `count` more parts that can be trained and are another model."""
    for added in combinations([part for part in parts if part in without], count):
        left = without - frozenset(added)
        strategy = subset(left)
        if strategy is None:
            continue
        place = _Place(left, strategy)
        if at is None or place.content != at.content:
            yield place
