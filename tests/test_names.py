"""Names say what a thing is: no verb stands for a noun, no class name has two meanings, and a
file's name tells its folder's files apart."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "baselines", "fusion_variants", "datasets", "reports")
# what was done to a thing, or that there is a thing, instead of what it is
VERBS = {
    "asked", "caught", "done", "found", "given", "gone", "got", "heard", "held", "kept", "made",
    "meant", "named", "one", "said", "seen", "taken", "told", "tried", "wanted",
}  # fmt: skip


BINDING = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.arg, ast.Name, ast.Attribute),
    *(ast.alias, ast.ExceptHandler, ast.MatchAs, ast.MatchStar),
)


class Binding(NamedTuple):
    """A name that a file gives to something."""

    place: str  # file:line
    name: str
    is_class: bool


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def bindings(path: Path) -> tuple[Binding, ...]:
    """Functions, classes, parameters, targets of every kind, attributes and imports."""
    place = path.relative_to(ROOT)
    return tuple(
        Binding(f"{place}:{node.lineno}", name, isinstance(node, ast.ClassDef))  # type: ignore[attr-defined]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, BINDING)
        for name in _names(node)
    )


def _names(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.arg(arg=name):
            return (name,)
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return (name,)
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
            return (name,)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return (name,)
    return ()


def test_no_verb_stands_for_a_noun() -> None:
    verbs = [
        f"{each.place}: {each.name}"
        for path in files(*PACKAGES, "tests", "tools", ".ci")
        for each in bindings(path)
        if each.name.strip("_").lower() in VERBS
    ]
    assert verbs == []


def test_no_class_name_stands_twice() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in files(*PACKAGES, "tools"):
        for each in bindings(path):
            if each.is_class:
                homes[each.name].append(each.place)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_a_file_is_called_by_what_is_inside() -> None:
    empty = VERBS | {"common", "helper", "helpers", "misc", "stuff", "util", "utils"}
    stems = [path for path in files(*PACKAGES, "tools") if path.stem in empty]
    assert stems == []


def test_a_file_name_stands_once_in_a_room_and_its_folders() -> None:
    """Across folders it may stand again, where it means the same (docs/development.md)."""
    homes: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in files(*PACKAGES):
        parts = path.relative_to(ROOT).parts
        if path.stem != "__init__" and len(parts) > 2:
            homes[(*parts[:2], path.stem)].append(path)
    assert len(homes) > 300
    assert [paths for paths in homes.values() if len(paths) > 1] == []


def test_every_kind_of_binding_is_seen() -> None:
    """One file with each; a list of names that the walk passes over would make the tests empty."""
    text = """
import numpy as found
class Kept:
    told: int
    def said(self, made, *asked, wanted=0, **named):
        self.held = got = lambda one: one
        for seen, (done, _) in ():
            with made as caught:
                (tried := 1)
        try:
            pass
        except ValueError as gone:
            pass
        match got:
            case [taken, *heard]:
                pass
        return [meant for meant in ()]
async def _given(): ...
"""
    names = {name for node in ast.walk(ast.parse(text)) for name in _names(node)}
    assert {name.strip("_").lower() for name in names} - {"", "self"} == VERBS
