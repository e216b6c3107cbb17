"""Search spaces: from dotted keys to Optuna distributions, and from parameters back to settings."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fusefront.harness.runs.files import Json
from fusefront.harness.runs.study import Range, assign

if TYPE_CHECKING:  # imported where a search is: a report starts without it
    from optuna.distributions import BaseDistribution

Space = Mapping[str, Range | tuple[Any, ...]]


def distributions(space: Space) -> dict[str, "BaseDistribution"]:
    """One Optuna distribution for each key; keys with at most one value are left out, see
    `constants`."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    by_key: dict[str, BaseDistribution] = {}
    for key, values in space.items():
        if len(_ends(values)) < 2:
            continue
        if isinstance(values, Range):
            whole = isinstance(values.low, int) and isinstance(values.high, int)
            by_key[key] = (
                IntDistribution(int(values.low), int(values.high), log=values.log)
                if whole
                else FloatDistribution(float(values.low), float(values.high), log=values.log)
            )
        else:
            by_key[key] = CategoricalDistribution([_plain(value) for value in values])
    return by_key


def constants(space: Space) -> dict[str, Json]:
    """The keys that have one value only, with this value: all trials have it, also trial 0."""
    alone = {key: _ends(values) for key, values in space.items()}
    return {key: _plain(values[0]) for key, values in alone.items() if len(values) == 1}


def _ends(values: Range | tuple[Any, ...]) -> tuple[Any, ...]:
    """The choices, or the two ends of a range."""
    if not isinstance(values, Range):
        return values
    return (values.low,) if values.low == values.high else (values.low, values.high)


def _plain(value: Json) -> bool | int | float | str | None:
    """A value that Optuna accepts: scalars as they are, anything else as JSON text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return "json:" + json.dumps(value, sort_keys=True)


def apply(
    params: Mapping[str, Json], settings: Mapping[str, Json], training: Mapping[str, Json]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Settings and training with the parameters put in at their dotted keys."""
    parts: dict[str, Any] = {"settings": _copy(settings), "training": _copy(training)}
    for key, value in params.items():
        if isinstance(value, str) and value.startswith("json:"):
            value = json.loads(value.removeprefix("json:"))
        place = key if key.startswith("training.") else f"settings.{key}"
        part = key.partition(".")[0]
        if place != key and part != key and isinstance(name := parts["settings"].get(part), str):
            parts["settings"][part] = {"name": name}  # a name alone is short for its mapping
        parts["settings"].pop(key, None)  # a setting written as `head.dropout` would override it
        assign(parts, place, value)
    return parts["settings"], parts["training"]


def _copy(value: Mapping[str, Json]) -> dict[str, Json]:
    copied: dict[str, Json] = json.loads(json.dumps(dict(value)))
    return copied
