"""The errors of this room."""

from pathlib import Path


class DataContractError(ValueError):
    """The data is not what its spec says: one sentence with file, column, row and the fix; exit
    3."""


class BrokenFileError(DataContractError):
    """A file is not what its spec says; the sentence may quote it."""

    def __init__(self, sentence: str, path: Path, where: str, column: str | None = None) -> None:
        super().__init__(sentence)
        self.path, self.where = path, where  # where: file, column and row, nothing of the content
        self.column = column


class SpecError(ValueError):
    """The spec itself is wrong: one sentence with file, key and the fix; exit 2."""


class PlaceError(RuntimeError):
    """The place does not allow it, a disk, a folder or a lock: one sentence with the cure; exit
    2."""
