"""Checks of constructor arguments, with an error message for values that cannot be used."""

from collections.abc import Iterable


def one_of(keyword: str, value: str, known: Iterable[str]) -> str:
    """The value, or a ValueError that names the known ones.

    >>> one_of("readout", "tokens", ("linear", "tokens"))
    'tokens'
    """
    known = tuple(known)
    if value not in known:
        raise ValueError(f"{keyword} is {value!r}; expected one of {', '.join(map(repr, known))}")
    return value


def between(keyword: str, value: float, low: float, high: float = float("inf")) -> float:
    """The value, or a ValueError if it is not above `low` and below `high`."""
    if not low < value < high:
        upper = "" if high == float("inf") else f" and below {high:g}"
        raise ValueError(f"{keyword} is {value}; expected a number above {low:g}{upper}")
    return value
