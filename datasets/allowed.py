"""What a user permits beyond the data folder: plug-in code, and files in other places.

A spec is data: it may come from a colleague or from the web. It can only name code that the user
has given, and it opens no file outside the data folder unless the user permits it.
"""

import contextlib
import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.contract import OwnEncoder, Propose
from fusefront.datasets.errors import BrokenFileError, DataContractError, SpecError
from fusefront.datasets.spec import KEY, DatasetSpec


class Allowed(NamedTuple):
    """Plug-in encoders and layouts by name, and whether paths may leave the data folder."""

    encoders: Mapping[str, OwnEncoder] = {}
    layouts: Mapping[str, Propose] = {}
    outside: bool = False


NOTHING = Allowed()


def named_paths(spec: DatasetSpec) -> Iterator[tuple[str, str]]:
    """(key, path as written) of every path in the spec, in a fixed order."""
    files = spec.interactions.files()
    several = len({split for _, split in files}) < len(files)
    for k, (name, split) in enumerate(files):
        yield f"interactions.{k}" if split is None or not several else f"{split}.{k}", name
    if spec.users:
        yield from _of_table("users", spec.users.path)
    if spec.items.path is not None:
        yield from _of_table("items", spec.items.path)
    for name, modality in spec.modalities.items():
        for k, path in enumerate(modality.files()):
            yield f"modality.{name}.{k}", path
        if modality.ids:
            yield f"modality.{name}.ids", modality.ids
        if modality.encode and isinstance(modality.path, str):
            yield f"raw.{name}", modality.path


def _of_table(role: str, names: str | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """One file is the table itself; parts have their number."""
    if isinstance(names, str) or len(names) == 1:
        yield role, names if isinstance(names, str) else names[0]
        return
    for k, name in enumerate(names):
        yield f"{role}.{k}", name


def confine(spec: DatasetSpec, data: Path, allowed: Allowed = NOTHING) -> tuple[str, ...]:
    """The paths of the spec that lead outside the data folder (links are followed), as written.

    Raises:
        SpecError: there are such paths and they are not permitted; nothing was opened.
    """
    home = data.resolve()
    outside = [
        (key, name)
        for key, name in named_paths(spec)
        if not _inside(data, KEY.sub("k", name), home)
    ]
    for key, name in [*outside, *_settings(spec, data, home)]:
        if not allowed.outside:
            raise SpecError(
                f"{key}: got {name!r}, which leads outside the data folder {data}; copy the file "
                "into it, or allow it with --allow-outside"
            )
    return tuple(dict.fromkeys(name for _, name in outside))


def _inside(data: Path, name: str, home: Path) -> bool:
    try:
        return (data / name).resolve().is_relative_to(home)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL: said when it is opened
        return True


def _settings(spec: DatasetSpec, data: Path, home: Path) -> Iterator[tuple[str, str]]:
    """Settings of encoders that name something that is there, outside the data folder."""
    for name, modality in spec.modalities.items():
        for key, value in modality.settings.items():
            if (
                isinstance(value, str)
                and len(Path(value).parts) > 1
                and _elsewhere(data, value, home)
            ):
                yield f"modality.{name}.settings.{key}", value


def _elsewhere(data: Path, name: str, home: Path) -> bool:
    path = Path(name).expanduser() if name.startswith("~") else data / name
    try:
        return path.exists() and not path.resolve().is_relative_to(home)
    except (OSError, RuntimeError, ValueError):
        return False


@contextlib.contextmanager
def unquoted(data: Path) -> Iterator[None]:
    """Within the context, errors about files outside the data folder say where they are broken and
    quote none of their content."""
    home = data.resolve()
    try:
        yield
    except BrokenFileError as error:
        if error.path.resolve().is_relative_to(home):
            raise
        raise DataContractError(
            f"{error.where}: not as the spec says; the file lies outside the data folder, so "
            "nothing of it is quoted: copy it into the folder to see what is wrong"
        ) from None


def raw_files(pattern: str, data: Path, allowed: Allowed) -> list[Path]:
    """The files of a pattern such as 'posters/{key}.jpg', in order of name.

    Raises:
        SpecError: one of them leads outside the data folder and that is not allowed.
    """
    where = f"{glob.escape(str(data))}/{KEY.sub('*', glob.escape(pattern))}"
    if pattern.startswith("/"):
        where = KEY.sub("*", glob.escape(pattern))
    listed = sorted(Path(name) for name in glob.iglob(where, include_hidden=True))
    guard = Guard(data, allowed)
    return [path for path in listed if path.is_file() and guard.check(path)]


class Guard:
    """Checks one file after the other; folders are resolved once."""

    def __init__(self, data: Path, allowed: Allowed) -> None:
        self.data, self.home, self.allowed = data, data.resolve(), allowed
        self._folders: dict[Path, bool] = {}

    def check(self, path: Path) -> bool:
        """True; SpecError if the file leads outside the data folder and that is not allowed."""
        if self.allowed.outside:
            return True
        folder = path.parent
        if folder not in self._folders:
            self._folders[folder] = folder.resolve().is_relative_to(self.home)
        inside = self._folders[folder]
        if inside and path.is_symlink():
            inside = path.resolve().is_relative_to(self.home)
        if not inside:
            raise SpecError(
                f"{path}: leads outside the data folder {self.data}; copy the file into it, or "
                "allow it with --allow-outside"
            )
        return True
