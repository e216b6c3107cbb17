"""Factorial plans and plans from a YAML file: factors with levels, varied one at a time or
crossed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator

from fusefront.datasets.errors import expectation
from fusefront.datasets.yaml_file import read_yaml
from fusefront.harness.ablation.plan import (
    AblatedStrategy,
    Change,
    Factor,
    Level,
    Workbench,
    each_level,
    every_combination,
    removals,
)
from fusefront.harness.ablation.subsets import MOST_MODALITIES, left_out, trained_subsets
from fusefront.harness.ablation.swaps import full_plan
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import canonical
from fusefront.harness.runs.nearest import or_nearest
from fusefront.harness.runs.recipe import StrictModel

PLANS = ("minimal", "full", "factorial", "modalities")
CROSSED = ("operator", "compressor", "pooler", "head")  # varied by the factorial plan
MOST_CELLS = 256


class AblationDesign(NamedTuple):
    """A named plan: its factors, and whether they are varied one at a time or crossed."""

    name: str
    factors: list[Factor]
    crossed: bool
    only: tuple[frozenset[str], ...] = ()  # of crossed factors the cells, by what is left out

    def strategies(self, workbench: Workbench) -> list[AblatedStrategy]:
        """The strategies that are trained beside the parent.

        Raises:
            UsageError: no change of the plan is possible for this strategy.
        """
        if not self.crossed:
            return each_level(workbench, self.factors)
        return every_combination(workbench, self.factors, self.only)


class PlanFile(StrictModel):
    """A plan in a YAML file: dotted settings or training.<key>, each with its levels."""

    factors: dict[str, tuple[Any, ...]] = Field(min_length=1)
    design: Literal["each", "factorial"] = "each"

    @field_validator("factors")
    @classmethod
    def _with_levels(cls, factors: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for name, levels in factors.items():
            if not levels:
                raise ValueError(f"{name}: got no level, expected a list of values")
            texts = [canonical(level) for level in levels]
            for text in texts:
                if texts.count(text) > 1:
                    raise ValueError(f"{name}: {text:.60} is listed twice")
        return factors


def design_of(plan: str, workbench: Workbench) -> AblationDesign:
    """The plan that a name or a YAML file stands for.

    Raises:
        UsageError: it is neither a known name nor a file with a valid plan, or it has too many
            cells.
    """
    if plan == "minimal":
        return AblationDesign(plan, removals(workbench), crossed=False)
    if plan == "full":
        return AblationDesign(plan, full_plan(workbench), crossed=False)
    if plan == "factorial":
        crossed = [factor for factor in removals(workbench) if factor.name in CROSSED]
        crossed = [f for f in crossed if workbench.first_meaningful(f.levels[0].tries)]
        if len(crossed) < 2:
            raise UsageError(
                f"strategy {workbench.of!r} has {len(crossed)} of {', '.join(CROSSED)} to take "
                "out, a factorial plan crosses two at least; name factors in a YAML file"
            )
        return AblationDesign(plan, crossed, crossed=True)
    if plan == "modalities":
        names = workbench.modalities
        factors = _subsets(workbench)
        drawn = trained_subsets(len(names))
        only = () if drawn.exact else tuple(left_out(names, drawn))
        return AblationDesign(plan, factors, crossed=True, only=only)
    path = Path(plan)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"--plan {plan!r}: expected {', '.join(PLANS)} or a YAML file{or_nearest(plan, PLANS)}"
        )
    return _own_design(path, workbench)


def _subsets(workbench: Workbench) -> list[Factor]:
    """Each modality in or out; the empty subset is trained with ids and fields alone."""
    names = workbench.modalities
    if not 2 <= len(names) <= MOST_MODALITIES:
        raise UsageError(
            f"strategy {workbench.of!r} reads {len(names)} modalities, the plan 'modalities' "
            f"trains subsets of 2 to {MOST_MODALITIES}; `fusefront explain` hides them from one "
            "trained model instead"
        )
    factors = []
    for out in names:
        rest: Change = {"modalities": [name for name in names if name != out]}
        tries = (rest, {**rest, "alignment": None}, {**rest, "operator": None})
        factors.append(Factor(out, "modality", (Level(out, tries),)))
    return factors


def _own_design(path: Path, workbench: Workbench) -> AblationDesign:
    if not path.exists():
        raise UsageError(f"--plan {path}: there is no such file")
    try:
        own = PlanFile.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = tuple(PlanFile.model_fields)
            raise UsageError(f"{path}: unknown key {where!r}{or_nearest(where, known)}") from None
        message = expectation(first["type"], first["msg"])
        raise UsageError(f"{path}: {where or 'the plan'}: {message}") from None
    factors = [_factor(name, levels, workbench, path) for name, levels in own.factors.items()]
    factors = [factor for factor in factors if factor.levels]
    if not factors:
        raise UsageError(
            f"{path}: every level is what {workbench.of!r} has already; name others to try"
        )
    crossed = own.design == "factorial"
    cells = 1
    for factor in factors:
        cells *= len(factor.levels) + 1
    if crossed and (len(factors) < 2 or cells > MOST_CELLS):
        raise UsageError(
            f"{path}: got {len(factors)} factors and {cells} cells, a factorial plan has two "
            f"factors at least and {MOST_CELLS} cells at most; name fewer levels, or design: each"
        )
    return AblationDesign(path.stem, factors, crossed)


def _factor(name: str, levels: tuple[Any, ...], workbench: Workbench, path: Path) -> Factor:
    """A factor without the parent's own level; refused with a UsageError if no level is
    possible."""
    others = [
        Level(f"{name} {spelled(level)}", ({name: level},))
        for level in levels
        if not _is_own(name, level, workbench)
    ]
    for level in others:
        if workbench.first_meaningful(level.tries) is None:
            raise UsageError(f"{path}: {level.word}: {_refusal(workbench, level.tries[0])}")
    return Factor(name, "swap", tuple(others))


def _refusal(workbench: Workbench, change: Change) -> str:
    """The reason why the baseline refuses the change."""
    baseline = workbench.parts.baselines[workbench.parent.baseline]
    settings = {**workbench.parent.settings, **change}
    try:
        baseline.check(workbench.schema, settings, workbench.parts)
    except ValueError as error:
        return str(error)
    return "it means nothing here"


def _is_own(name: str, level: Any, workbench: Workbench) -> bool:
    at: Any = workbench.resolved
    if name.startswith("training."):
        at = {"training": workbench.parent.training}
    for key in name.split("."):
        if not isinstance(at, Mapping) or key not in at:
            return False
        at = at[key]
    if isinstance(at, Mapping) and isinstance(level, str):
        return bool(at.get("name") == level)
    if isinstance(at, Mapping) and isinstance(level, Mapping):
        return all(_plain(at.get(key)) == _plain(value) for key, value in level.items())
    return bool(_plain(at) == _plain(None if level == "none" else level))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def spelled(level: Any) -> str:
    """A level in words.

    >>> spelled({"name": "bilinear", "rank": 8}), spelled(["text", "image"]), spelled(None)
    ('bilinear rank 8', 'text+image', 'none')
    """
    if isinstance(level, Mapping):
        rest = (f"{key} {spelled(value)}" for key, value in level.items() if key != "name")
        return " ".join([str(level.get("name", "")), *rest]).strip()
    if isinstance(level, list | tuple):
        return "+".join(spelled(part) for part in level) or "none"
    if isinstance(level, bool):
        return "on" if level else "off"
    return "none" if level is None else f"{level:g}" if isinstance(level, float) else str(level)
