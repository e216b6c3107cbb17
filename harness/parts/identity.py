"""The code of a run: the definitions that its own parts use, without comments and docstrings.

A run is trained again exactly when something that could change its numbers has changed. The search
starts at the trainer and at the classes that the built model consists of. It follows every
definition that is referred to, name by name, through the packages that training uses. A part that
the model does not hold (another operator of the same dictionary) is not followed, so that adding
one, or editing another strategy's file, changes nothing.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import NamedTuple

from torch import nn

from fusefront.baselines.contract import Baseline
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.bare import Bare, bare_code, is_docstring
from fusefront.harness.parts.kinds import KINDS, MODEL_KINDS

PACKAGES = (
    "fusefront.baselines",
    "fusefront.fusion_variants",
    "fusefront.harness.data",
    "fusefront.harness.training",
)
PARTS = PACKAGES[:2]  # classes in these packages are followed only if the model holds one
TRAINER = ("fusefront.harness.training.run", "run")
FIT = (  # how a compressor comes to be fitted, and on which rows
    ("fusefront.baselines.frozen", "freeze"),
    ("fusefront.baselines.slots", "source_of"),
    ("fusefront.harness.data.tables", "item_table"),
)

Symbol = tuple[str, str]  # (module, name at its top level)
Read = Callable[[str], str]  # module name to source text


class Code(NamedTuple):
    """`version` is the hash of all code; `sources` has one hash a module, to tell what has
    changed."""

    version: str
    sources: dict[str, str]


def code_of(model: Baseline, read: Read | None = None) -> Code:
    """The code that a model's training depends on; the model may be on the meta device."""
    return _code(model, [TRAINER], read)


def code_of_fit(compressor: nn.Module, read: Read | None = None) -> str:
    """The hash of the code that a compressor's frozen table depends on."""
    return _code(compressor, list(FIT), read).version


def _code(model: nn.Module, starts: list[Symbol], read: Read | None) -> Code:
    classes = {base for part in model.modules() for base in type(part).__mro__}
    texts: dict[str, list[str]] = {}
    for (module, name), text in sorted(_reach(classes, starts, read or _read).items()):
        texts.setdefault(module, []).append(f"{name}={text}")
    sources = {module: _hash("\n".join(lines)) for module, lines in texts.items()}
    for part in classes:
        if _outside(part.__module__):
            sources[part.__module__] = _file_hash(part.__module__)
    whole = "\n".join(f"{module} {sources[module]}" for module in sorted(sources))
    return Code(_hash(whole), sources)


def changed_sources(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The modules whose used code differs, including modules that were added or removed."""
    return sorted(m for m in {*before, *now} if before.get(m) != now.get(m))


def reached(model: Baseline, read: Read | None = None) -> dict[Symbol, str]:
    """(module, name) of every definition that the model's training depends on -> its code."""
    classes = {base for part in model.modules() for base in type(part).__mro__}
    return _reach(classes, [TRAINER], read or _read)


def _reach(classes: set[type], starts: list[Symbol], read: Read) -> dict[Symbol, str]:
    """Every definition that can be reached -> its code; repeats until nothing new is referred
    to."""
    todo = [
        *starts,
        *((part.__module__, part.__qualname__.split(".")[0]) for part in classes if _inside(part)),
    ]
    texts: dict[Symbol, str] = {}
    while todo:
        module, name = todo.pop()
        if (module, name) in texts:
            continue
        source = _parsed(module, read(module))
        if name in source.imports:
            todo += _followed([source.imports[name]], classes)
            continue
        if name not in source.definitions:
            continue  # a built-in, or a local name of the function
        if (module, "") not in texts and name:
            todo.append((module, ""))
        texts[module, name], symbols = _definition(module, name, source)
        todo += _followed(symbols, classes)
    return texts


def _followed(symbols: list[Symbol], classes: set[type]) -> Iterator[Symbol]:
    for module, name in symbols:
        if not module.startswith(PACKAGES):
            continue
        target = getattr(sys.modules.get(module), name, None)
        part = isinstance(target, type) and issubclass(target, nn.Module)
        if part and module.startswith(PARTS) and target not in classes:
            continue
        yield module, name


class _Source(NamedTuple):
    """The top-level definitions of a module by name ("" has the other statements), and its
    imports."""

    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, Symbol]

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@cache
def _definition(module: str, name: str, source: _Source) -> tuple[str, list[Symbol]]:
    """The code of a definition, and what it refers to; the dictionary of a zoo does not count as
    code."""
    statements = source.definitions[name]
    symbols = [symbol for node in statements for symbol in _references(node, module, source)]
    if module.endswith(".zoo") and all(_is_table(node) for node in statements):
        return "", symbols
    return "\n".join(map(_text, statements)), symbols


@cache
def _parsed(module: str, text: str) -> _Source:
    definitions: dict[str, list[ast.stmt]] = {"": []}
    imports: dict[str, Symbol] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(_bound(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            definitions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        definitions.setdefault(name.id, []).append(node)
        elif not (is_docstring(node) or _is_for_types(node)):
            definitions[""].append(node)
    return _Source(definitions, imports)


def _bound(node: ast.Import | ast.ImportFrom) -> dict[str, Symbol]:
    if isinstance(node, ast.ImportFrom):
        return {a.asname or a.name: (str(node.module), a.name) for a in node.names}
    return {a.asname or a.name.split(".")[0]: (a.name, "") for a in node.names}


def _references(statement: ast.stmt, module: str, source: _Source) -> list[Symbol]:
    """The names that a definition refers to, outside annotations and error texts; whole modules
    apart from `module.name`."""
    symbols: list[Symbol] = []
    local: dict[str, Symbol] = {}
    bare = Bare(keep_annotations=False).visit(ast.parse(ast.unparse(statement)))
    for node in ast.walk(bare):
        if isinstance(node, ast.Import | ast.ImportFrom):
            local.update(_bound(node))
    bindings = {**source.imports, **local}
    for node in ast.walk(bare):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of, name = bindings.get(node.value.id, ("", ""))
            if of.startswith("fusefront.") and f"{of}.{name}".rstrip(".") in sys.modules:
                symbols.append((f"{of}.{name}".rstrip("."), node.attr))
        if isinstance(node, ast.Name):
            symbols.append(bindings.get(node.id, (module, node.id)))
    return symbols


def _text(statement: ast.stmt) -> str:
    return ast.unparse(Bare(keep_annotations=True).visit(ast.parse(ast.unparse(statement))))


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _is_table(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict)


def _inside(part: type) -> bool:
    return part.__module__.startswith(PACKAGES)


def _outside(module: str) -> bool:
    """Whether a module is a plug-in: neither ours nor of the libraries that we build on."""
    return module.split(".")[0] not in (
        "fusefront",
        "torch",
        "builtins",
        "typing",
        "abc",
        "collections",
    )


@cache
def _read(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def _file_hash(module: str) -> str:
    """The digest of a plug-in's file, with the version of its package if it has one."""
    file = getattr(sys.modules[module], "__file__", None)
    try:
        bare = _without(_untrained(module), bare_code(Path(file))) if file else ""
    except (SyntaxError, ValueError, OSError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(
            f"{file}: cannot be read as Python any more ({reason}); was it changed while it ran?"
        ) from error
    owners = packages_distributions().get(module.split(".")[0], [])
    return _hash("\n".join([bare, *(f"{owner} {version(owner)}" for owner in sorted(owners))]))


def _untrained(module: str) -> set[str]:
    """Names in a file that no model trains with: metrics, backends, layouts, encoders."""
    kinds = [kind for kind in KINDS if kind not in MODEL_KINDS]
    classes = [part for part in vars(sys.modules[module]).values() if isinstance(part, type)]
    own = {part.__name__ for part in classes if part.__module__ == module}
    beside = {part.__name__ for part in classes if any(kind.fits(part) for kind in kinds)}
    return (own & beside) | {kind.table for kind in kinds}


def _without(names: set[str], bare: str) -> str:
    """The code without these definitions; unchanged if the rest refers to one of them."""
    body = ast.parse(bare).body
    rest = [node for node in body if _defined(node) not in names]
    uses = {node.id for line in rest for node in ast.walk(line) if isinstance(node, ast.Name)}
    return bare if len(rest) == len(body) or names & uses else "\n".join(map(ast.unparse, rest))


def _defined(node: ast.stmt) -> str:
    """The name of a class or dictionary that a statement defines; "" for other statements."""
    if isinstance(node, ast.ClassDef):
        return node.name
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Dict):
        return ""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
