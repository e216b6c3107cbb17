"""All columns that are read, and the kind of each over all files, decided before anything is
encoded.

A parquet file has its kinds in its footer. Text files are read once for this, but only columns
whose values must stay exactly as written: keys, categories, times, labels and slices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fusefront.datasets.errors import SpecError
from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.column_kinds import (
    DATES,
    FRACTIONS,
    NOTHING,
    TEXT,
    WHOLE,
    ZONED,
    ColumnKind,
    Kind,
    KindEvidence,
    Role,
    agreed,
    inner,
)
from fusefront.datasets.raw.history import newest_keys
from fusefront.datasets.raw.reading import columns_of, is_parquet, require, stream, typed_columns
from fusefront.datasets.raw.time_kinds import TimeEvidence
from fusefront.datasets.raw.whole_table import find_table
from fusefront.datasets.spec import DatasetSpec, FieldSpec
from fusefront.datasets.table_text import TableText

LOG, USERS, ITEMS = "interactions", "users", "items"
_NOUNS = {"time": "times", "label": "labels"}


class TableFile(NamedTuple):
    """One file of a table."""

    path: Path
    text: TableText


@dataclass
class SpecTable:
    """A table of the spec: its files, and what each of its columns is read as."""

    name: str
    files: list[TableFile]
    uses: list[tuple[str, Role]] = field(default_factory=list)

    def use(self, role: Role, *columns: str | None) -> None:
        """Read columns in `role`; None is ignored."""
        new = [(column, role) for column in columns if column is not None]
        self.uses += [use for use in new if use not in self.uses]

    def use_fields(self, fields: Sequence[FieldSpec]) -> None:
        """Read the columns of fields."""
        for part in fields:
            self.use("number" if part.type == "number" else "value", part.column)


@dataclass(frozen=True)
class Kinds:
    """The kind of every column: table -> column -> kind."""

    of: dict[str, dict[str, Kind]]
    times: Kind
    users: Kind
    items: Kind
    slices: dict[str, str]  # column of a slice -> its table

    def table(self, name: str) -> dict[str, Kind]:
        """Kinds of one table's columns; a table that is not there has none."""
        return self.of.get(name, {})


def decide(spec: DatasetSpec, data: Path, log_files: Sequence[TableFile], rows: int) -> Kinds:
    """The kinds of all columns that the spec reads; text files are streamed `rows` at a time."""
    tables, slices = tables_of(spec, data, log_files)
    surveys: dict[tuple[str, str, Role], list[ColumnKind]] = {}
    for table in tables.values():
        for file in table.files:
            for role, part in _look(spec, table, file, rows):
                surveys.setdefault((table.name, part.column, role), []).append(part)
    users, items = _keys(spec, surveys)
    of: dict[str, dict[str, Kind]] = {name: {} for name in tables}
    for (name, column, role), parts in surveys.items():
        if role not in ("key", "history"):
            of[name].setdefault(column, agreed(parts, role, _NOUNS.get(role, "values")))
    of[LOG] |= {spec.columns.user: users, spec.columns.item: items}
    if spec.users is not None:
        of[USERS][spec.users.key] = users
    if spec.items.path is not None:
        of[ITEMS][str(spec.items.key)] = items
    time = of[LOG].get(str(spec.columns.timestamp), NOTHING)
    if (LOG, str(spec.columns.timestamp), "time") in surveys:
        time = agreed(surveys[LOG, str(spec.columns.timestamp), "time"], "time", "times")
    return Kinds(of, time, users, items, slices)


def _keys(
    spec: DatasetSpec, surveys: dict[tuple[str, str, Role], list[ColumnKind]]
) -> tuple[Kind, Kind]:
    """The kinds of users and of items, each one over the log and its table."""

    users = surveys[LOG, spec.columns.user, "key"]
    if spec.users is not None:
        users = users + surveys[USERS, spec.users.key, "key"]
    items = (
        surveys.get((ITEMS, str(spec.items.key), "key"), [])
        + surveys[LOG, spec.columns.item, "key"]
    )
    histories = [part for use, parts in surveys.items() if use[2] == "history" for part in parts]
    items = items + [part for part in histories if part.kind in (WHOLE, TEXT)]
    if spec.items.keys == "rows":
        items.insert(0, ColumnKind(Path("the rows of the vectors"), "row", WHOLE, typed=True))
    return agreed(users, "key", "users"), agreed(items, "key", "item keys")


def tables_of(
    spec: DatasetSpec, data: Path, log_files: Sequence[TableFile]
) -> tuple[dict[str, SpecTable], dict[str, str]]:
    """The tables of a spec with the columns that are read of each; the table of each slice's
    column.

    Missing columns are refused.
    """
    log = SpecTable(LOG, list(log_files))
    columns = spec.columns
    log.use("key", columns.user, columns.item)
    log.use("label", columns.label)
    log.use("time", columns.timestamp)
    log.use("value", columns.request, spec.split.column, spec.history.kind)
    log.use_fields((*spec.request_fields, *spec.candidate_fields))
    log.use("number", spec.truth.column if spec.truth else None)
    first = log_files[0]
    log.use("history", *spec.history.columns(columns_of(first.path, first.text)))
    tables = {LOG: log}
    if spec.users is not None:
        users = SpecTable(USERS, _files(data, spec.users.path, spec.users.text))
        users.use("key", spec.users.key)
        users.use_fields(spec.users.fields)
        tables[USERS] = users
    if spec.items.path is not None:
        items = SpecTable(ITEMS, _files(data, spec.items.path, spec.items.text))
        items.use("key", spec.items.key)
        items.use_fields(spec.items.fields)
        items.use("value", *(modality.present for modality in spec.modalities.values()))
        tables[ITEMS] = items
    slices = slice_tables(spec, tables)
    for column, home in slices.items():
        tables[home].use("value", column)
    for table in tables.values():
        for file in table.files:
            require(file.path, [column for column, _ in table.uses], file.text)
    return tables, slices


def _files(data: Path, names: str | tuple[str, ...], text: TableText) -> list[TableFile]:
    return [TableFile(path, text) for path in find_table(data, names, text).paths]


def slice_tables(spec: DatasetSpec, tables: dict[str, SpecTable]) -> dict[str, str]:
    """Which table holds the column of each slice: the log before the items and the users.

    Raises:
        SpecError: no table has the column.
    """
    have = {
        name: columns_of(table.files[0].path, table.files[0].text) for name, table in tables.items()
    }
    of = {}
    for part in spec.slices:
        if part.column is None:
            continue
        homes = [name for name in (LOG, ITEMS, USERS) if part.column in have.get(name, {})]
        if not homes:
            raise SpecError(
                f"slice {part.name!r}: column {part.column!r} is in none of the log, the users "
                "file and the item file; name a column that is there"
            )
        of[part.column] = homes[0]
    return of


def _look(
    spec: DatasetSpec, table: SpecTable, file: TableFile, rows: int
) -> Iterator[tuple[Role, ColumnKind]]:
    """The kind of each column of one file, by role."""
    kinds = typed_columns(file.path, [c for c, _ in table.uses]) if is_parquet(file.path) else {}
    scans: list[tuple[str, Role, KindEvidence | TimeEvidence]] = []
    for column, role in table.uses:
        kind = kinds.get(column)
        if role == "history" and kind in (None, TEXT) and "*" not in str(spec.history.column):
            if spec.items.keys == "log":  # the entries are item keys, whatever the column's type
                scans.append((column, role, KindEvidence(file.path, column)))
        elif role == "time" and kind in (None, TEXT):
            written = spec.columns.time_format
            if written is None:
                scans.append((column, role, TimeEvidence(file.path, column)))
            else:
                yield (
                    role,
                    ColumnKind(file.path, column, ZONED if "z" in written else DATES, typed=False),
                )
        elif kind is not None:
            yield (
                role,
                ColumnKind(
                    file.path, column, inner(kind) if role == "history" else kind, typed=True
                ),
            )
        elif role == "number":
            yield role, ColumnKind(file.path, column, FRACTIONS, typed=False)
        else:
            scans.append((column, role, KindEvidence(file.path, column)))
    if scans:
        _scan(spec, file, scans, rows)
    for _, role, evidence in scans:
        yield role, evidence.survey()


def _scan(
    spec: DatasetSpec,
    file: TableFile,
    scans: list[tuple[str, Role, KindEvidence | TimeEvidence]],
    rows: int,
) -> None:
    first = 0
    for frame in stream(file.path, [column for column, _, _ in scans], rows, file.text):
        for column, role, evidence in scans:
            values, row = frame[column], np.arange(frame.height)
            if role == "history":
                entries = newest_keys(frame.select(column), spec.history, file.path, first, Tally())
                values, row = entries.keys, entries.row
            evidence.look(values, first + row)
        first += frame.height
