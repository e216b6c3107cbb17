"""A proposed spec while it is made; every value has the reason for it, or why it is unknown."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from fusefront.datasets.proposing.files.tables import quoted
from fusefront.datasets.yaml_file import UNKNOWN, Json


class Word(str):
    """Text that is written without quotes."""


Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value]"
OPEN = Word(UNKNOWN)


@dataclass
class Guess:
    """A value of the spec and why it was guessed; `unknown` says instead why it could not be."""

    value: Value
    why: str
    columns: tuple[str, ...] = ()  # that it is about
    unknown: str = ""

    @property
    def comment(self) -> str:
        """The comment at the end of its line."""
        return f"  # UNKNOWN: {self.unknown}" if self.unknown else f"  # guess: {self.why}"

    def open(self, why: str, key: str | None = None) -> None:
        """Mark it as unknown: one key of it, else the part that is marked already, else the whole
        value."""
        why = " ".join(why.split())
        self.unknown = f"{self.unknown}; {why}" if self.unknown else why
        if not isinstance(self.value, dict):
            self.value = OPEN
        elif key is not None:
            self.value[key] = OPEN
        elif not any(map(is_open, self.value.values())):
            self.value = OPEN


@dataclass
class TableGuess:
    """`users` or `items` with a file: what reads it, and the fields taken from it."""

    head: Guess  # path, key and how it is written
    fields: list[Guess]


@dataclass
class Draft:
    """The parts of a spec, in the order in which they are written."""

    name: str
    interactions: Guess
    columns: Guess
    history: Guess
    items: TableGuess | Guess
    split: Guess
    label: Guess | None = None
    negatives: Guess | None = None
    counters: Guess | None = None  # by what else is known
    candidate_fields: list[Guess] = field(default_factory=list)
    users: TableGuess | None = None
    modalities: dict[str, Guess] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)  # comments below the modalities
    notes: list[str] = field(default_factory=list)  # what is not read, and why
    head: str = ""
    trial: str = ""  # the result of preparing a sample

    def guesses(self) -> Iterator[tuple[str, Guess]]:
        """(place, guess) of all."""
        for place in ("interactions", "columns", "label", "negatives", "history", "split"):
            if (guess := getattr(self, place)) is not None:
                yield place, guess
        for k, guess in enumerate(self.candidate_fields):
            yield f"candidate_fields.{k}", guess
        for place, table in (("users", self.users), ("items", self.items)):
            if isinstance(table, TableGuess):
                yield place, table.head
                for k, guess in enumerate(table.fields):
                    yield f"{place}.fields.{k}", guess
            elif table is not None:
                yield place, table
        for name, guess in self.modalities.items():
            yield f"modalities.{name}", guess

    def unknown(self) -> dict[str, str]:
        """place -> why the value is unknown, for values that a person must write before `prepare`
        works."""
        return {
            place: guess.unknown
            for place, guess in self.guesses()
            if guess.unknown and not _optional(place)
        }

    def left_out(self) -> dict[str, str]:
        """place -> why the value is unknown, for parts that may be left out and become comments."""
        every = {place: guess.unknown for place, guess in self.guesses() if guess.unknown}
        return {place: why for place, why in every.items() if _optional(place)}

    def text(self) -> str:
        """The commented YAML."""
        lines = [f"# {line}" for line in (self.head, self.trial) if line]
        lines += [f"name: {self.name}  # guess: the folder's name"]
        for place in ("interactions", "columns", "label", "negatives", "history"):
            if (guess := getattr(self, place)) is not None:
                lines.append(f"{place}: {flow(guess.value)}{guess.comment}")
        lines += _fields("candidate_fields:", self.candidate_fields, "")
        for place, table in (("users", self.users), ("items", self.items)):
            if table is not None:
                lines += _table(place, table)
        lines += self._modality_lines()
        if self.counters is not None:
            lines.append(f"counters: {flow(self.counters.value)}{self.counters.comment}")
        lines.append(f"split: {flow(self.split.value)}{self.split.comment}")
        lines.append("cluster: user  # guess: what the intervals treat as independent")
        lines += [f"# {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def _modality_lines(self) -> list[str]:
        lines = []
        for name, guess in self.modalities.items():
            mark = "# " if guess.unknown else ""
            lines.append(f"  {mark}{name}: {flow(guess.value)}{guess.comment}")
        hints = [f"  # {hint}" for hint in self.hints]
        if all(guess.unknown for guess in self.modalities.values()):
            why = "no vectors found" if not lines else "no vectors that are sure"
            return [
                f"# modalities:  # {why}; fusion needs some, see docs/datasets.md",
                *lines,
                *hints,
            ]
        return ["modalities:", *lines, *hints]

    def _history(self, *, timed: bool) -> Json:
        value = known(self.history)
        by_log = self._split(timed=timed).get("by") == "given"
        untimed = value.get("from") == "log" and not timed and not by_log
        return {"from": "none"} if self.history.unknown or untimed else value

    def _split(self, *, timed: bool) -> dict[str, Json]:
        value = known(self.split)
        untimed = value.get("by") == "time" and not timed
        by_files = value.get("by") == "given" and "column" not in value
        open_files = by_files and bool(self.interactions.unknown)
        return {"by": "random"} if self.split.unknown or untimed or open_files else value

    def spec(self) -> dict[str, Json] | None:
        """The known part as a spec that can be tried; None if too little is known."""
        columns = known(self.columns)
        if not {"user", "item"} <= set(columns):
            return None
        raw: dict[str, Json] = {
            "name": self.name,
            "interactions": {**known(self.interactions)},
            "columns": {**columns},
            "history": self._history(timed="timestamp" in columns),
            "split": self._split(timed="timestamp" in columns),
        }
        for place in ("label", "negatives"):
            if (guess := getattr(self, place)) is not None:
                if guess.unknown:
                    return None
                raw[place] = known(guess)
        if "label" not in columns and self.negatives is None:
            return None
        if self.counters is not None:
            raw["counters"] = plain(self.counters.value)
        raw["candidate_fields"] = _known_fields(self.candidate_fields)
        if self.users is not None and not self.users.head.unknown:
            raw["users"] = {**known(self.users.head), "fields": _known_fields(self.users.fields)}
        if isinstance(self.items, Guess):
            raw["items"] = known(self.items)
        else:
            head = known(self.items.head)
            if not {"path", "key"} <= set(head) or not isinstance(self.items.head.value, dict):
                return None
            unknown = "drop" if "unknown" in self.items.head.value else "refuse"
            fields = _known_fields(self.items.fields)
            raw["items"] = {"unknown": unknown, **head, "fields": fields}
        raw["modalities"] = {
            name: plain(guess.value) for name, guess in self.modalities.items() if not guess.unknown
        }
        return raw


def _optional(place: str) -> bool:
    return place.split(".")[0] in ("candidate_fields", "users", "modalities") or (
        place.startswith("items.fields")
    )


def known(guess: Guess) -> dict[str, Json]:
    """The keys of a guess that are known."""
    if not isinstance(guess.value, dict):
        return {}
    return {key: plain(value) for key, value in guess.value.items() if not is_open(value)}


def is_open(value: Value) -> bool:
    """Whether a value is marked as not known."""
    return isinstance(value, Word) and value == OPEN


def _known_fields(fields: list[Guess]) -> list[Json]:
    return [plain(guess.value) for guess in fields if not guess.unknown]


def plain(value: Value) -> Json:
    """A value as YAML has it."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def flow(value: Value) -> str:
    """A value on one line of YAML.

    >>> flow({"by": Word("given"), "column": "part"})
    '{by: given, column: "part"}'
    """
    if isinstance(value, dict):
        inside = ", ".join(f"{key}: {flow(inner)}" for key, inner in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str):
        return str(value) if isinstance(value, Word) else quoted(value)
    return str(value).lower()


def _fields(head: str, fields: list[Guess], indent: str) -> list[str]:
    lines = []
    for guess in fields:
        mark = "# " if guess.unknown else ""
        lines.append(f"{indent}  {mark}- {flow(guess.value)}{guess.comment}")
    if not lines or all(guess.unknown for guess in fields):
        return [line.replace(f"{indent}  #", f"{indent}#", 1) for line in lines]
    return [f"{indent}{head}", *lines]


def _table(place: str, table: TableGuess | Guess) -> list[str]:
    if isinstance(table, Guess):
        return [f"{place}: {flow(table.value)}{table.comment}"]
    head = table.head
    optional = place == "users" and bool(head.unknown)  # users can be left out
    lines = [f"{place}:{head.comment}"]
    assert isinstance(head.value, dict)
    lines += [f"  {key}: {flow(value)}" for key, value in head.value.items()]
    lines += _fields("fields:", table.fields, "  ")
    return [f"# {line}" for line in lines] if optional else lines
