"""Refuses booleans where a number is expected, since YAML's `true` and `yes` would be read as 1."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationInfo, field_validator


class Numbers(BaseModel):
    """Base of what is read from YAML: a field that takes a number takes no word of truth.

    >>> class Count(Numbers):
    ...     trials: int
    >>> Count.model_validate({"trials": True})
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Count
    trials
      Value error, got true, expected a number ...
    """

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_no_words(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields.get(info.field_name or "")
        kinds = set(_leaves(field.annotation)) if field is not None else {bool}
        if bool not in kinds and kinds & {int, float}:
            for word in value if isinstance(value, list | tuple) else [value]:
                if isinstance(word, bool):
                    raise ValueError(f"got {str(word).lower()}, expected a number")
        return value


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types of which an annotation is a union or a tuple; those of a mapping's are its own."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin in (Union, types.UnionType, tuple, list):
        for inner in get_args(annotation):
            yield from _leaves(inner)
    else:
        yield annotation
