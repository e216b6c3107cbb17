"""Chooses the recipe that trains a strategy: the common one, or the one its model was published
with."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from fusefront.baselines.contract import Baseline
from fusefront.datasets.errors import expectation
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.nearest import or_nearest
from fusefront.harness.runs.recipe import EVERYWHERE, Training, overlay
from fusefront.harness.runs.study import Range, Strategy, Study
from fusefront.harness.tuning.space import Space

Value = TypeVar("Value")
_ADAMW = ("tau", "id_tau", "weight_decay", "id_weight_decay")
_ONLY: Mapping[str, Mapping[str, tuple[str, ...]]] = {  # keys that mean something with some
    # optimisers or schedules alone, and with which
    "optimizer": {
        **dict.fromkeys(_ADAMW, ("adamw", "lazy_adamw")),
        **dict.fromkeys(("l2", "l2_embedding"), ("adam",)),
    },
    "schedule": {"warmup": ("one_cycle",), "anneal": ("plateau",)},
}


def recipe_name(study: Study, strategy: Strategy, kind: type[Baseline]) -> str:
    """Returns "own" if the model has a published recipe and the study does not ask for the common
    one."""
    if kind.solved:
        return "exact"
    return "own" if kind.recipe and (strategy.recipe or study.recipe) == "own" else "common"


def recipe_of(
    study: Study,
    strategy: Strategy,
    kind: type[Baseline],
    training_words: Mapping[str, Json],
    rows: int,
) -> Training:
    """The strategy's recipe with its `training_words` (its own keys, a search's values) put over
    it.

    `rows`, the rows of train, choose the batch size where no key sets it.
    """
    if kind.solved:
        return Training(schedule="exact").resolved(rows)
    base: dict[str, Json] = study.training.model_dump(mode="json", exclude_unset=True)
    if recipe_name(study, strategy, kind) == "own":
        base = _own(kind, base)
    return checked(overlay(base, training_words), kind.name).resolved(rows)


def _own(kind: type[Baseline], study_words: Mapping[str, Json]) -> dict[str, Json]:
    """The published recipe; the study's keys on batch size and length apply to it, too."""
    own = {**kind.recipe, **{key: study_words[key] for key in EVERYWHERE if key in study_words}}
    longest, cap = kind.recipe.get("epochs"), study_words.get("epochs")
    if isinstance(longest, int) and isinstance(cap, int):
        own["epochs"] = min(longest, cap)
    return own


def checked(training: Mapping[str, Json], owner: str) -> Training:
    """The mapping as a recipe; raises UsageError with a sentence on what is wrong."""
    if training.get("schedule") == "exact":
        raise UsageError(f"{owner}: schedule 'exact' is for controls that are solved; give another")
    try:
        return Training.model_validate(training)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            hint = or_nearest(key, Training.model_fields)
            raise UsageError(f"{owner}: unknown training key {key!r}{hint}") from error
        message = expectation(first["type"], first["msg"])
        where = f"training.{key}: {message} (got {first['input']!r:.80})" if key else message
        raise UsageError(f"{owner}: {where}") from error


def searched_training(space: Space, recipe: Training, *, own: bool, unset: bool) -> Space:
    """The training keys of a search space that have a meaning for the recipe.

    If the study names no training keys (`unset`), a published recipe is searched over its own
    ranges: its learning rate, and the L2 of its embeddings if it has one.
    """
    fitting = meaningful(space, recipe)
    if not own or not unset:
        return fitting
    narrowed = {key: values for key, values in fitting.items() if not key.startswith("training.")}
    rate, l2 = recipe.learning_rate, recipe.l2_embedding
    narrowed["training.learning_rate"] = Range(low=rate / 3, high=rate * 3, log=True)
    if l2:
        narrowed["training.l2_embedding"] = (l2 / 10, l2, l2 * 10)
    return narrowed


def meaningful(words: Mapping[str, Value], recipe: Training) -> dict[str, Value]:
    """The settings, by dotted name, that have a meaning with the recipe's optimiser and
    schedule."""
    return {key: value for key, value in words.items() if _means(key, recipe)}


def _means(key: str, recipe: Training) -> bool:
    word = key.removeprefix("training.")
    if word == key:
        return True
    return all(
        word not in owners or getattr(recipe, field) in owners[word]
        for field, owners in _ONLY.items()
    )
