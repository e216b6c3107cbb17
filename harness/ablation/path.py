"""A path from the plainest strategy to the whole one; parts that add most on validation come
first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fusefront.harness.ablation.plan import AblatedStrategy, Factor, Workbench, together
from fusefront.harness.runs.files import digest


class BuildPath(NamedTuple):
    """The strategies from the plainest to the last before the whole one, and the part that each
    next one adds."""

    strategies: list[AblatedStrategy]
    parts: list[str]  # the part added to each strategy, same length
    base: str = ""  # parts the path starts with: without them nothing can be trained
    rivals: Sequence[Mapping[str, float]] = ()  # of each step: parts -> AUC on validation
    untrained: int = 0  # subsets that a step should have compared and that were not trained
    greedy: bool = False  # each step adds the part with the largest gain; else one fixed order
    open: int = 0  # parts without a place yet: the runs that the next step compares are missing


class PathRuns(NamedTuple):
    """The trainings that a path needs beside the plan's own, and whether they may be fewer."""

    trainings: int
    at_most: bool


NO_PATH = PathRuns(0, at_most=False)


def build_path(workbench: Workbench, factors: Sequence[Factor]) -> BuildPath:
    """The path that adds `factors` (removals of one level each) in their order.

    If a strategy without the remaining parts is impossible (no modality, no id and no field is
    left), or equal to the previous one, the next part is added together with it.
    """
    strategies: list[AblatedStrategy] = []
    parts: list[str] = []
    before = digest(
        workbench.parent.model_copy(update={"role": "ablation"}).model_dump(mode="json")
    )
    waiting: list[str] = []
    for count in range(len(factors) - 1, -1, -1):  # from the whole downwards
        out = factors[count:]
        waiting.insert(0, factors[count].name)
        resolved = workbench.first_meaningful(together([factor.levels[0] for factor in out]))
        if resolved is None:
            continue
        strategy, change = resolved
        if (content := digest(strategy.model_dump(mode="json"))) == before:
            continue
        before = content
        names = ", ".join(factor.name for factor in out)
        name = workbench.name(f"without {names}")
        strategies.insert(0, AblatedStrategy(name, "path", names, strategy, tuple(change)))
        parts.insert(0, " + ".join(waiting))
        waiting = []
    return BuildPath(strategies, parts, " + ".join(waiting))


def by_gain(factors: Sequence[Factor], gains: Mapping[str, float]) -> list[Factor]:
    """The removals in the order of the AUC that they add on validation, largest first; unknown ones
    last."""
    known = [factor for factor in factors if factor.levels[0].word in gains]
    rest = [factor for factor in factors if factor.levels[0].word not in gains]
    return [*sorted(known, key=lambda factor: -gains[factor.levels[0].word]), *rest]
