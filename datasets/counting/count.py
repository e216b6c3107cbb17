"""Computes the counters of a store while it is made, in bounded memory: key by key, then row by
row."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.entries import KeyLedgers, ledgers_of, result_of, width_of
from fusefront.datasets.counting.numbers import item_error, number_of, unfixed
from fusefront.datasets.counting.plan import Ledger, Plan
from fusefront.datasets.counting.rows import BLOCK, StoredRows, columns_of
from fusefront.datasets.counting.sliced import gather_sliced
from fusefront.datasets.counting.spread import Gathered, KeyParts, parts_of
from fusefront.datasets.counting.timeline import Timeline
from fusefront.datasets.raw.files import NpyWriter
from fusefront.datasets.spec import SPLITS

_LARGE = 2  # times `part`: in a larger part one value has most of the entries
FILE = "raw_counters.npy"

Floats = NDArray[np.float64]
Say = Callable[[str], None]


class Counting(NamedTuple):
    """A store's rows, what to sum over them, and the folder to work in."""

    rows: StoredRows
    plan: Plan
    rate: float  # train's share of positives
    drawn: bool  # negatives are drawn: positives are the only events
    work: Path
    part: int  # entries that are summed at once


def write_numbers(job: Counting, say: Say) -> None:
    """raw_counters.npy of requests and of rows in every split, [n, numbers of the side]."""
    for group in ledgers_of(job.plan, drawn=job.drawn, of_requests=job.rows.of_requests):
        say(f"counting {' x '.join(group.key)}")
        _sum_key(job, group)
    _write(job)
    shutil.rmtree(job.work)


def _sum_key(job: Counting, group: KeyLedgers) -> None:
    """Write `<ledger>.sums` of every ledger of one key, with one row for each row of the store."""
    columns = columns_of(group.key, job.rows.places)
    bits = parts_of(len(job.rows) * columns, job.part)
    parts = KeyParts(job.work / "parts", group.dtype, bits)
    first = 0
    for rows in job.rows.blocks(max(1, BLOCK // columns)):
        past = [_read(job, ledger, first, rows.size) for ledger, _ in group.errors]
        wrong = [
            item_error(rows.label, sums, prior, job.rate)
            for sums, (_, prior) in zip(past, group.errors, strict=True)
        ]
        parts.add(group.entries(rows, first, wrong))
        first += rows.size
    gathered = {
        place: Gathered(job.work / f"{place}.blocks", first, result_of(ledger))
        for place, ledger in group.ledgers.items()
    }
    for part in parts:
        if part.size > _LARGE * job.part:
            gather_sliced(group, part, gathered, job.part)
        else:
            _gather(group, part.read(), gathered)
    for place, of in gathered.items():
        with (job.work / f"{place}.sums").open("wb") as file:
            for sums in of:
                file.write(np.ascontiguousarray(unfixed(sums)).data)


def _gather(group: KeyLedgers, entries: NDArray[Any], gathered: dict[int, Gathered]) -> None:
    """Add the sums of every ledger before each entry's moment to the sums of its row."""
    events = group.events(entries)
    source = events["source"] if group.ordered else None
    timeline = Timeline(events["key"], events["time"], source)
    number = timeline.numbers() if events is entries else timeline.number(entries["key"])
    for place, ledger in group.ledgers.items():
        values = group.values(ledger, events)
        sums = timeline.sums(ledger, values, number, group.moment(entries))
        gathered[place].add(entries["row"], sums)


def _read(job: Counting, ledger: Ledger, first: int, count: int) -> Floats:
    """The sums [count, width] of rows from `first` on."""
    place, width = job.plan.ledgers.index(ledger), width_of(ledger)
    path, begin = job.work / f"{place}.sums", 8 * first * width
    return np.fromfile(path, np.float64, count * width, offset=begin).reshape(count, width)


def _write(job: Counting) -> None:
    first = 0
    for split in SPLITS:
        folder, count = job.rows.folder / split, job.rows.lengths[split]
        path = folder / "request" / "row_start.npy"
        with (
            NpyWriter(
                folder / "request" / FILE, np.float64, len(job.plan.of("request"))
            ) as request,
            NpyWriter(folder / "row" / FILE, np.float64, len(job.plan.of("candidate"))) as row,
        ):
            for begin in range(0, count, BLOCK):
                size = min(BLOCK, count - begin)
                sums = [_read(job, ledger, first + begin, size) for ledger in job.plan.ledgers]
                row.append(_numbers(job, "candidate", sums, size))
                starts = np.load(path, mmap_mode="r")  # a fresh map: its pages are given back
                edges = np.searchsorted(starts, [begin, begin + size])
                heads = np.array(starts[edges[0] : edges[1]])
                request.append(_numbers(job, "request", sums, size)[heads - begin])
        first += count


def _numbers(job: Counting, side: str, sums: list[Floats], rows: int) -> Floats:
    numbers = [number_of(number, sums, job.rate) for number in job.plan.of(side)]
    return np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0))
