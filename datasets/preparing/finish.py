"""The last steps of preparing, once train is known: fields, vectors, slices and the manifest."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.allowed import NOTHING, Allowed
from fusefront.datasets.counting.plan import Plan
from fusefront.datasets.durable import write_bytes
from fusefront.datasets.integrity import record_files
from fusefront.datasets.losses import Tally
from fusefront.datasets.manifest import (
    Manifest,
    SplitCounts,
    StoredHistory,
    StoredSchema,
    StoredSlice,
    manifest_bytes,
)
from fusefront.datasets.preparing.build import Builder
from fusefront.datasets.preparing.context import (
    Blocks,
    StoredSide,
    blocks,
    finish_codes,
    finish_numbers,
)
from fusefront.datasets.preparing.counters import CounterPlan, count_rows, facts_of_counters
from fusefront.datasets.preparing.items import ItemFile, write_items
from fusefront.datasets.preparing.modalities import write_modality
from fusefront.datasets.preparing.slices import (
    STORED_ALREADY,
    ItemFacts,
    finish_by_column,
    finish_by_item,
    item_codes,
)
from fusefront.datasets.raw.category_codes import Codebook, finish, slice_codes
from fusefront.datasets.raw.column_kinds import FRACTIONS
from fusefront.datasets.raw.columns import ITEMS, LOG, USERS
from fusefront.datasets.raw.files import write_npy
from fusefront.datasets.raw.log_records import Recorder
from fusefront.datasets.raw_rows import RawRows, raw_fields
from fusefront.datasets.spec import SPLITS, DatasetSpec, SliceSpec
from fusefront.datasets.synthetic.bayes import BayesBins, bayes_auc

Say = Callable[[str], None]
_EXACT_ROWS = 1 << 22  # with more rows the Bayes AUC is streamed, with an error of at most 1e-6


class Job(NamedTuple):
    """What is prepared, from where and to where."""

    spec: DatasetSpec
    data: Path
    folder: Path
    fingerprint: str
    allowed: Allowed = NOTHING
    outside: tuple[str, ...] = ()  # paths of the spec outside the data folder, allowed


class WrittenLog(NamedTuple):
    """The log after its rows were written to their splits; `sources` holds the code books of its
    slices."""

    recorder: Recorder
    builder: Builder
    counts: dict[str, SplitCounts]
    sources: dict[str, Codebook]
    warnings: list[str]
    counters: CounterPlan


class StoredVectors(NamedTuple):
    """The width of each modality, which items have it [items + 1, modalities], and notes
    about it."""

    widths: dict[str, int]
    present: NDArray[np.bool_]
    warnings: list[str]


def finish_store(job: Job, items: ItemFile, log: WrittenLog, say: Say) -> None:
    """Write everything that depends on the whole of train: fields, item facts, vectors, slices,
    manifest."""
    spec, folder, builder = job.spec, job.folder, log.builder
    sides = _sides(job, items, log, say)
    for name in ("impressions", "clicks", "in_train"):
        write_npy(folder / "items" / f"{name}.npy", getattr(builder, name))
    tally = log.recorder.tally
    vectors = _vectors(job, items, tally, say)
    facts = ItemFacts(builder.in_train, builder.impressions, vectors.present, tuple(vectors.widths))
    slices = {part.name: _slice(job, part, log, facts, items) for part in spec.slices}
    truth = None
    if spec.truth:
        truth = {split: _bayes(folder / split / "row" / "truth.npy") for split in SPLITS}
    history = _history(job, log)
    shutil.rmtree(folder / "work")
    manifest = Manifest(
        name=spec.name,
        fingerprint=job.fingerprint,
        schema=_schema(spec, items, vectors.widths, sides),
        counts=log.counts,
        history_values=builder.history.rows,
        history=history,
        drawn=spec.negatives.per_positive if spec.negatives else 0,
        files=record_files(folder),
        slices=slices,
        cluster=spec.cluster,
        bayes_auc=truth,
        dtypes={part: modality.dtype for part, modality in spec.modalities.items()},
        present={part: int(vectors.present[:, k].sum()) for k, part in enumerate(vectors.widths)},
        numbers=sides["request"].scalings | sides["candidate"].scalings | sides["item"].scalings,
        timestamps=spec.columns.timestamp is not None,
        time_unit=log.recorder.clock.unit,
        split_by=spec.split.by,
        source_rows=sum(part.rows for part in log.counts.values()),
        warnings=(*log.warnings, *vectors.warnings),
        outside=job.outside,
        losses=tally.losses(),
        kinds=log.recorder.kinds.of,
        counters=facts_of_counters(
            spec, log.counts["train"], log.recorder.clock.unit, builder.cuts
        ),
        raw=_raw_rows(spec, log.recorder, log.counters.plan, history.kinds),
    )
    for loss in manifest.losses.values():
        say(loss.sentence())
    write_bytes(folder / "manifest.json", manifest_bytes(manifest))


def _raw_rows(spec: DatasetSpec, recorder: Recorder, plan: Plan, kinds: tuple[str, ...]) -> RawRows:
    """How serving reads raw rows: as they were read here."""
    log, users = recorder.kinds.table(LOG), recorder.kinds.table(USERS)
    of_users = spec.users.fields if spec.users else ()
    counted = {side: plan.fields(side) for side in ("request", "candidate")}
    own = {
        side: [dict.fromkeys(plan.names(side), FRACTIONS)] * len(counted[side]) for side in counted
    }
    return RawRows(
        item=spec.columns.item,
        item_kind=recorder.items.kind,
        history=spec.history,
        history_columns=recorder.history_columns if "*" in str(spec.history.column) else (),
        event_kind=log.get(str(spec.history.kind), "text"),
        event_kinds=kinds,
        request=raw_fields(
            (*spec.request_fields, *of_users, *counted["request"]),
            [log] * len(spec.request_fields) + [users] * len(of_users) + own["request"],
        ),
        candidate=raw_fields(
            (*spec.candidate_fields, *counted["candidate"]),
            [log] * len(spec.candidate_fields) + own["candidate"],
        ),
    )


def _sides(job: Job, items: ItemFile, log: WrittenLog, say: Say) -> dict[str, StoredSide]:
    """Fields of requests, candidates and items, coded and scaled by train."""
    spec, folder, recorder, tally = job.spec, job.folder, log.recorder, log.recorder.tally
    recorder.clock.count_days(tally)
    recorder.request.count_beyond(tally, "request")
    recorder.candidate.count_beyond(tally, "candidate")
    if recorder.users is not None:
        recorder.users.encoder.count_beyond(tally, "request")
    kinds = {"request": "request", "candidate": "row"}
    fields = {"request": recorder.request_fields, "candidate": spec.candidate_fields}
    books = {"request": recorder.request_books, "candidate": recorder.candidate.books}
    stored = {
        side: finish_codes(folder, side, kind, fields[side], books[side], tally)
        for side, kind in kinds.items()
    }
    of_items = write_items(
        folder, job.data, spec, items, log.builder.in_train, recorder.kinds, tally
    )
    places_of = {**stored, "item": of_items.fields}
    counted = count_rows(spec, folder, log.counters, places_of, log.counts["train"], say)
    sides = {"item": of_items}
    for side, kind in kinds.items():
        names = counted.get(side, ())
        numbers, scalings = finish_numbers(folder, side, kind, fields[side], names, tally)
        sides[side] = StoredSide(stored[side], numbers, scalings)
    return sides


def _vectors(job: Job, items: ItemFile, tally: Tally, say: Say) -> StoredVectors:
    """Every modality's table, and items/present.npy."""
    vectors = StoredVectors({}, np.zeros((len(items.keys) + 1, len(job.spec.modalities)), bool), [])
    for place, modality in enumerate(job.spec.modalities):
        say(f"vectors of {modality!r}")
        vectors.widths[modality], vectors.present[:, place], sentences = write_modality(
            job.folder, job.data, job.spec, modality, items, tally, job.allowed
        )
        lack = len(items.keys) - int(vectors.present[:, place].sum())
        tally.add(f"modality.{modality}.absent", lack, len(items.keys), f"items have no {modality}")
        for sentence in sentences:
            say(f"WARNING: {sentence}")
        vectors.warnings.extend(sentences)
    write_npy(job.folder / "items" / "present.npy", vectors.present)
    return vectors


def _bayes(path: Path) -> float:
    """The AUC of the true probabilities: in expectation, no model can be better."""
    truth = np.load(path, mmap_mode="r")
    if len(truth) <= _EXACT_ROWS:
        return bayes_auc(truth)
    bins = BayesBins()
    for block in Blocks(path):
        bins.add(block)
    return bins.auc()


def _slice(
    job: Job, part: SliceSpec, log: WrittenLog, facts: ItemFacts, items: ItemFile
) -> StoredSlice:
    folder = job.folder
    if part.name in log.sources:
        return finish_by_column(folder, part, log.sources[part.name])
    if part.when in STORED_ALREADY:
        return StoredSlice(values=STORED_ALREADY[part.when], sensitive=part.sensitive)
    if part.when is not None:
        return finish_by_item(folder, part, *item_codes(part.when, facts))
    assert items.table is not None
    name, book = str(part.column), Codebook()
    kind = log.recorder.kinds.table(ITEMS)[name]
    codes = [
        slice_codes(book, rows.frame[name], kind, rows.path, part.name)
        for rows in items.table.files([name])
    ]
    finish_by_item(folder, part, np.concatenate([np.zeros(1, np.int16), *codes]), ())
    return finish_by_column(folder, part, book)


def _history(job: Job, log: WrittenLog) -> StoredHistory:
    """How histories were made; kinds of events get codes if train has them."""
    history = job.spec.history
    if history.source != "log":
        return StoredHistory(past="none" if history.source == "none" else "given")
    past: Literal["train", "earlier"] = "train" if job.spec.of_train else "earlier"
    events = history.events or "positives"
    if history.kind is None:
        return StoredHistory(past=past, events=events, lag=history.lag)
    kinds = log.recorder.event_kinds
    vocabulary = finish(kinds.book, log.builder.kinds_of_train)
    for block in blocks(job.folder / "history" / "kind.npy", "r+"):
        final = vocabulary.of[block]
        lost = int(((block > 0) & (final == 0)).sum())
        what = f"events of histories have a kind in {history.kind} that is not in train's"
        kinds.tally.add("history.kind_unseen", lost, len(block), what)
        block[:] = final
    return StoredHistory(
        past=past, events=events, kind=history.kind, kinds=vocabulary.values, lag=history.lag
    )


def _schema(
    spec: DatasetSpec, items: ItemFile, widths: dict[str, int], sides: dict[str, StoredSide]
) -> StoredSchema:
    return StoredSchema(
        items=len(items.keys),
        modalities=widths,
        item_fields=sides["item"].fields,
        item_numbers=sides["item"].numbers,
        request_fields=sides["request"].fields,
        request_numbers=sides["request"].numbers,
        candidate_fields=sides["candidate"].fields,
        candidate_numbers=sides["candidate"].numbers,
        max_history=0 if spec.history.source == "none" else spec.history.max_length,
    )
