"""Which parts of a strategy are plug-ins, and from which file or package."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fusefront.harness.errors import UsageError
from fusefront.harness.parts.kinds import BASELINE, MODEL_KINDS
from fusefront.harness.parts.outside_parts import Own
from fusefront.harness.runs.files import Json


def source_of(part: object) -> Path | None:
    """The file that a plug-in part is defined in; None for parts that ship."""
    name = str(getattr(part, "__module__", None) or type(part).__module__)
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if name.partition(".")[0] == "fusefront" or file is None else Path(file)


def used_by(own: Sequence[Own], baseline: str, settings: Mapping[str, Json]) -> list[Own]:
    """The parts of `own` that a strategy names: as its baseline, or anywhere in its settings.

    Their `files` are the plug-in code that the strategy depends on.
    """
    names = set(_names(settings))
    return [
        part
        for part in own
        if part.kind in MODEL_KINDS
        and (part.name == baseline if part.kind is BASELINE else part.name in names)
    ]


def _names(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)


def fails(part: Own, error: Exception, when: str = "cannot be built") -> UsageError:
    """The error for whatever a plug-in raised, with its name and file."""
    reason = " ".join(str(error).split())[:200].rstrip(".")
    hint = f"`fusefront check {part.files[0]}`" if part.files else "`fusefront check`"
    return UsageError(
        f"{part.owner}: {part.kind.word} {part.name!r} {when} ({type(error).__name__}: {reason}); "
        f"mend it, {hint} says what it breaks"
    )
