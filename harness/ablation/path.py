"""From the plainest strategy to the whole, the part first that adds most on validation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fusefront.harness.ablation.plan import AblatedStrategy, Factor, Workbench, short, together
from fusefront.harness.runs.files import digest


class BuildPath(NamedTuple):
    """Strategies from the plainest to the one before the whole, and what each next one adds."""

    strategies: list[AblatedStrategy]
    parts: list[str]  # as many: what is added to each
    base: str = ""  # parts that are there from the start: nothing can be trained without them


def build_path(workbench: Workbench, factors: Sequence[Factor]) -> BuildPath:
    """`factors` are removals of one level each, the first to be added first.

    Where the parts left out together mean nothing (no modality, no id and no field is left), or
    change nothing, the next part is added with it.
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
        name = short(f"{workbench.of} without {names}")
        strategies.insert(0, AblatedStrategy(name, "path", names, strategy, tuple(change)))
        parts.insert(0, " + ".join(waiting))
        waiting = []
    return BuildPath(strategies, parts, " + ".join(waiting))


def by_gain(factors: Sequence[Factor], gains: Mapping[str, float]) -> list[Factor]:
    """Removals in the order of what they add on validation, the most first; those without a
    number last."""
    known = [factor for factor in factors if factor.levels[0].word in gains]
    rest = [factor for factor in factors if factor.levels[0].word not in gains]
    return [*sorted(known, key=lambda factor: -gains[factor.levels[0].word]), *rest]
