"""Reads a YAML file that a person wrote: refuses duplicate keys and aliases; errors are one
sentence."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from fusefront.datasets.errors import SpecError

MOST_BYTES = 1 << 20  # a spec has a page; a megabyte is a mistake or an attack
MOST_NODES = 50_000
UNKNOWN = "UNKNOWN"  # without quotes: what `init` could not tell

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses duplicate keys and aliases (nested aliases could exhaust
    memory)."""

    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise SpecError(f"line {line}: got a YAML alias (*name); write the value out instead")
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise SpecError(f"more than {MOST_NODES:,} YAML values; a spec needs a few dozen")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names: set[str] = set()
        for key, value in node.value:
            name = str(self.construct_object(key, deep=True))
            if isinstance(value, yaml.ScalarNode) and (value.value, value.style) == (UNKNOWN, None):
                line = value.start_mark.line + 1
                raise SpecError(
                    f"line {line}: {name!r} is {UNKNOWN}: its value could not be guessed from "
                    "the files; write one of the readings in the comment there"
                )
            if name in names:
                line = key.start_mark.line + 1
                raise SpecError(f"line {line}: key {name!r} appears twice; keep one of them")
            names.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Json]:
    """The mapping in `path`; SpecError names the file, the line and the fix."""
    text = _text(path)
    try:
        loaded = yaml.load(text, _Loader)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise SpecError(f"{path}: {where}not valid YAML ({problem}); fix the syntax") from None
    except (RecursionError, ValueError) as error:
        raise SpecError(f"{path}: not a readable spec ({error}); simplify the YAML") from None
    if not isinstance(loaded, dict):
        content = "nothing" if loaded is None else type(loaded).__name__
        raise SpecError(f"{path}: got {content}, expected a mapping of keys; see docs/datasets.md")
    return loaded


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise SpecError(
                f"{path}: {size:,} bytes is no spec (limit {MOST_BYTES:,}); name another"
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path}: byte {error.start} is not UTF-8; save the spec as UTF-8 text"
        ) from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise SpecError(f"{path}: {reason}; give the path of a YAML file") from None
