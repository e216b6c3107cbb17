"""The steps from raw files to the files of a store, in one folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.durations import ticks
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import SplitCounts
from fusefront.datasets.preparing.budget import DEFAULT, Budget, RowBytes, plan, size
from fusefront.datasets.preparing.build import Builder
from fusefront.datasets.preparing.counters import disk_of, plan_of
from fusefront.datasets.preparing.events import shown
from fusefront.datasets.preparing.finish import Job, WrittenLog, finish_store
from fusefront.datasets.preparing.history_widths import Entries, history_entries
from fusefront.datasets.preparing.items import ItemFile, read_items
from fusefront.datasets.preparing.negatives import PAIR, Drawer, sort_events
from fusefront.datasets.preparing.requests import alone
from fusefront.datasets.preparing.spill import Spill, spill
from fusefront.datasets.preparing.splits import (
    RANDOM_WARNING,
    Cuts,
    item_cuts,
    time_cuts,
    user_cuts,
)
from fusefront.datasets.raw.category_codes import Codebook, FieldEncoder
from fusefront.datasets.raw.columns import LOG, USERS, Kinds, TableFile, decide
from fusefront.datasets.raw.files import find
from fusefront.datasets.raw.log_records import Part, RecordChunk, Recorder
from fusefront.datasets.raw.reading import columns_of, count_rows, is_parquet
from fusefront.datasets.raw.time_kinds import clock_kind
from fusefront.datasets.raw.times import clock_of
from fusefront.datasets.raw.users import read_users
from fusefront.datasets.spec import DatasetSpec

Say = Callable[[str], None]
_KEY_BYTES = 128  # bytes of a row while its item keys are read
_TRAIN_PAST = 100  # assumed entries of a history that is made row by row, unknown beforehand
_ENTRY = 8  # bytes of a history's entry while it is read


def write_store(job: Job, max_memory: int | None, say: Say) -> None:
    """Write every file of the store into the job's folder."""
    spec, data, folder = job.spec, job.data, job.folder
    work = folder / "work"
    work.mkdir()
    parts = _parts(spec, data)
    of_parts = [count_rows(part.path, part.text) for part in parts]
    rows, entries = sum(of_parts), history_entries(parts, of_parts, spec.history)
    chunk = _first_chunk(spec, parts, rows, entries, max_memory, say)
    kinds = decide(spec, data, [TableFile(part.path, part.text) for part in parts], chunk)
    items = read_items(data, spec, parts, kinds, chunk)
    recorder, sources = _recorder(spec, data, parts, items, kinds)
    budget = _budget(spec, recorder, rows, len(items.keys), entries, max_memory)
    say(budget.sentence(rows))
    warnings = [RANDOM_WARNING] if spec.split.by == "random" else []
    for warning in warnings:
        say(f"WARNING: {warning}")
    spilled = _spill_to(work, spec, recorder, budget, len(items.keys))
    _stream(spec, parts, recorder, spilled, budget, rows, say)
    if spilled.left_out:
        warnings.append(f"{spilled.left_out:,} rows of the log are left out")
    cuts = _cuts(spec, spilled, work, len(items.keys))
    counters = plan_of(spec, recorder.clock.unit, budget.part(len(items.keys)))
    lag = ticks(spec.history.lag, recorder.clock.unit)
    builder = Builder(folder, spec, recorder.dtype, len(items.keys), cuts, tuple(sources), lag)
    drawer = _drawer(spec, spilled, len(items.keys))
    for number in range(spilled.buckets):
        rows_of, values = spilled.read(number)
        builder.add(drawer.extend(rows_of) if drawer else rows_of, values)
        spilled.drop(number)
        if number % max(1, spilled.buckets // 8) == 0:
            say(f"bucket {number + 1} of {spilled.buckets}")
    counts = builder.close()
    _check_counts(spec, counts)
    if drawer and drawer.missing:
        warnings.append(f"{drawer.missing:,} negatives have no eligible item and are left out")
    if builder.straddling:
        warnings.append(f"the given split cuts {builder.straddling:,} requests apart")
    log = WrittenLog(recorder, builder, counts, sources, warnings, counters)
    finish_store(job, items, log, say)


def _first_chunk(
    spec: DatasetSpec,
    parts: list[Part],
    rows: int,
    entries: Entries,
    max_memory: int | None,
    say: Say,
) -> int:
    """How many rows to read at a time for kinds and item keys, which are read before sizes are
    planned."""
    row = RowBytes(_KEY_BYTES, _ENTRY * entries.read)
    chunk = plan(rows, row, 0, max_memory).chunk_rows
    first = ["the kinds of columns"] * any(not is_parquet(part.path) for part in parts)
    first += ["the item keys"] * (spec.items.keys == "log")
    if first:
        say(
            f"about {rows:,} rows; memory at most {size(max_memory or DEFAULT)}: reading "
            f"{' and '.join(first)} first, {chunk:,} rows at a time"
        )
    return chunk


def _parts(spec: DatasetSpec, data: Path) -> list[Part]:
    text = spec.interactions.text
    return [Part(find(data, name), split, text) for name, split in spec.interactions.files()]


def _recorder(
    spec: DatasetSpec, data: Path, parts: list[Part], items: ItemFile, kinds: Kinds
) -> tuple[Recorder, dict[str, Codebook]]:
    """The recorder, and the code book of every slice that comes from the log or the users."""
    log = columns_of(parts[0].path, parts[0].text)
    homes = kinds.slices
    by_column = [part for part in spec.slices if part.column is not None]
    from_log = [part for part in by_column if homes[str(part.column)] == LOG]
    from_users = [part for part in by_column if homes[str(part.column)] == USERS]
    users = (
        read_users(data, spec.users, tuple(from_users), kinds.table(USERS)) if spec.users else None
    )
    books = {part.name: Codebook() for part in from_log}
    recorder = Recorder(
        spec,
        items.keys,
        FieldEncoder(spec.request_fields, kinds.table(LOG)),
        FieldEncoder(spec.candidate_fields, kinds.table(LOG)),
        users,
        books,
        {part.name: str(part.column) for part in from_log},
        kinds,
        spec.history.columns(log),
    )
    if users is not None:
        books = books | dict(zip(users.slice_names, users.slice_books, strict=True))
    return recorder, books


def _budget(
    spec: DatasetSpec,
    recorder: Recorder,
    rows: int,
    items: int,
    entries: Entries,
    limit: int | None,
) -> Budget:
    per_row = 1 + (spec.negatives.per_positive if spec.negatives else 0)
    read = _ENTRY * entries.read if spec.history.column else 4
    row = RowBytes(recorder.dtype.itemsize * per_row, read, 4 * entries.newest)
    budget = plan(rows, row, items, limit)
    counted = disk_of(spec, recorder.clock.unit, rows * per_row)
    return budget._replace(disk=max(budget.disk, counted))


def _stream(
    spec: DatasetSpec,
    parts: list[Part],
    recorder: Recorder,
    spilled: Spill,
    budget: Budget,
    rows: int,
    say: Say,
) -> None:
    folder, reported = spilled.folder, 0
    files = [(part.path, part.text) for part in parts]
    recorder.clock = clock_of(files, spec.columns, clock_kind(recorder.kinds.times))
    popular = spec.negatives is not None and spec.negatives.draw == "popularity"
    paired = popular and spec.columns.timestamp is not None

    def watch(chunk: RecordChunk, rows_read: int) -> None:
        nonlocal reported
        records = chunk.records
        if "event" in (records.dtype.names or ()):
            records = records[shown(records, drawn=spec.negatives is not None)]
        if spec.split.by == "time" or paired:
            _append(folder / "times", np.ascontiguousarray(records["time"]))
        if paired:
            _append(folder / "pairs", records[["time", "item"]].astype(PAIR))
        if rows_read >= reported + rows // 8:
            reported = rows_read
            say(f"read {rows_read:,} of about {rows:,} rows")

    spill(parts, recorder, spilled, budget.chunk_rows, watch)
    recorder.clock.scale.check()
    recorder.event_kinds.check()
    recorder.label_words.check()


def _append(path: Path, array: NDArray[Any]) -> None:
    with path.open("ab") as file:
        file.write(array.tobytes())


def _spill_to(
    work: Path, spec: DatasetSpec, recorder: Recorder, budget: Budget, items: int
) -> Spill:
    out = Spill(work, recorder.dtype, budget.bits)
    if spec.negatives is not None:
        out.counts = np.zeros(items + 1, np.int64)
        if spec.columns.timestamp is not None:
            out.first_seen = np.full(items + 1, np.iinfo(np.int64).max)
    return out


def _drawer(spec: DatasetSpec, spilled: Spill, items: int) -> Drawer | None:
    if spec.negatives is None:
        return None
    timed, popular = spec.columns.timestamp is not None, spec.negatives.draw == "popularity"
    events = None
    if timed and popular:
        work = spilled.folder
        events = sort_events(work / "pairs", work / "times", work)
    return Drawer(
        spec.negatives,
        items,
        spilled.source_rows,
        spilled.first_seen if timed else None,
        events,
        spilled.counts if popular and not timed else None,
        alone(spec),
    )


def _cuts(spec: DatasetSpec, spilled: Spill, work: Path, items: int) -> Cuts:
    if spec.split.by == "time":
        return time_cuts(spec.split, work / "times")
    if spec.split.by == "item_cold":
        return item_cuts(spec.split, items)
    cuts = Cuts(spec.split)
    if spec.split.by == "user":
        words = work / "users"
        with words.open("wb") as file:
            for number in range(spilled.buckets):
                records = spilled.read(number)[0]
                users = np.unique(records["user"][shown(records, drawn=spec.negatives is not None)])
                file.write(cuts.words(users).data)
        return user_cuts(spec.split, words)
    return cuts


def _check_counts(spec: DatasetSpec, counts: dict[str, SplitCounts]) -> None:
    for split, count in counts.items():
        if count.rows == 0:
            raise DataContractError(
                f"split by: {spec.split.by}: {split!r} is empty "
                f"({', '.join(f'{name} {part.rows:,} rows' for name, part in counts.items())}); "
                "choose other fractions or another kind of split"
            )
        if count.positives in (0, count.rows):
            only = "positives" if count.positives else "negatives"
            raise DataContractError(
                f"split {split!r} holds {only} only ({count.rows:,} rows); no click model can be "
                "trained or measured on it: check the label column or choose another split"
            )
