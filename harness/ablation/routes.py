"""The path of an ablation from its plan: in one order, or greedy, trained as it goes."""

from collections.abc import Callable, Sequence

import numpy as np

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation.findings import REMOVED
from fusefront.harness.ablation.greedy import Subset, greedy_path
from fusefront.harness.ablation.path import NO_PATH, BuildPath, PathRuns, build_path, by_gain
from fusefront.harness.ablation.plan import (
    OWN,
    AblatedStrategy,
    Factor,
    Workbench,
    together,
)
from fusefront.harness.ablation.planned import Planned
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training.run import find_record

Train = Callable[[list[AblatedStrategy]], None]


def ordered_path(planned: Planned) -> BuildPath:
    """In the order of what each part adds alone on validation: test chooses nothing."""
    whole = _mean(valid_aucs(planned, planned.parent_cells))
    gains = {}
    for each in removed_parts(planned):
        without = _mean(valid_aucs(planned, planned.cells_of([each])))
        if whole is not None and without is not None:
            gains[each.without] = whole - without
    factors = [f for f in _factors(planned) if f.levels[0].word in gains]
    if len(factors) < 2:
        return BuildPath([], [])
    return build_path(planned.workbench, by_gain(factors, gains))


def trained_path(planned: Planned, train: Train) -> BuildPath:
    """Greedy; `train` has the runs of all subsets that a step compares before it is chosen."""
    factors = _factors(planned)
    if len(factors) < 2:
        return BuildPath([], [], greedy=True)

    def scored(strategies: list[AblatedStrategy]) -> dict[str, float]:
        train(strategies)
        return known_aucs(planned, strategies)

    names = [factor.name for factor in factors]
    return greedy_path(names, _subsets(planned.workbench, factors), scored)


def crossed_path(planned: Planned) -> BuildPath:
    """Greedy over the cells of a plan that crosses parts left out: nothing more is trained."""
    factors = _factors(planned)
    if len(factors) < 2 or len(factors) < len(planned.designed.factors):
        return BuildPath([], [], greedy=True)
    cells = {
        frozenset(factor for factor, level in each.levels if level != OWN): each
        for each in planned.removed
    }
    trainable = _subsets(planned.workbench, factors)  # a drawn plan has not all of them
    names = {each.name for each in planned.removed}
    return greedy_path(
        [factor.name for factor in factors],
        lambda without: cells.get(without) or trainable(without),
        lambda strategies: known_aucs(planned, [s for s in strategies if s.name in names]),
    )


def path_runs(planned: Planned, *, greedy: bool) -> PathRuns:
    """What `ordered_path` or `trained_path` would train beside the plan's own runs, as far as the
    runs on record tell, trials included; a plan that crosses its parts trains none."""
    factors, study = _factors(planned), planned.plan.study
    if len(factors) < 2 or planned.designed.crossed:
        return NO_PATH
    each = len(study.seeds) + (study.tuning.trials if planned.retuned else 0)
    own = planned.lacking(planned.removed)
    if not greedy:
        if own:  # the order is not known
            return PathRuns((len(factors) - 1) * each, at_most=True)
        return PathRuns(len(planned.lacking(ordered_path(planned).strategies)), at_most=False)
    compared: list[AblatedStrategy] = []

    def scored(strategies: list[AblatedStrategy]) -> dict[str, float] | None:
        compared.extend(strategies)
        return None if planned.lacking(strategies) else known_aucs(planned, strategies)

    names = [factor.name for factor in factors]
    path = greedy_path(names, _subsets(planned.workbench, factors), scored)
    runs = len(planned.lacking(compared) - own)
    later = sum(range(3, path.open)) * each  # with two parts left it compares the removals
    return PathRuns(runs + later, at_most=bool(later))


def removed_parts(planned: Planned) -> list[AblatedStrategy]:
    """Those of the plan in which a single part is left out."""
    return [each for each in planned.removed if each.kind in REMOVED]


def known_aucs(planned: Planned, strategies: Sequence[AblatedStrategy]) -> dict[str, float]:
    """Mean AUC on validation of the strategies that have it at every seed of the study."""
    aucs = {}
    for each in strategies:
        values = valid_aucs(planned, planned.cells_of([each]))
        if values and None not in values:
            aucs[each.name] = float(np.mean([value for value in values if value is not None]))
    return aucs


def valid_aucs(planned: Planned, cells: Sequence[Cell]) -> list[float | None]:
    """One a cell; None where it has no run, or one that is damaged or has no such number."""
    values: list[float | None] = []
    for cell in cells:
        try:
            recorded = find_record(cell, planned.workspace.root)
        except DataContractError:
            recorded = None
        values.append(None if recorded is None else recorded.summary.get("valid_auc"))
    return values


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _factors(planned: Planned) -> list[Factor]:
    """The parts that can be left out and that mean something when they are."""
    factors = [factor for factor in planned.designed.factors if factor.kind in REMOVED]
    if planned.designed.crossed:
        return factors
    words = {each.without for each in removed_parts(planned)}
    return [factor for factor in factors if factor.levels[0].word in words]


def _whole(workbench: Workbench) -> AblatedStrategy:
    """The parent among its subsets; it is compared with them as if it were a removal."""
    strategy = workbench.parent.model_copy(update={"role": "ablation"})
    return AblatedStrategy(workbench.of, "path", "", strategy)


def _subsets(workbench: Workbench, factors: Sequence[Factor]) -> Subset:
    """The strategy without some of the parts, as far as that means anything."""

    def subset(without: frozenset[str]) -> AblatedStrategy | None:
        out = [factor for factor in factors if factor.name in without]
        if not out:
            return _whole(workbench)
        resolved = workbench.first_meaningful(together([factor.levels[0] for factor in out]))
        if resolved is None:
            return None
        strategy, change = resolved
        names = ", ".join(factor.name for factor in out)
        return AblatedStrategy(
            workbench.name(f"without {names}"), "path", names, strategy, tuple(change)
        )

    return subset
