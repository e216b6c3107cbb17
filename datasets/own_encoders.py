"""A person's own encoders: from a file that they give, or from an installed package; never by a YAML.

`module:callable` in a spec names a function of the file `module.py` under --include-path. A plain
name is an entry point of the group `fusefront.encoders`. The spec alone imports nothing.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from numpy.typing import ArrayLike

from fusefront.datasets.errors import SpecError
from fusefront.datasets.raw.files import sha256

GROUP = "fusefront.encoders"
Call = Callable[..., ArrayLike]


def included(name: str, include: Sequence[Path]) -> Path:
    """The file under --include-path that `module:callable` speaks of; nothing is imported."""
    module, _, attribute = name.partition(":")
    if not (module.isidentifier() and attribute.isidentifier()):
        raise SpecError(
            f"encoder {name!r}: expected 'module:callable', where module.py is a file given with "
            "--include-path"
        )
    files = [file for path in include for file in _files(path) if file.stem == module]
    if not files:
        raise SpecError(
            f"encoder {name!r}: no {module}.py was given with --include-path, and a spec alone runs "
            "no code; give the file that holds it, or name an installed encoder"
        )
    if len(set(files)) > 1:
        raise SpecError(f"encoder {name!r}: {files[0]} and {files[1]} both fit; rename one")
    return files[0]


def from_file(name: str, include: Sequence[Path]) -> Call:
    """The callable that the included file itself defines."""
    file = included(name, include)
    attribute = name.partition(":")[2]
    module = _imported(file)
    if not hasattr(module, attribute):
        raise SpecError(f"encoder {name!r}: {file} has no {attribute!r}; define it there")
    chosen = getattr(module, attribute)
    if not callable(chosen):
        raise SpecError(f"encoder {name!r} is a {type(chosen).__name__}; name a callable")
    if getattr(chosen, "__module__", None) != module.__name__:
        raise SpecError(
            f"encoder {name!r}: {file} imports {attribute!r} from elsewhere; define a function in "
            "the file that calls it"
        )
    call: Call = chosen
    return call


def installed(name: str) -> EntryPoint | None:
    """The entry point of that name, not loaded."""
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if len({point.value for point in points}) > 1:
        raise SpecError(
            f"encoder {name!r} comes from {len(points)} installed packages; remove all but one"
        )
    return points[0] if points else None


def from_package(point: EntryPoint) -> Call:
    """The callable of an installed entry point."""
    try:
        chosen = point.load()
    except Exception as error:  # somebody else's package: anything can come out of it
        raise SpecError(
            f"encoder {point.name!r}: its entry point {point.value!r} cannot be loaded "
            f"({type(error).__name__}: {str(error)[:160]}); repair or remove the package"
        ) from error
    if not callable(chosen):
        raise SpecError(f"encoder {point.name!r} is a {type(chosen).__name__}; expected a callable")
    call: Call = chosen
    return call


def content(point: EntryPoint) -> str:
    """What a fingerprint says of an installed encoder: its package, version, entry and source."""
    package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else ""
    spec = importlib.util.find_spec(point.module)
    source = sha256(Path(spec.origin)) if spec and spec.origin and spec.has_location else ""
    return f"{package} {point.value} {source}"


def _files(path: Path) -> list[Path]:
    """The Python file itself, or those in the folder."""
    path = path.expanduser().resolve()
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    if not files or not all(file.is_file() and file.suffix == ".py" for file in files):
        raise SpecError(
            f"--include-path {path} is no Python file or folder of them; check the path"
        )
    return files


def _imported(file: Path) -> ModuleType:
    """The file as a module, run once a process; the name is that of other plug-in files."""
    name = f"fusefront_plugin_{file.stem}_{hashlib.sha256(bytes(file)).hexdigest()[:8]}"
    if name in sys.modules:
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
        raise SpecError(
            f"{file}: cannot be imported ({type(error).__name__}: {str(error)[:160]}); mend it"
        ) from error
    return module
