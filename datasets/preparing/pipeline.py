"""The steps from raw files to the files of a store, in one folder."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.manifest import (
    Manifest,
    SplitCounts,
    StoredFile,
    StoredSchema,
    StoredSlice,
)
from fusefront.datasets.preparing.bayes import bayes_auc
from fusefront.datasets.preparing.budget import Budget, plan
from fusefront.datasets.preparing.build import Builder
from fusefront.datasets.preparing.codes import Codebook, FieldEncoder
from fusefront.datasets.preparing.context import Side, finish_side
from fusefront.datasets.preparing.files import find, sha256, write_bytes, write_npy
from fusefront.datasets.preparing.items import ItemFile, item_columns, read_items, write_items
from fusefront.datasets.preparing.modalities import write_modality
from fusefront.datasets.preparing.reading import columns_of, count_rows, read_table, require
from fusefront.datasets.preparing.records import Chunk, Part, Recorder
from fusefront.datasets.preparing.slices import (
    STORED_ALREADY,
    ItemFacts,
    finish_by_column,
    finish_by_item,
    item_codes,
)
from fusefront.datasets.preparing.spill import Spill, spill
from fusefront.datasets.preparing.splits import (
    RANDOM_WARNING,
    Cuts,
    item_cuts,
    time_cuts,
    user_cuts,
)
from fusefront.datasets.preparing.users import read_users
from fusefront.datasets.spec import SPLITS, DatasetSpec, Slice

Say = Callable[[str], None]


def write_store(
    spec: DatasetSpec, data: Path, folder: Path, name: str, max_memory: int | None, say: Say
) -> None:
    """Write every file of the store into `folder`."""
    work = folder / "work"
    work.mkdir()
    parts = _parts(spec, data)
    rows = sum(count_rows(part.path, part.separator) for part in parts)
    items = read_items(data, spec, parts, 1 << 18)
    recorder, sources = _recorder(spec, data, parts, items)
    budget = _budget(spec, recorder, rows, len(items.index), max_memory)
    say(budget.sentence(rows))
    warnings = [RANDOM_WARNING] if spec.split.by == "random" else []
    for warning in warnings:
        say(f"WARNING: {warning}")
    spilled = Spill(work, recorder.dtype, budget.bits)
    _stream(spec, parts, recorder, spilled, budget, rows, say)
    if spilled.left_out:
        warnings.append(f"{spilled.left_out:,} rows of the log are left out")
    cuts = _cuts(spec, spilled, work, len(items.index))
    builder = Builder(folder, spec, recorder.dtype, len(items.index), cuts, tuple(sources))
    for number in range(spilled.buckets):
        builder.add(*spilled.read(number))
        spilled.drop(number)
        if number % max(1, spilled.buckets // 8) == 0:
            say(f"bucket {number + 1} of {spilled.buckets}")
    counts = builder.close()
    _check_counts(spec, counts)
    if builder.straddling:
        warnings.append(f"the given split cuts {builder.straddling:,} requests apart")
    _finish(spec, data, folder, name, items, recorder, builder, counts, warnings, sources, say)


def _parts(spec: DatasetSpec, data: Path) -> list[Part]:
    separator = spec.interactions.separator
    return [Part(find(data, name), split, separator) for name, split in spec.interactions.files()]


def _recorder(
    spec: DatasetSpec, data: Path, parts: list[Part], items: ItemFile
) -> tuple[Recorder, dict[str, Codebook]]:
    """The recorder, and the code book of every slice that comes from the log or the users."""
    log = columns_of(parts[0].path, parts[0].separator)
    user_file = {}
    if spec.users:
        user_file = require(find(data, spec.users.path), [spec.users.key], spec.users.separator)
    item_file = item_columns(data, spec)
    from_log, from_users = [], []
    for part in spec.slices:
        if part.column is None or part.column in item_file and part.column not in log:
            continue
        if part.column in log:
            from_log.append(part)
        elif part.column in user_file:
            from_users.append(part)
        else:
            raise SpecError(
                f"slice {part.name!r}: column {part.column!r} is in none of the log, the users "
                "file and the item file; name a column that is there"
            )
    users = read_users(data, spec.users, tuple(from_users)) if spec.users else None
    books = {part.name: Codebook() for part in from_log}
    recorder = Recorder(
        spec,
        items.index,
        FieldEncoder(spec.request_fields),
        FieldEncoder(spec.candidate_fields),
        users,
        books,
        {part.name: str(part.column) for part in from_log},
    )
    for part_file in parts:
        require(part_file.path, recorder.columns, part_file.separator)
    if users is not None:
        books = books | dict(zip(users.slice_names, users.slice_books, strict=True))
    return recorder, books


def _budget(
    spec: DatasetSpec, recorder: Recorder, rows: int, items: int, limit: int | None
) -> Budget:
    values = spec.history.max_length if spec.history.column else 1
    per_row = 1 + (spec.negatives.per_positive if spec.negatives else 0)
    return plan(rows, recorder.dtype.itemsize * per_row, values, items, limit)


def _stream(
    spec: DatasetSpec,
    parts: list[Part],
    recorder: Recorder,
    spilled: Spill,
    budget: Budget,
    rows: int,
    say: Say,
) -> None:
    times = spilled.folder / "times"
    shown = 0

    def watch(chunk: Chunk, done: int) -> None:
        nonlocal shown
        if spec.split.by == "time":
            with times.open("ab") as file:
                file.write(np.ascontiguousarray(chunk.records["time"]).data)
        if done >= shown + rows // 8:
            shown = done
            say(f"read {done:,} of about {rows:,} rows")

    spill(parts, recorder, spilled, budget.chunk_rows, watch)


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
                users = np.unique(spilled.read(number)[0]["user"])
                file.write(cuts.words(users).data)
        return user_cuts(spec.split, words)
    return cuts


def _check_counts(spec: DatasetSpec, counts: dict[str, SplitCounts]) -> None:
    for split, found in counts.items():
        if found.rows == 0:
            raise DataContractError(
                f"split by: {spec.split.by}: {split!r} is empty "
                f"({', '.join(f'{name} {part.rows:,} rows' for name, part in counts.items())}); "
                "choose other fractions or another kind of split"
            )
        if found.positives in (0, found.rows):
            only = "positives" if found.positives else "negatives"
            raise DataContractError(
                f"split {split!r} holds {only} only ({found.rows:,} rows); no click model can be "
                "trained or measured on it: check the label column or choose another split"
            )


def _finish(
    spec: DatasetSpec,
    data: Path,
    folder: Path,
    name: str,
    items: ItemFile,
    recorder: Recorder,
    builder: Builder,
    counts: dict[str, SplitCounts],
    warnings: list[str],
    sources: dict[str, Codebook],
    say: Say,
) -> None:
    sides = {
        "request": finish_side(
            folder, "request", "request", recorder.request_fields, recorder.request_books
        ),
        "candidate": finish_side(
            folder, "candidate", "row", spec.candidate_fields, recorder.candidate.books
        ),
        "item": write_items(folder, data, spec, items, builder.in_train),
    }
    write_npy(folder / "items" / "impressions.npy", builder.impressions)
    write_npy(folder / "items" / "clicks.npy", builder.clicks)
    write_npy(folder / "items" / "in_train.npy", builder.in_train)
    widths: dict[str, int] = {}
    present = np.zeros((len(items.index) + 1, len(spec.modalities)), bool)
    for place, modality in enumerate(spec.modalities):
        say(f"vectors of {modality!r}")
        widths[modality], present[:, place] = write_modality(folder, data, spec, modality, items)
    write_npy(folder / "items" / "present.npy", present)
    facts = ItemFacts(builder.in_train, builder.impressions, present, tuple(widths))
    slices = {part.name: _slice(folder, part, sources, facts, spec, items) for part in spec.slices}
    truth = None
    if spec.truth:
        truth = {
            split: bayes_auc(np.load(folder / split / "row" / "truth.npy")) for split in SPLITS
        }
    shutil.rmtree(folder / "work")
    manifest = Manifest(
        name=spec.name,
        fingerprint=name,
        schema_=_schema(spec, items, widths, sides),
        counts=counts,
        history_values=builder.history.rows,
        files=_hash(folder),
        slices=slices,
        cluster=spec.cluster,
        bayes_auc=truth,
        dtypes={part: modality.dtype for part, modality in spec.modalities.items()},
        present={part: int(present[:, k].sum()) for k, part in enumerate(widths)},
        numbers=sides["request"].scalings | sides["candidate"].scalings | sides["item"].scalings,
        timestamps=spec.columns.timestamp is not None,
        split_by=spec.split.by,
        source_rows=sum(part.rows for part in counts.values()),
        warnings=tuple(warnings),
    )
    text = manifest.model_dump(mode="json", by_alias=True)
    write_bytes(folder / "manifest.json", json.dumps(text, indent=1).encode())


def _slice(
    folder: Path,
    part: Slice,
    sources: dict[str, Codebook],
    facts: ItemFacts,
    spec: DatasetSpec,
    items: ItemFile,
) -> StoredSlice:
    if part.name in sources:
        return finish_by_column(folder, part, sources[part.name])
    if part.when in STORED_ALREADY:
        return StoredSlice(values=STORED_ALREADY[part.when], sensitive=part.sensitive)
    if part.when is not None:
        return finish_by_item(folder, part, *item_codes(part.when, facts))
    assert items.path is not None
    column = read_table(items.path, [str(part.column)], spec.items.separator)[str(part.column)]
    book = Codebook()
    codes = np.concatenate([np.zeros(1, np.int32), book.codes(column)]).astype(np.int16)
    finish_by_item(folder, part, codes, ())
    return finish_by_column(folder, part, book)


def _schema(
    spec: DatasetSpec, items: ItemFile, widths: dict[str, int], sides: dict[str, Side]
) -> StoredSchema:
    return StoredSchema(
        items=len(items.index),
        modalities=widths,
        item_fields=sides["item"].fields,
        item_numbers=sides["item"].numbers,
        request_fields=sides["request"].fields,
        request_numbers=sides["request"].numbers,
        candidate_fields=sides["candidate"].fields,
        candidate_numbers=sides["candidate"].numbers,
        max_history=0 if spec.history.source == "none" else spec.history.max_length,
    )


def _hash(folder: Path) -> dict[str, StoredFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): StoredFile(bytes=path.stat().st_size, sha256=sha256(path))
        for path in paths
    }
