"""The plug-in layouts and encoders that a data set's spec names, from files or packages."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from fusefront.datasets.adapters.zoo import read_spec
from fusefront.datasets.allowed import Allowed
from fusefront.datasets.contract import Call, OwnEncoder, Propose, PublishedLayout, RawEncoder
from fusefront.datasets.errors import SpecError
from fusefront.datasets.raw.files import sha256
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import read_yaml
from fusefront.harness.parts.bare import code_digest
from fusefront.harness.parts.kinds import ENCODER, LAYOUT
from fusefront.harness.parts.outside_parts import Own, offered_parts, own_parts, python_files


def spec_and_parts(
    path: Path, data: Path, include: Sequence[Path], *, outside: bool = False
) -> tuple[DatasetSpec, tuple[Own, ...], Allowed]:
    """A spec file read, the plug-in parts that it names, and what `prepare` may use.

    Raises:
        SpecError: the spec is wrong, or names an encoder that no file or package offers.
        UsageError: a file or package is wrong, see `own_parts`.
    """
    layouts = own_layouts(read_yaml(path).get("layout"), include)
    functions = {own_part.name: proposer(own_part.part) for own_part in layouts}
    spec = read_spec(path, data, Allowed(layouts=functions, outside=outside))
    encoders = own_encoders(spec, include)
    return spec, (*layouts, *encoders), Allowed(handed(encoders), functions, outside)


def own_layouts(name: object, include: Sequence[Path]) -> tuple[Own, ...]:
    """The plug-in layout of that name; () if the layout ships or is not known."""
    if name is None or name in LAYOUT.zoo():
        return ()
    return tuple(own_part for own_part in offered_parts(include, LAYOUT) if own_part.name == name)


def layout_allowed(name: str | None, include: Sequence[Path], *, outside: bool) -> Allowed:
    """What may be used to propose the spec of a folder."""
    own = own_layouts(name, include)
    return Allowed(
        layouts={own_part.name: proposer(own_part.part) for own_part in own}, outside=outside
    )


def own_encoders(spec: DatasetSpec, include: Sequence[Path]) -> tuple[Own, ...]:
    """The plug-in encoders that a spec names.

    Raises:
        SpecError: no file that holds the encoder was given.
    """
    names = {m.encoder for m in spec.modalities.values() if m.encoder}
    called = {name for name in names if ":" in name}
    stems = {file.stem for path in include for file in python_files(path)}
    for name in sorted(called):
        module, _, attribute = name.partition(":")
        if not (module.isidentifier() and attribute.isidentifier()):
            raise SpecError(
                f"encoder {name!r}: expected 'module:callable', where module.py is a file given "
                "with --include-path"
            )
        if module not in stems:
            raise SpecError(
                f"encoder {name!r}: no {module}.py was given with --include-path, and a spec alone "
                "runs no code; give the file that holds it, or name an installed encoder"
            )
    if names <= set(ENCODER.zoo()):
        return ()
    return tuple(
        own_part for own_part in own_parts(include, (ENCODER,), called) if own_part.name in names
    )


def handed(encoders: Sequence[Own]) -> dict[str, OwnEncoder]:
    """The encoders by name, in the form that `prepare` accepts."""
    return {
        own_part.name: OwnEncoder(
            maker(own_part.part), _code(own_part), str(getattr(own_part.part, "kind", ""))
        )
        for own_part in encoders
    }


def maker(part: object) -> Callable[..., Call]:
    """A function from settings to the call that encodes inputs; a class is built once with the
    settings."""
    if isinstance(part, type):
        kind = cast(type[RawEncoder], part)
        return lambda **settings: kind(**settings).encode
    return lambda **settings: partial(cast(Call, part), **settings)


def proposer(part: object) -> Propose:
    """The function that proposes the spec of a folder: the part itself, or its class's method."""
    if isinstance(part, type):
        return lambda folder: cast(type[PublishedLayout], part)().propose(folder)
    return cast(Propose, part)


def _code(own_part: Own) -> str:
    """The digest of an encoder's code for a fingerprint; older stores keep their names."""
    if own_part.package:
        entries = {point.name: point.value for point in entry_points(group=ENCODER.group)}
        return (
            f"{own_part.package} {entries[own_part.name]} "
            f"{sha256(own_part.files[0]) if own_part.files else ''}"
        )
    return sha256(own_part.files[0]) if ":" in own_part.name else code_digest(own_part.files[0])
