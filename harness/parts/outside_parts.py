"""Plug-in parts: from the entry points of installed packages, and from users' own files."""

import hashlib
import importlib.util
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple, cast

from fusefront.datasets.errors import SpecError
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.kinds import ENCODER, KINDS, Kind


class Own(NamedTuple):
    """A part that does not ship with fusefront, and where it comes from."""

    kind: Kind
    name: str
    part: object
    owner: str  # for sentences: a file, or "package 'shop'"
    files: tuple[Path, ...]  # the file that offers it and, if another, the defining one
    package: str = ""  # name and version of an installed package


def load_zoo(kind: Kind, include_paths: Sequence[Path]) -> dict[str, object]:
    """The parts of one kind by name: shipped, then installed, then from files."""
    own = own_parts(include_paths, (kind,))
    return {**kind.zoo(), **{entry.name: entry.part for entry in own}}


def own_parts(
    include_paths: Sequence[Path], kinds: Sequence[Kind] = KINDS, called: Collection[str] = ()
) -> list[Own]:
    """Every part of these kinds that does not ship: installed ones first, then those from files.

    A path is a Python file or a folder of them. A file may define a dictionary for each kind
    (OPERATORS, POOLERS, BASELINES, ...: see `kinds`). Without one, every class that subclasses the
    kind's contract and has a `name` counts. `called` are texts 'module:callable' by which a spec
    names functions in the files, which then count as encoders.

    Raises:
        UsageError: a path does not exist, a file or package cannot be imported, a file holds no
            part, an entry is no part of its kind, or a name occurs twice.
    """
    modules = _modules(include_paths, called)
    return [
        entry
        for kind in kinds
        for entry in _named_once(kind, [*_installed(kind), *_included(kind, modules, called)])
    ]


def offered_parts(include_paths: Sequence[Path], kind: Kind) -> list[Own]:
    """The parts of one kind; a file with parts of other kinds only, or without parts, is no error
    here."""
    files = [file for path in include_paths for file in python_files(path)]
    modules = [(file, _imported(file)) for file in dict.fromkeys(files)]
    return _named_once(kind, [*_installed(kind), *_included(kind, modules, ())])


def _named_once(kind: Kind, offered: Sequence[Own]) -> list[Own]:
    by_name: dict[str, Own] = {}
    shipped = kind.zoo() if offered else {}
    for entry in offered:
        if shipped.get(entry.name) is entry.part:  # a shipped part that a file lists again
            continue
        if not kind.fits(entry.part):
            raise UsageError(
                f"{entry.owner}: {kind.word} {entry.name!r} is {entry.part!r}; expected "
                f"{kind.expected}"
            )
        if missing := kind.lacks(entry.part):
            raise UsageError(
                f"{entry.owner}: {kind.word} {entry.name!r} does not define {', '.join(missing)}; "
                f"every {kind.base} must, see its docstring"
            )
        before = by_name[entry.name].owner if entry.name in by_name else "fusefront"
        same = entry.name in by_name and by_name[entry.name].part is entry.part
        if entry.name in shipped or (entry.name in by_name and not same):
            raise UsageError(
                f"{kind.word} {entry.name!r} is defined by {before} and by {entry.owner}; rename "
                "one"
            )
        by_name.setdefault(entry.name, entry)
    return list(by_name.values())


def files_with_parts(include_paths: Sequence[Path], encoders: Collection[Path]) -> tuple[Path, ...]:
    """The files under the paths, without those of `encoders` that hold no other part."""
    files = [file for path in include_paths for file in python_files(path)]
    return tuple(
        file
        for file in dict.fromkeys(files)
        if file not in encoders or any(_offers(kind, _imported(file)) for kind in KINDS)
    )


def python_files(path: Path) -> list[Path]:
    """The Python file itself, or the Python files in the folder, sorted by name.

    Raises:
        UsageError: there is no Python file.
    """
    try:
        path = path.expanduser().resolve()
    except (RuntimeError, OSError) as error:  # a link to itself
        raise UsageError(f"--include-path {path}: {error}; give the file itself") from error
    if path.is_dir():
        files = sorted(path.glob("*.py"))
        if not files:
            raise UsageError(f"--include-path {path} holds no .py file; put your parts there")
        return files
    if not path.is_file() or path.suffix != ".py":
        raise UsageError(
            f"--include-path {path} is not a Python file or a folder of them; check the path"
        )
    return [path]


def _modules(
    include_paths: Sequence[Path], called: Collection[str]
) -> list[tuple[Path, ModuleType]]:
    """The files under the paths, each imported once; refuses a file without any part."""
    files = [file for path in include_paths for file in python_files(path)]
    modules = [(file, _imported(file)) for file in dict.fromkeys(files)]
    for file, module in modules:
        if not any(_offers(kind, module, called) for kind in KINDS):
            raise UsageError(f"{file}: {_nothing(module)}")
    return modules


def _offers(kind: Kind, module: ModuleType, called: Collection[str] = ()) -> bool:
    return any(True for _ in _offered(kind, module, called))


def _nothing(module: ModuleType) -> str:
    for kind in KINDS:
        for part in _classes(kind, module):
            return (
                f"class {part.__name__} is a {kind.base} without a `name`, so no study can name "
                "it; give it one"
            )
    words = ", ".join(kind.word for kind in KINDS)
    tables = ", ".join(kind.table for kind in KINDS)
    bases = ", ".join(kind.base for kind in KINDS)
    return (
        f"nothing in it is a part that can be named ({words}); give it a class with a `name` that "
        f"subclasses one of {bases}, or a dictionary {tables}"
    )


class _Text(SourceFileLoader):
    """Compiles the text itself: bytecode beside it may come from another text of that second."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _imported(file: Path) -> ModuleType:
    contents = hashlib.sha256(bytes(file) + b"\0" + file.read_bytes()).hexdigest()[:12]
    name = f"fusefront_plugin_{file.stem}_{contents}"
    if name in sys.modules:  # once for the same text, so that a class is the same at every call
        return sys.modules[name]
    spec = importlib.util.spec_from_loader(name, _Text(name, str(file)))
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
    kind: Kind, modules: Sequence[tuple[Path, ModuleType]], called: Collection[str]
) -> Iterator[Own]:
    for file, module in modules:
        for name, part in _offered(kind, module, called):
            yield Own(kind, name, part, str(file), _files(file, part))


def _offered(
    kind: Kind, module: ModuleType, called: Collection[str] = ()
) -> Iterator[tuple[str, object]]:
    """The parts that the file lists and, among encoders, the functions that a spec calls."""
    yield from _listed(kind, module)
    if kind is ENCODER:
        for name in called:
            if name.partition(":")[0] == Path(str(module.__file__)).stem:
                yield name, _callable(name, module)


def _callable(name: str, module: ModuleType) -> object:
    """The function or class that 'module:callable' names, if the file itself defines it."""
    attribute = name.partition(":")[2]
    if not hasattr(module, attribute):
        raise SpecError(
            f"encoder {name!r}: {module.__file__} has no {attribute!r}; define it there"
        )
    part: object = getattr(module, attribute)
    if callable(part) and getattr(part, "__module__", None) != module.__name__:
        raise SpecError(
            f"encoder {name!r}: {module.__file__} imports {attribute!r} from elsewhere; define a "
            "function in the file that calls it"
        )
    return part


def _listed(kind: Kind, module: ModuleType) -> Iterator[tuple[str, object]]:
    """Name and part: the entries of the kind's dictionary, else every class of the file with a
    name."""
    table = getattr(module, kind.table, None)
    if table is not None and not kind.is_zoo(table):
        if not isinstance(table, Mapping):
            raise UsageError(f"{module.__file__}: {kind.table} is {table!r}; expected name: class")
        yield from ((str(name), part) for name, part in table.items())
        return
    for part in _classes(kind, module):
        if isinstance(getattr(part, "name", None), str):
            yield cast(str, part.name), part  # type: ignore[attr-defined]


def _classes(kind: Kind, module: ModuleType) -> Iterator[type]:
    """The classes that the file itself defines as subclasses of the kind's contract."""
    for part in list(vars(module).values()):
        if isinstance(part, type) and part.__module__ == module.__name__ and kind.fits(part):
            yield part


def _installed(kind: Kind) -> Iterator[Own]:
    for point in sorted(entry_points(group=kind.group), key=lambda point: point.name):
        package = point.dist.name if point.dist is not None else "a package"
        version = f" {point.dist.version}" if point.dist is not None else ""
        owner = f"package {package!r}"
        try:
            part: object = point.load()
        except Exception as error:
            raise UsageError(
                f"{owner}: entry point {point.name!r} ({point.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}; repair or remove the package"
            ) from error
        origin = getattr(sys.modules[point.module], "__file__", None)
        files = _files(Path(origin), part) if origin else ()
        yield Own(kind, point.name, part, owner, files, f"{package}{version}")


def _files(offering: Path, part: object) -> tuple[Path, ...]:
    """The file that offers a part, and the one that defines it."""
    module = sys.modules.get(getattr(part, "__module__", ""))
    written = getattr(module, "__file__", None)
    return tuple(dict.fromkeys([offering, *([Path(written)] if written else [])]))
