"""The one error of this room."""


class DataContractError(ValueError):
    """The data is not what its spec says: one sentence with file, column, row and the fix; exit 3."""


class SpecError(ValueError):
    """The spec itself is wrong: one sentence with file, key and the fix; exit 2."""
