"""Turns settings from a mapping, as YAML gives it, into a frozen dataclass, and refuses invalid
ones."""

import difflib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from torch import nn

Part = Mapping[str, object]  # {"name": ..., keyword: value}
S = TypeVar("S")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error sentence: the nearest known name, and all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ";"
    return f"{hint} known: {', '.join(names) or 'none'}"


def expand(settings: Mapping[str, object]) -> dict[str, object]:
    """Dotted keys to nested mappings: `{"pooler.heads": 2}` is `{"pooler": {"heads": 2}}`."""
    nested: dict[str, object] = {}
    for key, value in settings.items():
        head, _, rest = key.partition(".")
        if not rest:
            before = nested.get(head)
            both = isinstance(before, Mapping) and isinstance(value, Mapping)
            nested[head] = {**value, **before} if both else value  # type: ignore[dict-item]
            continue
        inner = nested.get(head, {})
        inner = {"name": inner} if isinstance(inner, str) else inner
        nested[head] = {**inner, rest: value} if isinstance(inner, Mapping) else {rest: value}
    return nested


def resolve(kind: type[S], settings: Mapping[str, object], owner: str) -> S:
    """Make the dataclass `kind`; a nested mapping without another `name` updates the default.

    Raises:
        ValueError: a setting is unknown, or a value does not fit its type or its choices.
    """
    hints = get_type_hints(kind)
    expanded = expand(settings)
    if stray := sorted(expanded.keys() - hints.keys()):
        raise ValueError(f"{owner}: unknown setting {stray[0]!r}{did_you_mean(stray[0], hints)}")
    values: dict[str, object] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in expanded:
            continue
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        value = _merge(expanded[field.name], default, hints[field.name])
        values[field.name] = _convert(value, hints[field.name], f"{owner}: setting {field.name!r}")
    return kind(**values)


def _merge(value: object, default: object, hint: object) -> object:
    """A name alone is short for its mapping; "none" means None where None is allowed."""
    if not _holds_mapping(hint):
        return value
    value = {"name": "none"} if value is None else value
    value = {"name": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        return value
    if value.get("name") == "none" and type(None) in get_args(hint):
        return None
    if isinstance(default, Mapping) and value.get("name", default["name"]) == default["name"]:
        return {**default, **value}
    return value


def _holds_mapping(hint: object) -> bool:
    return get_origin(hint) is Mapping.__mro__[0] or any(map(_holds_mapping, get_args(hint)))


def _convert(value: object, hint: object, where: str) -> object:
    if get_origin(hint) in (Union, types.UnionType):
        options = get_args(hint)
        if value is None and type(None) in options:
            return None
        for option in options:
            if option is not type(None) and _fits(value, option):
                return _convert(value, option, where)
    elif _fits(value, hint):
        if get_origin(hint) is tuple:
            return tuple(value)  # type: ignore[arg-type]
        if hint is float:
            return float(value)  # type: ignore[arg-type]
        if _holds_mapping(hint):
            return {key: tuple(v) if isinstance(v, list) else v for key, v in value.items()}  # type: ignore[attr-defined]
        return value
    raise ValueError(f"{where} is {value!r}, expected {_words(hint)}; correct it")


def _fits(value: object, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is tuple:
        inner = get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_fits(part, inner) for part in value)
    if _holds_mapping(hint):
        return isinstance(value, Mapping)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: object) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_words(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list of {_words(get_args(hint)[0])}"
    if _holds_mapping(hint):
        return "a mapping with a 'name'"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}
    return names.get(hint, "none" if hint is type(None) else str(hint))  # type: ignore[call-overload,no-any-return]


def find_part(
    kind: str, zoo: Mapping[str, Callable[..., nn.Module]], spec: Part
) -> tuple[Callable[..., nn.Module], dict[str, object]]:
    """The class that a spec names and its keywords, after checking that they exist.

    Raises:
        ValueError: the name or one of the keywords is unknown.
    """
    name = spec.get("name")
    if name not in zoo:
        raise ValueError(f"unknown {kind} {name!r}{did_you_mean(name, zoo)}")
    part, keywords = zoo[str(name)], {k: v for k, v in spec.items() if k != "name"}
    known = {
        key: parameter
        for key, parameter in inspect.signature(part).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    if stray := sorted(keywords.keys() - known.keys()):
        raise ValueError(
            f"{kind} {name!r}: unknown setting {stray[0]!r}{did_you_mean(stray[0], known)}"
        )
    for key, value in keywords.items():
        allowed = (known[key].default, *getattr(part, "choices", {}).get(key, ()))
        _check_value(f"{kind} {name!r}: setting {key!r}", value, known[key].annotation, allowed)
    return part, keywords


def check_numbers(owner: str, settings: object, choices: Mapping[str, tuple[object, ...]]) -> None:
    """Refuse a dataclass of settings whose numbers no model can have."""
    hints = get_type_hints(type(settings))
    for field in fields(settings):  # type: ignore[arg-type]
        allowed = (field.default, *choices.get(field.name, ()))
        value, where = getattr(settings, field.name), f"{owner}: setting {field.name!r}"
        _check_value(where, value, hints[field.name], allowed)


def _check_value(where: str, value: object, hint: object, allowed: tuple[object, ...]) -> None:
    """Check the setting's type; integers are counts, from 1 on unless a default or choice is
    lower."""
    if hint not in (bool, int, float, str) and get_origin(hint) is not tuple:
        return
    _convert(value, hint, where)
    if hint is float and "dropout" in where and not 0.0 <= value < 1.0:  # type: ignore[operator]
        raise ValueError(f"{where} is {value}, expected 0 to below 1; correct it")
    if hint is int:
        least = min(1, *(number for number in allowed if isinstance(number, int)), 1)
        _at_least(where, value, least)
    elif get_origin(hint) is tuple and get_args(hint)[0] is int:
        for width in value:  # type: ignore[attr-defined]
            _at_least(where, width, 1)


def _at_least(where: str, value: object, least: int) -> None:
    if value < least:  # type: ignore[operator]
        raise ValueError(f"{where} is {value}, expected at least {least}; raise it")


def make_part(
    kind: str, zoo: Mapping[str, Callable[..., nn.Module]], spec: Part, *positions: int
) -> nn.Module:
    """Build the part that a spec names; errors of its constructor get its name."""
    part, keywords = find_part(kind, zoo, spec)
    try:
        return part(*positions, **keywords)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{kind} {spec['name']!r}: {error}") from error


def one_of(owner: str, setting: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is none of the known ones."""
    if value not in known:
        raise ValueError(f"{owner}: setting {setting!r} is {value!r}{did_you_mean(value, known)}")
