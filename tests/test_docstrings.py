"""Docstrings say what a signature does not: the shapes of arrays, the errors that a body raises.

A shape stands in square brackets: [n], [rows, width], [..., M, d]. What a method has from a base
class is said there. Of errors, those of the body's own `raise` lines are held; a sentence does
("is refused", "or an error that says why") as well as a `Raises:` section, and a module whose
functions all raise their breach says so once. A verb's docstring is its help.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "baselines", "fusion_variants", "datasets", "reports")
ARRAY = re.compile(r"(np\.|npt\.|torch\.)?(NDArray|ndarray|Tensor)\b")
SHAPE = re.compile(r"\[[^\]]*\]")
ERROR = re.compile(r"\braises?\b|\brefuse[sd]?\b|error", re.IGNORECASE)
ABSTRACT = {"NotImplementedError", "AssertionError", "AttributeError"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Public(NamedTuple):
    """A public function, or a method of a public class, with what it says of itself."""

    path: Path
    place: str  # file:line name
    node: Function
    text: str  # its docstring and those of base classes; "" where there is none


@cache
def trees() -> dict[Path, ast.Module]:
    paths = sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def classes() -> dict[str, ast.ClassDef]:
    """By name, which stands once (tests/test_names.py)."""
    nodes = (node for tree in trees().values() for node in tree.body)
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


@cache
def aliases(path: Path) -> frozenset[str]:
    """What a module calls array types itself: `Floats = NDArray[np.float64]`."""
    return frozenset(
        target.id
        for node in trees()[path].body
        if isinstance(node, ast.Assign) and ARRAY.match(ast.unparse(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    )


@cache
def arrays(path: Path) -> re.Pattern[str]:
    """Every name that a module's annotations have for an array, those it imports included."""
    names = {"Tensor", "NDArray", "ndarray", *aliases(path)}
    for node in trees()[path].body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fusefront."):
            home = ROOT.joinpath(*str(node.module).split(".")[1:]).with_suffix(".py")
            if home in trees():
                names |= {each.name for each in node.names} & aliases(home)
    return re.compile(rf"\b({'|'.join(sorted(names))})\b")


def docstring(owner: ast.ClassDef | None, node: Function) -> str:
    """Its own and those of the classes above, as help() goes on to them."""
    texts = [ast.get_docstring(node) or ""]
    for base in owner.bases if owner else ():
        above = classes().get(ast.unparse(base).partition("[")[0].rpartition(".")[2])
        if above:
            methods = (m for m in above.body if isinstance(m, Function) and m.name == node.name)
            texts.append(docstring(above, next(methods, _silent(node.name))))
    return "\n".join(text for text in texts if text)


def _silent(name: str) -> ast.FunctionDef:
    return ast.parse(f"def {name}(): ...").body[0]  # type: ignore[return-value]


def public(tree: ast.Module | ast.ClassDef, path: Path) -> Iterator[Public]:
    owner = tree if isinstance(tree, ast.ClassDef) else None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node, path)
        elif isinstance(node, Function) and not node.name.startswith("_"):
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield Public(path, place, node, docstring(owner, node))


def everything() -> list[Public]:
    return [each for path, tree in trees().items() for each in public(tree, path)]


def has_arrays(each: Public) -> bool:
    arguments = each.node.args
    notes = [
        part.annotation
        for part in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        if part.annotation
    ]
    notes += [each.node.returns] if each.node.returns else []
    return any(arrays(each.path).search(ast.unparse(note)) for note in notes)


def test_who_takes_or_gives_arrays_says_their_shape() -> None:
    concerned = [each for each in everything() if has_arrays(each)]
    assert len(concerned) > 400
    assert [each.place for each in concerned if not SHAPE.search(each.text)] == []


def raised(node: Function) -> set[str]:
    """Error classes of the body's own `raise` lines; functions within it are others'."""
    names, todo = set(), list[ast.AST](node.body)
    while todo:
        part = todo.pop()
        if isinstance(part, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call):
            names.add(ast.unparse(part.exc.func).rpartition(".")[2])
        todo += ast.iter_child_nodes(part)
    return {name for name in names if re.fullmatch(r"[A-Z]\w*Error", name)} - ABSTRACT


def test_who_raises_an_error_says_so() -> None:
    concerned = [each for each in everything() if raised(each.node)]
    assert len(concerned) > 100
    silent = [
        each.place
        for each in concerned
        if each.path.parent.name != "cli"
        and not ERROR.search(each.text)
        and "its breach" not in " ".join((ast.get_docstring(trees()[each.path]) or "").split())
    ]
    assert silent == []


def test_shapes_and_errors_are_looked_for_where_they_are() -> None:
    """A walk that passes over a form would leave the lists above empty."""
    tree = ast.parse("""
class Rows:
    def take(self, chosen: "NDArray[np.int64]") -> None:
        if chosen.ndim != 1:
            raise errors.ShapeError("two axes")
    def names(self) -> list[str]:
        def inner(): raise ValueError("not mine")
        raise NotImplementedError
def _own(x: Tensor) -> None: ...
async def sent(*, x: Tensor) -> None: ...
""")
    each = list(public(tree, ROOT / "harness" / "errors.py"))
    assert [part.node.name for part in each] == ["take", "names", "sent"]
    assert [has_arrays(part) for part in each] == [True, False, True]
    assert [raised(part.node) for part in each] == [{"ShapeError"}, set(), set()]
