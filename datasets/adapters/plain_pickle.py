"""Reads a pickle of plain values only; a file that would import or call anything is refused
unread."""

import pickle
from pathlib import Path
from typing import NoReturn, TypeAlias

from fusefront.datasets.errors import DataContractError

Plain: TypeAlias = (
    "bool | int | float | str | bytes | list[Plain] | tuple[Plain, ...] | dict[Plain, Plain] | None"
)
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,  # UnicodeDecodeError as well
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    MemoryError,
)


class _OnlyPlain(pickle.Unpickler):
    """An unpickler without classes and functions, so that a pickle can only hold values."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it asks for an object elsewhere")


def read_plain(path: Path) -> Plain:
    """The dicts, lists, numbers and texts of a pickle; raises DataContractError if it holds
    anything else."""
    try:
        with path.open("rb") as file:
            value: Plain = _OnlyPlain(file).load()
            return value
    except _DAMAGE as error:
        reason = str(error).split("\n")[0][:120].rstrip(".") or "it is cut off"
        raise DataContractError(
            f"{path}: not a pickle of plain numbers and text ({reason}); nothing of it was run, "
            "download it again"
        ) from None
