"""`fusefront counters`: updates a counter store from log files; `predict` looks numbers up in
it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired

import numpy as np
import polars as pl
from pydantic import ValidationError

from fusefront.datasets.counting.counter_store import CountedLog, CounterStore
from fusefront.datasets.counting.log_rows import LogRows
from fusefront.datasets.counting.lookup import CounterLookup
from fusefront.datasets.counting.raw import ItemFieldCodes, RawCounting
from fusefront.datasets.counting.rows import Codes, Place, places
from fusefront.datasets.counting.stored import StoredCounters
from fusefront.datasets.durable import replacing_folder, scratch_folder, sweep
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import StoredSchema
from fusefront.datasets.raw.files import broken, sha256
from fusefront.datasets.raw.reading import columns_of, count_rows, require, stream
from fusefront.datasets.raw.times import clock_of
from fusefront.datasets.row_encoder import SIDES, RowEncoder
from fusefront.harness.runs.records import Record, read_record
from fusefront.harness.serving.bundle.predict import open_encoder

ITEM_FIELDS = "item_fields.npy"  # codes of the items' fields, in bundles whose counters read them
AT_ONCE = 1 << 18  # rows that are counted in one step
CHUNK = 1 << 17  # rows that are read at once


class BundleCounterFacts(Record):
    """The keys of a bundle's dataset.json that counters need."""

    fingerprint: str
    counters: NotRequired[dict[str, object] | None]
    kinds: NotRequired[dict[str, dict[str, str]]]
    schema: dict[str, object]


class Counted(NamedTuple):
    """The result of counting: rows of the new logs, rows in all, newest time, keys of all ledgers,
    and the logs that were skipped because the same bytes were counted before."""

    rows: int
    all_rows: int
    until: int
    keys: int
    before: tuple[str, ...] = ()


class BundleCounters(NamedTuple):
    """A bundle's description of its counters."""

    fingerprint: str
    stored: StoredCounters
    reader: RawCounting
    encoder: RowEncoder


def counts_fields_of_items(stored: StoredCounters | None) -> bool:
    """Whether counters depend on the fields of items."""
    return stored is not None and any(
        part.startswith("item.") for entry in stored.entries for part in entry.key
    )


def counters_of(bundle: Path) -> BundleCounters:
    """The counters of a bundle; raises DataContractError if it has none."""
    path = bundle / "dataset.json"
    facts = read_record(path, BundleCounterFacts)
    if not facts.get("counters"):
        raise DataContractError(
            f"{path}: its data set has no counters; add 'counters' to the spec, train and export"
        )
    try:
        stored = StoredCounters.model_validate(facts.get("counters"))
        schema = StoredSchema.model_validate(facts["schema"])
    except ValidationError as error:
        reason = str(error).split("\n")[0]
        raise DataContractError(f"{path}: counters: {reason}; export again") from None
    file = bundle / ITEM_FIELDS
    fields = np.load(file) if file.exists() else np.zeros((schema.items + 1, 0), np.int32)
    items = ItemFieldCodes(fields, places({"item": schema.item_fields}))
    kinds = facts.get("kinds", {}).get("interactions", {})
    encoder = open_encoder(bundle)
    return BundleCounters(
        str(facts["fingerprint"]), stored, RawCounting(stored, kinds, items), encoder
    )


def look_up(bundle: Path, folder: Path) -> CounterLookup:
    """Looks up the numbers of a counter store for a bundle's raw rows."""
    mine, counted = counters_of(bundle), CounterStore.open(folder)
    _refuse_other(mine, counted, folder)
    return CounterLookup(counted.state, mine.reader, _places(mine.encoder))


def count_logs(bundle: Path, logs: Sequence[Path], folder: Path) -> Counted:
    """Add log files, in order of time, to the counts in `folder`, which is replaced in one step.

    A log whose bytes were counted before, under any name, is skipped, so that the same command can
    be given again.

    Raises:
        DataContractError: a file holds rows older than those counted.
    """
    mine = counters_of(bundle)
    if folder.exists():
        counted = CounterStore.open(folder)
        _refuse_other(mine, counted, folder)
    else:
        counted = CounterStore.empty(mine.fingerprint, mine.stored)
    if (
        any(ledger.frozen for ledger in mine.stored.plan.ledgers)
        and mine.stored.train_until is None
    ):
        raise DataContractError(
            "counters frozen at train need `split: {by: time}`, which says which rows are train's; "
            "use running counters, or send these numbers with the request"
        )
    before, text = counted.state.rows, mine.stored.text
    passed: list[str] = []
    for log in logs:
        if not log.is_file():
            raise DataContractError(f"{log}: not there; give a parquet or csv file")
        require(log, [str(mine.stored.columns.timestamp)], text)
    files, kind = [(log, text) for log in logs], mine.reader.clock.kind
    mine.reader.clock = clock_of(files, mine.stored.columns, kind)
    sweep(folder.parent)
    with scratch_folder(folder) as work:
        for number, log in enumerate(logs):
            digest = sha256(log)
            if any(each.sha256 == digest for each in counted.logs):
                passed.append(str(log))
                continue
            _count(mine, counted, log, digest, work / str(number))
            shutil.rmtree(work / str(number))
    if len(passed) < len(logs):
        _write(counted, folder)
    state = counted.state
    return Counted(state.rows - before, state.rows, state.until, sum(state.keys()), tuple(passed))


def _refuse_other(mine: BundleCounters, counted: CounterStore, folder: Path) -> None:
    if counted.fingerprint != mine.fingerprint:
        raise DataContractError(
            f"{folder}: counters of the data {counted.fingerprint}, the bundle's are "
            f"{mine.fingerprint}; count all logs again into another folder"
        )


def _count(mine: BundleCounters, counted: CounterStore, log: Path, digest: str, work: Path) -> None:
    state = counted.state
    rows = LogRows(work, count_rows(log, mine.stored.text), AT_ONCE)
    _read(mine, log, rows)
    before = state.until
    for some, later in rows.slices():
        if int(some.time[0]) < before:
            raise broken(
                log,
                f"a row of time {int(some.time[0])}, older than {before}, the newest counted",
                "give the files in order of time; for rows that come late count all logs again",
                column=mine.stored.columns.timestamp,
            )
        state.count(some, later)
    counted.logs = (*counted.logs, CountedLog(name=log.name, sha256=digest, rows=rows.known))


def _read(mine: BundleCounters, log: Path, rows: LogRows) -> None:
    """Read the rows of a log file, chunk by chunk."""
    encoder, reader, text = mine.encoder, mine.reader, mine.stored.text
    have = list(columns_of(log, text))
    fields = {f"{side}.{part.name}": part for side in SIDES for part in encoder.raw.side(side)}
    columns = {
        name: fields[name].field.column if fields[name].field.column in have else fields[name].name
        for name in reader.attributes
        if not name.startswith("item.")
    }
    item, first = mine.stored.columns.item, 0
    for frame in stream(log, reader.log_columns(columns), CHUNK, text):

        def of_row(name: str, frame: pl.DataFrame = frame, first: int = first) -> Codes:
            side, part = name.partition(".")[0], fields[name]
            return encoder.codes(side, part, frame[columns[name]], log, first)

        items = encoder.keys.rows(frame[item], log, item, first)
        chunk = reader.log_rows(frame, items, of_row, log, first)
        rows.add(chunk, reader.requests(frame, chunk, log))
        first += frame.height
    if not first:
        raise broken(log, "a header without rows", "export it again")


def _places(encoder: RowEncoder) -> dict[str, Place]:
    """The position of each field's codes among those of its side."""
    of: dict[str, Place] = {}
    for side in SIDES:
        start = 0
        for part in encoder.raw.side(side):
            if not part.numeric:
                width = part.field.width
                of[f"{side}.{part.name}"] = Place(side, slice(start, start + width))
                start += width
    return of


def _write(counted: CounterStore, folder: Path) -> None:
    with replacing_folder(folder) as written:
        counted.write(written)
