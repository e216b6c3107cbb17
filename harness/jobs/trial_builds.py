"""Builds everything that a search could try before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.zoo import check_settings
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.origins import fails, used_by
from fusefront.harness.parts.outside_parts import Own
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.nearest import nearest, or_nearest
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.study import Range, Strategy
from fusefront.harness.testing.shapes import FEW, filled
from fusefront.harness.tuning.space import Space, apply

if TYPE_CHECKING:
    from fusefront.harness.jobs.matrix import StudyPlan

_UNKNOWN = "unknown setting"  # how a baseline refuses a key


def check_strategies(plan: "StudyPlan", own: Sequence[Own]) -> None:
    """Check that every strategy can be built on these data.

    `own` are the parts that do not ship with fusefront: errors they raise are reported with their
    name.

    Raises:
        UsageError: a strategy has an unknown part or setting, or does not fit the data set.
    """
    modalities = schema_of(plan.store).modalities
    for name, strategy in plan.strategies.items():
        if strategy.baseline not in plan.parts.baselines:
            hint = or_nearest(strategy.baseline, plan.parts.baselines)
            raise UsageError(
                f"strategy {name!r}: baseline {strategy.baseline!r} is not known{hint}"
            )
        _check_vectors(name, strategy, tuple(modalities))
        try:
            _build(plan, own, name, strategy.settings)
        except UsageError as error:
            raise _nearer(name, strategy, error) from error


def _check_vectors(name: str, strategy: Strategy, modalities: Sequence[str]) -> None:
    """Whether a control names modalities of the data, and of each what is put in its place."""
    for key in ("shuffle", "randomize"):
        for modality in getattr(strategy, key):
            if modality not in modalities:
                hint = or_nearest(modality, modalities)
                raise UsageError(
                    f"strategy {name!r}: {key} names {modality!r}, no modality of the data{hint}"
                )
    if both := [each for each in strategy.shuffle if each in strategy.randomize]:
        raise UsageError(
            f"strategy {name!r}: {both[0]!r} is named by shuffle and by randomize, expected one"
        )


def check_spaces(plan: "StudyPlan", own: Sequence[Own]) -> dict[str, frozenset[str]]:
    """Build the model of every choice in every search space.

    Returns for each strategy the keys of the study's space that its model does not have; these are
    searched for the other strategies only.

    Raises:
        UsageError: no strategy has a key, or a model cannot be built or trained with a value.
    """
    searched = [name for name in plan.strategies if _takes_part(plan, name)]
    unfit = {name: _unfit(plan, own, name) for name in searched}
    for key in _of_the_study(plan):
        if searched and all(key in unfit[name] for name in searched):
            raise _unknown(plan, own, searched[0], key)
    for name in searched:
        strategy = plan.strategies[name]
        for key in strategy.space:
            if not _known(plan, own, name, key):
                raise _unknown(plan, own, name, key)
        space = {key: v for key, v in plan.space(name).items() if key not in unfit[name]}
        if not plan.study.tuning.trials:  # what the user wrote is checked even if no search runs
            words = {*strategy.space, *_of_the_study(plan)}
            space = {key: values for key, values in space.items() if key in words}
        for params in _choices(space):
            _try(plan, own, name, params)
    for key in _of_the_study(plan):
        if searched and not any(key in plan.space(name) for name in searched):
            raise UsageError(
                f"tuning.space: {key!r} has no effect with the recipe (optimizer, schedule) of any "
                "searched strategy; remove it or change the recipe"
            )
    return unfit


def _takes_part(plan: "StudyPlan", name: str) -> bool:
    """Whether the strategy is searched; refuses a space for one that is not."""
    strategy = plan.strategies[name]
    solved = plan.parts.baselines[strategy.baseline].solved
    part = strategy.tune and not strategy.other_vectors and not solved
    if strategy.space and not part and not strategy.other_vectors:
        why = "its baseline is solved, not trained" if solved else "it says `tune: false`"
        raise UsageError(
            f"strategy {name!r} has a space and is not searched: {why}; remove the space"
        )
    return part


def _of_the_study(plan: "StudyPlan") -> Space:
    """The search space that the study itself gives; empty if it is the default."""
    tuning = plan.study.tuning
    return tuning.space if "space" in tuning.model_fields_set else {}


def _unfit(plan: "StudyPlan", own: Sequence[Own], name: str) -> frozenset[str]:
    """The keys of the study's space that the model does not have, and those of its baseline's
    choices that belong to a part in whose place the strategy has another."""
    choices = plan.parts.baselines[plan.strategies[name].baseline].choices
    keys = dict.fromkeys((*_of_the_study(plan), *choices))
    return frozenset(key for key in keys if not _known(plan, own, name, key))


def _known(plan: "StudyPlan", own: Sequence[Own], name: str, key: str) -> bool:
    """Whether the model of a strategy has this key, whatever its value.

    A key also counts if it belongs to a part that the search may choose instead.
    """
    word = key.removeprefix("training.")
    if word != key:
        return word in Training.model_fields
    strategy = plan.strategies[name]
    space = {**_of_the_study(plan), **strategy.space}
    parents = [part for part in space if key.startswith(f"{part}.")]
    frames = [{part: value} for part in parents for value in _values(space[part])] or [{}]
    return any(_has(plan, own, name, {**frame, key: None}) for frame in frames)


def _has(plan: "StudyPlan", own: Sequence[Own], name: str, params: Mapping[str, Json]) -> bool:
    strategy = plan.strategies[name]
    try:
        settings, _ = apply(params, strategy.settings, strategy.training)
    except UsageError:  # the part is left out
        return False
    try:
        _build(plan, own, name, settings)
    except UsageError as error:
        return _UNKNOWN not in str(error)
    return True


def _try(plan: "StudyPlan", own: Sequence[Own], name: str, params: Mapping[str, Json]) -> None:
    strategy = plan.strategies[name]
    settings, words = apply(params, strategy.settings, strategy.training)
    last = list(params)[-1]
    try:
        if last.startswith("training."):
            plan.recipe(name, words)
        else:
            _build(plan, own, name, settings)
    except UsageError as error:
        listed = ", ".join(f"{key} = {value!r:.60}" for key, value in params.items())
        reason = str(error).removeprefix(f"strategy {name!r}: ")
        cure = f"; `space: {{{last}: []}}` keeps {last} as it is" if len(params) > 1 else ""
        raise UsageError(f"strategy {name!r}, searched with {listed}: {reason}{cure}") from error


def _choices(space: Space) -> Iterator[dict[str, Json]]:
    """One setting for each value of each key; a key within a part (`operator.k`) with each choice
    of that part."""
    for key, values in space.items():
        parents = [part for part in space if key.startswith(f"{part}.") and space[part]]
        frames: list[dict[str, Json]] = [{}]
        for part in parents:
            frames = [{**frame, part: value} for frame in frames for value in _values(space[part])]
        for frame in frames:
            yield from ({**frame, key: value} for value in _values(values))


def _values(values: Range | tuple[Any, ...]) -> tuple[Any, ...]:
    """The choices, or the two ends of a range."""
    if isinstance(values, Range):
        return tuple(dict.fromkeys((values.low, values.high)))
    return values


def _build(
    plan: "StudyPlan",
    own: Sequence[Own],
    name: str,
    settings: Mapping[str, Json],
) -> None:
    """Check the settings and build the model for a few items."""
    baseline = plan.strategies[name].baseline
    schema = schema_of(plan.store)
    try:
        check_settings(baseline, schema, settings, plan.parts)
        kind = plan.parts.baselines[baseline]
        if not issubclass(kind, Composed):  # its check builds every part
            filled(kind, plan.parts, settings, schema._replace(items=FEW))
    except ValueError as error:
        raise UsageError(f"strategy {name!r}: {error}") from error
    except Exception as error:  # a plug-in's code can raise anything
        for part in used_by(own, baseline, settings):
            raise fails(part, error, f"cannot be built for strategy {name!r}") from error
        if isinstance(error, MemoryError | RuntimeError | OverflowError):
            reason = " ".join(str(error).split())[:160]
            raise UsageError(
                f"strategy {name!r} cannot be built ({reason}); make it smaller"
            ) from error
        raise


def _nearer(name: str, strategy: Strategy, error: UsageError) -> UsageError:
    """The error for an unknown setting that is a misspelt key of the strategy: names the key that
    is meant."""
    for key in strategy.settings:
        word = nearest(key, [*Strategy.model_fields, "training"])
        if word and f"{_UNKNOWN} {key!r}" in str(error) and "did you mean" not in str(error):
            return UsageError(f"strategy {name!r}: unknown key {key!r}; did you mean {word!r}?")
    return error


def _unknown(plan: "StudyPlan", own: Sequence[Own], name: str, key: str) -> UsageError:
    """The error for a key of a search space that no model has."""
    known = {f"training.{word}" for word in Training.model_fields}
    for kind in {plan.parts.baselines[s.baseline] for s in plan.strategies.values()}:
        known |= {*kind.choices, *getattr(kind.Settings, "__annotations__", {})}
    where = f"strategy {name!r}: space" if key in plan.strategies[name].space else "tuning.space"
    if word := nearest(key, known):
        return UsageError(f"{where}: unknown key {key!r}; did you mean {word!r}?")
    strategy = plan.strategies[name]
    settings, _ = apply({key: None}, strategy.settings, strategy.training)
    try:
        _build(plan, own, name, settings)
    except UsageError as error:
        return UsageError(f"{where}: unknown key {key!r} ({error})")
    return UsageError(f"{where}: unknown key {key!r}{or_nearest(key, known)}")
