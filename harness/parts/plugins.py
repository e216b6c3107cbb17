"""Operators, compressors and alignment losses from outside: entry points and users' own files."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from torch import nn

from fusefront.baselines.contract import Parts
from fusefront.fusion_variants.contract import AlignmentLoss, Compressor, FusionOperator
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.errors import UsageError


class _Kind(NamedTuple):
    word: str  # for sentences
    base: type[nn.Module]
    table: str  # name of the dictionary in a user's file
    group: str  # of entry points
    shipped: Mapping[str, type[nn.Module]]


KINDS = (
    _Kind("operator", FusionOperator, "OPERATORS", "fusefront.operators", OPERATORS),
    _Kind("compressor", Compressor, "COMPRESSORS", "fusefront.compressors", COMPRESSORS),
    _Kind("alignment loss", AlignmentLoss, "ALIGNMENTS", "fusefront.alignments", ALIGNMENTS),
)


def load_parts(include_paths: Sequence[Path]) -> Parts:
    """The zoos, with what installed packages and the files under the paths add.

    A path is a Python file or a folder of them. A file may define OPERATORS, COMPRESSORS or
    ALIGNMENTS; without the dictionary, every class in it that subclasses the contract and has a
    `name` counts.

    Raises:
        UsageError: a path that is not there, a file or package that cannot be imported, something
            that is no such class, or a name taken twice.
    """
    files = [file for path in include_paths for file in python_files(path)]
    modules = [(str(file), _imported(file)) for file in dict.fromkeys(files)]
    zoos: list[dict[str, type[nn.Module]]] = []
    for kind in KINDS:
        zoo = dict(kind.shipped)
        owners = dict.fromkeys(zoo, "fusefront")
        for owner, name, part in (*_installed(kind), *_included(kind, modules)):
            if not (isinstance(part, type) and issubclass(part, kind.base)):
                raise UsageError(
                    f"{owner}: {kind.word} {name!r} is {part!r}; "
                    f"expected a subclass of {kind.base.__name__}"
                )
            if name in owners and zoo[name] is not part:
                raise UsageError(
                    f"{kind.word} {name!r} is defined by {owners[name]} and by {owner}; rename one"
                )
            zoo[name], owners[name] = part, owner
        zoos.append(zoo)
    return Parts(*zoos)


def python_files(path: Path) -> list[Path]:
    """The Python file itself, or those in the folder, in order of name."""
    path = path.expanduser().resolve()
    if path.is_dir():
        files = sorted(path.glob("*.py"))
        if not files:
            raise UsageError(f"--include-path {path} holds no .py file; put your operator there")
        return files
    if not path.is_file() or path.suffix != ".py":
        raise UsageError(
            f"--include-path {path} is not a Python file or a folder of them; check the path"
        )
    return [path]


def _imported(file: Path) -> ModuleType:
    name = f"fusefront_plugin_{file.stem}_{hashlib.sha256(bytes(file)).hexdigest()[:8]}"
    if name in sys.modules:  # once, so that a class is the same class at every call
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{file}: cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _included(
    kind: _Kind, modules: Sequence[tuple[str, ModuleType]]
) -> Iterator[tuple[str, str, object]]:
    for owner, module in modules:
        table = getattr(module, kind.table, None)
        if table is not None:
            if not isinstance(table, Mapping):
                raise UsageError(f"{owner}: {kind.table} is {table!r}; expected name: class")
            yield from ((owner, str(name), part) for name, part in table.items())
            continue
        for part in list(vars(module).values()):
            own = isinstance(part, type) and part.__module__ == module.__name__
            if own and issubclass(part, kind.base) and isinstance(getattr(part, "name", 0), str):
                yield owner, part.name, part


def _installed(kind: _Kind) -> Iterator[tuple[str, str, object]]:
    for point in sorted(entry_points(group=kind.group), key=lambda point: point.name):
        package = point.dist.name if point.dist is not None else "a package"
        owner = f"package {package!r}"
        try:
            part: object = point.load()
        except Exception as error:
            raise UsageError(
                f"{owner}: entry point {point.name!r} ({point.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}; repair or remove the package"
            ) from error
        yield owner, point.name, part
