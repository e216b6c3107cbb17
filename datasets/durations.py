"""Durations as people write them: 20s, 10m, 1h, 7d, 2w."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def checked(text: str) -> str:
    """A duration as it was written; ValueError says what is expected."""
    match = _FORM.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"got {text!r}, expected a number and a unit: 20s, 10m, 1h, 7d or 2w")
    return match[1] + match[2]


def ticks(text: str | None, unit: str) -> int:
    """A duration in `unit` (s, ms, us or ns) of a log's times; None is 0.

    >>> ticks("1.5h", "s"), ticks("7d", "ms"), ticks(None, "s")
    (5400, 604800000, 0)
    """
    if text is None:
        return 0
    match = _FORM.fullmatch(text)
    assert match is not None, text
    return round(float(match[1]) * _SECONDS[match[2]] * _TICKS[unit])
