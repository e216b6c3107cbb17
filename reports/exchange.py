"""Frozen dataclasses to JSON values and back, by their type hints."""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Json = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None
T = TypeVar("T")


def encode(record: object) -> dict[str, Json]:
    """A dataclass as a JSON object.

    Raises:
        TypeError: the record is no dataclass.
    """
    if not is_dataclass(record):
        raise TypeError(f"got {type(record).__name__}, expected a dataclass")
    return {f.name: _plain(getattr(record, f.name)) for f in fields(record)}


def decode(kind: type[T], value: Json, where: str) -> T:
    """A JSON object as a dataclass; raises ValueError, which names the key that does not fit."""
    return cast(T, _typed(kind, value, where))


def write_json(value: Json, path: Path) -> None:
    """One value as a file of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Json:
    """The JSON value of a file; raises ValueError, which names the file, if it is not JSON."""
    try:
        return cast(Json, json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}); make the evidence again") from error


def _plain(value: object) -> Json:
    if is_dataclass(value):
        return encode(value)
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    raise TypeError(f"got {type(value).__name__}, expected a JSON value")


def _typed(kind: object, value: Json, where: str) -> object:
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _record(cast(type, kind), value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _typed(next(k for k in inner if k is not type(None)), value, where)
    if origin is Literal:
        if value not in inner:
            raise ValueError(
                f"{where}: got {value!r}, expected one of {', '.join(map(repr, inner))}"
            )
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(inner[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return {str(k): _typed(inner[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(kind, value, where)


def _scalar(kind: object, value: Json, where: str) -> object:
    if kind is float and value is None:
        return math.nan
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in (str, bool, int) and type(value) is kind:
        return value
    name = getattr(kind, "__name__", str(kind))
    raise ValueError(f"{where}: got {value!r}, expected {name}")


def _record(kind: type, value: Json, where: str) -> object:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: got {value!r}, expected an object")
    hints = get_type_hints(kind)
    known = {f.name: hints[f.name] for f in fields(kind)}
    if stray := sorted(value.keys() - known.keys()):
        raise ValueError(f"{where}: unknown key {stray[0]!r}; known: {', '.join(sorted(known))}")
    try:
        return kind(**{k: _typed(known[k], v, f"{where}.{k}") for k, v in value.items()})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error
