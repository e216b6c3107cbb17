"""The errors of the datasets package."""

from pathlib import Path


class DataContractError(ValueError):
    """The data do not match their spec; the sentence names file, column, row and what to do; exit
    code 3."""


class BrokenFileError(DataContractError):
    """A file does not match its spec; the sentence may quote the file."""

    def __init__(self, sentence: str, path: Path, where: str, column: str | None = None) -> None:
        super().__init__(sentence)
        self.path, self.where = path, where  # where: file, column and row, nothing of the content
        self.column = column


class SpecError(ValueError):
    """The spec itself is wrong; the sentence names file, key and what to do; exit code 2."""


class PlaceError(RuntimeError):
    """The machine does not allow it (a disk, a folder, a lock); the sentence says what to do; exit
    code 2."""


_PLAIN = {
    "dict_type": "expected a mapping (key: value)",
    "model_type": "expected a mapping (key: value)",
    "model_attributes_type": "expected a mapping (key: value)",
    "tuple_type": "expected a list, such as [a, b]",
    "list_type": "expected a list, such as [a, b]",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected text",
}


def expectation(kind: str, message: str) -> str:
    """What a checked key should have held, in words; `kind` and `message` as pydantic gives them.

    >>> expectation("tuple_type", "Input should be a valid tuple")
    'expected a list, such as [a, b]'
    >>> expectation("greater_than", "Input should be greater than 0")
    'expected a value greater than 0'
    >>> expectation("value_error", "Value error, no strategy is called 'x'")
    "no strategy is called 'x'"
    """
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    value = "a value " if kind.startswith(("greater_", "less_")) else ""
    plain = message.replace("Input should be ", f"expected {value}", 1)
    return plain[:1].lower() + plain[1:]
