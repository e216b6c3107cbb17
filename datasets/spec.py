"""The data set spec: one YAML file that describes the files of a click log; no code per data
set."""

import ast
import difflib
import fnmatch
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from fusefront.datasets.counter_spec import Attribute, Counter, Duration, counter_problems
from fusefront.datasets.errors import SpecError, expectation
from fusefront.datasets.numbers_of_yaml import Numbers
from fusefront.datasets.table_text import TableText
from fusefront.datasets.yaml_file import Json, read_yaml

SPLITS = ("train", "valid", "test")
SPLIT_WORDS = {  # what a split is called in a column of the log
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing"),
}
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Column = Annotated[str, Field(min_length=1)]
RelativePath = Annotated[str, Field(min_length=1)]


def _separator(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value in '"\r\n\0':
        raise ValueError(f"got {value!r}, expected one ASCII character such as ',' or '\\t'")
    return value


Separator = Annotated[str, AfterValidator(_separator)]


def _apart(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if value is not None and len(set(value)) < len(value):
        twice = sorted({name for name in value if value.count(name) > 1})
        raise ValueError(f"got the name {twice[0]!r} twice, expected one name a column")
    return value


Names = Annotated[tuple[Column, ...] | None, Field(min_length=1), AfterValidator(_apart)]
TablePaths = RelativePath | Annotated[tuple[RelativePath, ...], Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
KEY = re.compile(
    r"\{key(?::\.(\d{1,3}))?\}"
)  # in a path: an item's key, or its first so many characters


class Strict(Numbers, BaseModel):
    """Base of every part of a spec: refuses unknown keys, and booleans in place of numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Delimited(Strict):
    """A table that may be a csv."""

    separator: Separator = ","  # csv only
    names: Names = None  # csv without a header line: the name of each column, in order

    @property
    def text(self) -> TableText:
        """How the file is written where it is no parquet."""
        return TableText(self.separator, self.names or ())


class Interactions(Delimited):
    """The log: files in order, or files a split (`train`, `valid`, `test`)."""

    path: RelativePath | tuple[RelativePath, ...] | None = None
    train: RelativePath | tuple[RelativePath, ...] | None = None
    valid: RelativePath | tuple[RelativePath, ...] | None = None
    test: RelativePath | tuple[RelativePath, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        parts = (self.train, self.valid, self.test)
        if (self.path is None) == all(part is None for part in parts):
            raise ValueError("give either 'path' or the three of 'train', 'valid', 'test'")
        if self.path is None and any(part is None for part in parts):
            raise ValueError("'train', 'valid' and 'test' belong together; give all three")
        if () in (self.path, *parts):
            raise ValueError("got an empty list, expected the path of a file or several")
        return self

    def files(self) -> list[tuple[str, str | None]]:
        """(relative path, split or None) of every file, in order."""
        splits: dict[str | None, str | tuple[str, ...] | None] = {None: self.path}
        if self.path is None:
            splits = {"train": self.train, "valid": self.valid, "test": self.test}
        return [
            (path, split)
            for split, paths in splits.items()
            for path in ((paths,) if isinstance(paths, str) else paths or ())
        ]


class Columns(Strict):
    """Which column of the log holds what, and how times are written."""

    user: Column
    item: Column
    label: Column | None = None  # absent: every row is a positive (implicit feedback)
    timestamp: Column | None = None
    request: Column | None = None
    no_request: str | int | float | None = None  # request id that means none; null always does
    time_format: str | None = None  # of times as text, as strftime writes them: "%d/%m/%Y %H:%M"
    time_unit: Literal["s", "ms", "us", "ns"] | None = None  # of times as numbers

    @model_validator(mode="after")
    def _times(self) -> Self:
        if self.no_request is not None and self.request is None:
            raise ValueError("'no_request' is a value of 'request'; name that column too")
        key = "time_format" if self.time_format is not None else "time_unit"
        if self.timestamp is None and (self.time_format or self.time_unit):
            raise ValueError(f"'{key}' says how 'timestamp' is written; name that column too")
        if self.time_format is not None and self.time_unit is not None:
            raise ValueError("'time_format' is for text and 'time_unit' for numbers; give one")
        if self.time_format is not None and "%" not in self.time_format:
            raise ValueError(f"time_format: got {self.time_format!r}, expected '%d/%m/%Y' or alike")
        if self.time_format is not None and re.search(r"%[369](?!f)", self.time_format):
            raise ValueError(
                f"time_format: got {self.time_format!r}, expected 3, 6 or 9 only before an f, "
                "as in '%3f'"
            )
        return self


class LabelSpec(Strict):
    """When a row is a positive."""

    positive_when: str | None = None  # ">= 4", "== 'click'" or "in ['click', 'buy']"

    @field_validator("positive_when")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            parse_condition(value)
        return value


def _kind(value: object) -> object:
    """1 and true as a column prints them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Kind = Annotated[str, BeforeValidator(_kind)]


class History(Strict):
    """Where the history of a row comes from, and how much of it is read."""

    source: Literal["log", "list", "padded", "none"] = Field(alias="from")
    column: Column | None = None  # padded: also "hist_*", columns side by side, oldest first
    max_length: int = Field(default=50, ge=1, le=10_000)
    padding: int | str | None = 0  # padded only: the value that is no item; nulls never are one
    newest: Literal["last", "first"] = "last"
    separator: str | None = Field(default=None, min_length=1)  # a list as text: "3 17 4"
    events: Literal["all"] | tuple[Kind, ...] | None = (
        None  # log: values of `kind`; None: positives
    )
    kind: Column | None = None  # log: the column that tells the events of a history apart
    lag: Duration | None = None  # log: how late the serving system learns of an event

    @field_validator("events", mode="before")
    @classmethod
    def _positives_are_none(cls, value: object) -> object:
        if value == "positives":
            return None
        if isinstance(value, str) and value != "all":
            raise ValueError(
                f"got {value!r}, expected positives, all, or a list such as [click, buy]"
            )
        return value

    @field_validator("padding", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        """`.nan` is a null, 0.0 is 0: entries are keys, whole numbers or text."""
        if isinstance(value, float):
            return None if math.isnan(value) else int(value) if value.is_integer() else str(value)
        return value

    @model_validator(mode="after")
    def _column(self) -> Self:
        if self.source in ("list", "padded") and self.column is None:
            raise ValueError(f"from: {self.source} needs 'column', the column with the history")
        if self.source in ("log", "none") and self.column is not None:
            raise ValueError(f"from: {self.source} takes no 'column'; remove it")
        if self.source == "list" and "*" in str(self.column):
            raise ValueError("several columns side by side are a history 'from: padded'")
        if self.source != "log" and (self.events is not None or self.kind is not None):
            raise ValueError(f"'events' and 'kind' are for from: log, not for from: {self.source}")
        if self.source != "log" and self.lag is not None:
            raise ValueError(f"'lag' is for from: log, not for from: {self.source}")
        if self.events is not None and self.kind is None:
            raise ValueError(
                "'events' needs 'kind', the column that tells the events apart: a history that "
                "mixes unmarked kinds scored .0015 to .0136 AUC below one of positives alone"
            )
        if self.events == ():
            raise ValueError("'events' names no kind of event; name some, or 'positives'")
        return self

    def columns(self, have: Iterable[str]) -> tuple[str, ...]:
        """The columns of a log's `have` that hold the history, oldest first.

        Side by side they stand as the log has them where their numbers rise or fall, else by
        number: hist_1, hist_10, hist_2 is an order of names.
        """
        if self.column is None:
            return ()
        if "*" not in self.column:
            return (self.column,)
        matching = tuple(name for name in have if fnmatch.fnmatchcase(name, str(self.column)))
        numbers = [tuple(map(int, re.findall(r"\d+", name))) for name in matching]
        if numbers not in (sorted(numbers), sorted(numbers, reverse=True)):
            matching = tuple(name for _, name in sorted(zip(numbers, matching, strict=True)))
        return matching or (self.column,)


class FieldSpec(Strict):
    """A categorical or numeric column that models read."""

    column: Column
    type: Literal["category", "categories", "number"] = "category"
    separator: str | None = Field(default=None, min_length=1)  # as text: "Action|Drama"
    name: Name | None = None
    max_values: int = Field(default=8, ge=1, le=256)  # categories: most values that are kept

    @property
    def label(self) -> str:
        """The field's name in the store."""
        return self.name or self.column

    @property
    def width(self) -> int:
        """Columns of codes that a categorical field takes while preparing."""
        return self.max_values if self.type == "categories" else 1


class Users(Delimited):
    """The table with fields of the users: a file, or parts in order."""

    path: TablePaths
    key: Column
    fields: tuple[FieldSpec, ...] = ()


class Items(Delimited):
    """The items, one row each; without `path` they are those of the log, or the rows of the
    vectors."""

    path: TablePaths | None = None
    key: Column | None = None
    keys: Literal["file", "log", "rows"] = "file"  # rows: item k is row k of the vector files
    fields: tuple[FieldSpec, ...] = ()
    unknown: Literal["refuse", "drop"] = "refuse"  # log rows and history entries of unknown items

    @model_validator(mode="after")
    def _file(self) -> Self:
        if self.keys == "file" and (self.path is None or self.key is None):
            raise ValueError("'items' needs 'path' and 'key' (or 'keys: log', 'keys: rows')")
        if self.keys != "file" and (self.path is not None or self.key or self.fields):
            raise ValueError(f"'keys: {self.keys}' takes no 'path', 'key' or 'fields'")
        return self


class Modality(Strict):
    """Vectors of the items: an npy file (or several), a list column of the item file, or raw
    input."""

    path: RelativePath | tuple[RelativePath, ...] | None = None
    keyed_by: Literal["row"] | None = None  # row of the item file; the default for npy files
    ids: RelativePath | None = None  # npy, parquet or csv with the item key of every vector
    column: Column | None = None  # of the item file (or of `path`, a parquet keyed by `key`)
    key: Column | None = None  # `path` is a parquet: its item key
    present: Column | None = None  # boolean column of the item file; else all-zero rows are absent
    zero_is_absent: bool = True
    dtype: Literal["float32", "float16", "int8"] = "float32"
    encode: Literal["text", "image"] | None = (
        None  # raw: a text `column`, or files 'x/{key}.jpg' ('{key:.3}')
    )
    encoder: str | None = None  # one of encoders.ENCODERS (the default), own, or "module:callable"
    settings: dict[str, bool | int | float | str] = {}  # passed to the encoder by name

    @model_validator(mode="after")
    def _source(self) -> Self:
        if self.encode is not None:
            self._raw_source(self.encode)
        if self.encode is None and self.path is None and self.column is None:
            raise ValueError("a modality needs 'path' (npy or parquet) or 'column'")
        if self.encode is None and (self.encoder is not None or self.settings):
            raise ValueError("'encoder' and 'settings' are for 'encode: text' or 'encode: image'")
        if (
            self.encode is None
            and self.column is not None
            and self.path is not None
            and self.key is None
        ):
            raise ValueError("a vector column of its own parquet needs 'key', that file's item key")
        if self.keyed_by is not None and self.ids is not None:
            raise ValueError("give 'keyed_by: row' or 'ids', not both")
        return self

    def _raw_source(self, kind: str) -> None:
        by_file = isinstance(self.path, str) and "{key}" in self.path
        if kind == "text" and (self.column is not None) == by_file:
            raise ValueError(
                "encode: text needs 'column', a text column of the item file, or 'path' such as "
                "'plots/{key}.txt'"
            )
        if kind == "image" and (not by_file or self.column is not None):
            raise ValueError("encode: image needs 'path' such as 'posters/{key}.jpg'")
        if self.keyed_by or self.ids or self.key:
            raise ValueError(f"encode: {kind} takes no 'keyed_by', 'ids' or 'key'; remove it")

    def files(self) -> tuple[str, ...]:
        """The relative paths of the vectors; none where they are encoded from raw files."""
        if self.path is None or self.encode is not None:
            return ()
        return (self.path,) if isinstance(self.path, str) else self.path


class SplitSpec(Strict):
    """How rows are assigned to train, valid and test; shares are of the rows."""

    by: Literal["given", "time", "user", "item_cold", "user_time", "random"]
    column: Column | None = None  # given: holds train, valid or test
    valid: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    seed: Seed = 0

    @model_validator(mode="after")
    def _room_for_train(self) -> Self:
        if self.valid + self.test >= 1:
            raise ValueError(f"valid {self.valid} + test {self.test} leave nothing to train on")
        if self.column is not None and self.by != "given":
            raise ValueError(f"'column' is for by: given, not for by: {self.by}")
        return self


class Negatives(Strict):
    """Items that are drawn as negatives beside each positive of a log of positives."""

    per_positive: int = Field(ge=1, le=1000)
    draw: Literal["uniform", "popularity"] = "uniform"
    seed: Seed = 0


class SliceSpec(Strict):
    """A part of the rows to report on: by a column, or by what the store knows of the row."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,48}$")]
    column: Column | None = None  # of the log, the users file or the item file
    when: str | None = None  # cold_item | cold_user | no_history | popularity | no_<modality>
    sensitive: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.column is None) == (self.when is None):
            raise ValueError("a slice has either 'column' or 'when'")
        return self


class TruthSpec(Strict):
    """The column with the true probability of a click, in synthetic worlds."""

    column: Column


class DatasetSpec(Strict):
    """A data set's YAML; docs/datasets.md explains each key."""

    name: Name
    interactions: Interactions
    columns: Columns
    label: LabelSpec = LabelSpec()
    history: History
    request_fields: tuple[FieldSpec, ...] = ()
    candidate_fields: tuple[FieldSpec, ...] = ()
    users: Users | None = None
    items: Items
    modalities: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,48}$")], Modality] = {}
    split: SplitSpec
    negatives: Negatives | None = None
    counters: tuple[Counter, ...] = ()
    cluster: Literal["user", "request"] = "user"
    slices: tuple[SliceSpec, ...] = ()
    truth: TruthSpec | None = None
    accept: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    @property
    def of_train(self) -> bool:
        """Whether histories are the user's train events, because the log has no times to look back
        by."""
        return self.history.source == "log" and self.columns.timestamp is None

    def _problems(self) -> list[str]:
        by_file = self.interactions.path is None
        problems = []
        if self.of_train and self.split.by != "given":
            problems.append(
                "history from: log needs columns.timestamp, or the history is not causal; without "
                "times it is the user's train positives, which needs split by: given"
            )
        if self.split.by in ("time", "user_time") and self.columns.timestamp is None:
            problems.append(f"split by: {self.split.by} needs columns.timestamp")
        if self.split.by == "given" and by_file == (self.split.column is not None):
            problems.append("split by: given needs one of split.column and a file per split")
        if by_file and self.split.by != "given":
            problems.append(f"a file per split means split by: given, not by: {self.split.by}")
        if self.columns.label is None and self.negatives is None:
            problems.append("without columns.label every row is a positive: add 'negatives'")
        if self.columns.label is None and self.label.positive_when is not None:
            problems.append("label.positive_when needs columns.label")
        if self.columns.label and self.negatives and self.label.positive_when is None:
            problems.append(
                "negatives are for logs of positives: remove columns.label, or say which rows are "
                "positives in label.positive_when (the others are then left out)"
            )
        if self.of_train and self.history.lag is not None:
            problems.append("history.lag looks back by time, and the log has none: remove it")
        if self.negatives and self.truth:
            problems.append(
                "truth and negatives exclude each other: a drawn row has no known truth"
            )
        return problems + self._name_problems() + self._counter_problems()

    def _counter_problems(self) -> list[str]:
        users = self.users.fields if self.users else ()
        sides = {
            "request": (*self.request_fields, *users),
            "candidate": self.candidate_fields,
            "item": self.items.fields,
        }
        attributes = [
            Attribute(f"{side}.{part.label}", part.type == "number", part.type == "categories")
            for side, fields in sides.items()
            for part in fields
        ]
        field_names = {
            side: {part.label for part in sides[side]} for side in ("request", "candidate")
        }
        timed, drawn = self.columns.timestamp is not None, self.negatives is not None
        return list(
            counter_problems(self.counters, attributes, field_names, timed=timed, drawn=drawn)
        )

    def _name_problems(self) -> list[str]:
        users = self.users.fields if self.users else ()
        sides = {
            "request_fields and users.fields": (*self.request_fields, *users),
            "candidate_fields": self.candidate_fields,
            "items.fields": self.items.fields,
        }
        problems = []
        for side, fields in sides.items():
            names = [field.label for field in fields]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                problems.append(f"{side}: the field name {twice[0]!r} appears twice; set 'name'")
        names = [part.name for part in self.slices]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            problems.append(f"slices: the name {twice[0]!r} appears twice")
        known = {"cold_item", "cold_user", "no_history", "popularity"}
        known |= {f"no_{name}" for name in self.modalities}
        return problems + [
            f"slices: got when: {part.when!r}, expected one of {', '.join(sorted(known))}"
            for part in self.slices
            if part.when is not None and part.when not in known
        ]


class Condition(NamedTuple):
    """Which labels are positives: an operator, and numbers or texts to compare with."""

    operator: str  # >= <= == != > < in
    values: tuple[float, ...] | tuple[str, ...]

    @property
    def is_text(self) -> bool:
        """Whether labels are compared as text."""
        return isinstance(self.values[0], str)


def parse_condition(text: str) -> Condition:
    """`">= 4"`, `"== 'click'"` or `"in ['click', 'buy']"`; ValueError says what is expected.

    >>> parse_condition(">= 4"), parse_condition("in ['click', 'buy']").values
    (Condition(operator='>=', values=(4.0,)), ('click', 'buy'))
    """
    match = re.fullmatch(r"\s*(>=|<=|==|!=|>|<|in\b)\s*(.+?)\s*", text)
    if match is not None:
        operator = match.group(1)
        try:
            value = ast.literal_eval(match.group(2))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = None
        listed = isinstance(value, list | tuple) and operator == "in"
        values = tuple(value) if listed else (value,)
        if values and all(isinstance(v, str) for v in values) and operator in ("==", "!=", "in"):
            return Condition(operator, values)
        plain = [isinstance(v, int | float) and not isinstance(v, bool) for v in values]
        if values and all(plain) and listed == (operator == "in"):
            return Condition(operator, tuple(float(v) for v in values))
    raise ValueError(
        f"got {text!r}, expected an operator and a number such as '>= 4', or text such as "
        "\"== 'click'\" or \"in ['click', 'buy']\""
    )


def load_spec(path: Path) -> DatasetSpec:
    """Read and check a data set spec; SpecError is one sentence with file, key and fix."""
    return parse_spec(read_yaml(path), str(path))


def parse_spec(raw: dict[str, Json], source: str) -> DatasetSpec:
    """Check a spec that is already a mapping; `source` names it in errors."""
    try:
        return DatasetSpec.model_validate(raw)
    except ValidationError as error:
        raise SpecError(f"{source}: {_sentence(error)}") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
        return f"unknown key {where!r}; {hint}"
    if first["type"] == "missing":
        return f"key {where!r} is missing; add it (docs/datasets.md describes each key)"
    message = expectation(first["type"], first["msg"])
    if first["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"key {where!r}: got {str(first['input'])[:60]!r}; {message}"


def _known(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at `loc` knows."""
    model: type[BaseModel] = DatasetSpec
    for part in loc:
        field = next(
            (f for n, f in model.model_fields.items() if part in (n, f.alias)),
            None,
        )
        models = _models(field.annotation if field else model)
        if models:
            model = models[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner: list[type[BaseModel]] = []
    for part in getattr(annotation, "__args__", ()):
        inner += _models(part)
    return inner
