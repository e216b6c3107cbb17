"""The plug-in parts that a study or run used, recorded beside it in include.json."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fusefront.datasets.errors import DataContractError, expectation
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.bare import code_digest
from fusefront.harness.parts.kinds import KINDS
from fusefront.harness.parts.origins import used_by
from fusefront.harness.parts.outside_parts import Own, own_parts, python_files
from fusefront.harness.runs.files import write_json

FILE = "include.json"


class RecordedPart(BaseModel):
    """One recorded part: its kind, its name, and the file or package that offers it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    name: str
    file: str = ""  # absolute; "" where a package offers it
    code: str = ""  # digest of the file's code, see `code_digest`
    package: str = ""  # name and version

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


class IncludedParts(BaseModel):
    """The content of include.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    parts: tuple[RecordedPart, ...] = ()


def read_record(folder: Path) -> IncludedParts:
    """The recorded plug-in parts of a study or run; empty if it used none.

    Raises:
        DataContractError: the file is not as `remember` writes it.
    """
    path = folder / FILE
    if not path.exists():
        return IncludedParts()
    try:
        return IncludedParts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataContractError(
            f"{path}: {where or 'content'}: {expectation(first['type'], first['msg'])}; it was "
            "written by another version or by hand: remove it, give the files with --include-path"
        ) from None


def remember(folder: Path, own: Iterable[Own]) -> None:
    """Record parts, replacing those with the same kind and name; without parts no file is
    written."""
    new = [_recorded(part) for part in own]
    if not new:
        return
    replaced = {(part.kind, part.name) for part in new}
    others = [part for part in read_record(folder).parts if (part.kind, part.name) not in replaced]
    record = IncludedParts(
        parts=tuple(sorted([*others, *new], key=lambda part: (part.kind, part.name)))
    )
    write_json(folder / FILE, record.model_dump(mode="json"))


def _recorded(part: Own) -> RecordedPart:
    if part.package:
        return RecordedPart(kind=part.kind.word, name=part.name, package=part.package)
    file = part.files[0]
    return RecordedPart(kind=part.kind.word, name=part.name, file=str(file), code=code_digest(file))


def included(
    folder: Path,
    paths: Sequence[Path],
    must: Callable[[RecordedPart], bool] = lambda _: True,
    may: Callable[[RecordedPart], bool] = lambda _: False,
) -> tuple[Path, ...]:
    """The files that a verb needs: those given, and those recorded that the given ones do not
    replace.

    `must` says which recorded parts the verb needs, `may` which it uses if they are unchanged.

    Raises:
        UsageError: a needed part is in a file that is gone or has changed, or in a package that is
            not installed.
    """
    record = read_record(folder).parts
    needed = [part for part in record if must(part) or may(part)]
    if not needed:
        return tuple(paths)
    replaced = {(part.kind.word, part.name) for part in own_parts(paths)}
    files = {file for path in paths for file in python_files(path)}
    more: list[Path] = []
    for part in needed:
        if (part.kind, part.name) in replaced or Path(part.file) in files:
            continue
        lost = _lost(part)
        if lost and must(part):
            raise UsageError(f"{folder.name}: it was made with {part} of {lost}")
        if part.file and not lost:
            more.append(Path(part.file))
    return (*paths, *dict.fromkeys(more))


def _lost(part: RecordedPart) -> str:
    """Where the part was and why it is missing or changed; "" if it is unchanged."""
    if not part.file:
        groups = [kind.group for kind in KINDS if kind.word == part.kind]
        here = any(p.name == part.name for group in groups for p in entry_points(group=group))
        return "" if here else f"package {part.package}, which is not installed; pip install it"
    path = Path(part.file)
    if not path.is_file():
        return f"{path}, which is gone; give the file with --include-path"
    if code_digest(path) != part.code:
        return (
            f"{path}, whose code has changed since; bring it back, or give it with --include-path"
        )
    return ""


def uses(cells: Iterable[tuple[str, Mapping[str, object]]]) -> Callable[[RecordedPart], bool]:
    """A test for recorded parts: whether one of these baselines or their settings names it."""
    listed = list(cells)
    words = {kind.word: kind for kind in KINDS}

    def matches(part: RecordedPart) -> bool:
        kind = words.get(part.kind)
        own = [] if kind is None else [Own(kind, part.name, None, "", ())]
        return any(used_by(own, baseline, settings) for baseline, settings in listed)

    return matches
