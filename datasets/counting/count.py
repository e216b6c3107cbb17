"""The counters of a store in the making, in bounded memory: key by key, then row by row again."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.numbers import (
    POSITIVES,
    RESIDUAL,
    fixed,
    item_error,
    number_of,
    unfixed,
)
from fusefront.datasets.counting.plan import Ledger, Plan
from fusefront.datasets.counting.rows import BLOCK, CountedRows, StoredRows, key_words
from fusefront.datasets.counting.spread import Gathered, KeyParts
from fusefront.datasets.counting.timeline import Timeline
from fusefront.datasets.raw.files import NpyWriter
from fusefront.datasets.spec import SPLITS

_MOST_BITS = 9
FILE = "raw_counters.npy"

Floats = NDArray[np.float64]
Say = Callable[[str], None]


class Counting(NamedTuple):
    """A store's rows, what to sum over them, and in which folder to work."""

    rows: StoredRows
    plan: Plan
    rate: float  # train's share of positives
    drawn: bool  # negatives are drawn: positives are the only events
    work: Path
    part: int  # entries that are summed at once


def write_numbers(job: Counting, say: Say) -> None:
    """raw_counters.npy of requests and of rows in every split, [n, numbers of the side]."""
    keys = list(dict.fromkeys(ledger.key for ledger in job.plan.ledgers))
    later = [key for key in keys if any(_errors(job.plan, key))]
    for key in sorted(keys, key=lambda key: key in later):
        say(f"counting {' x '.join(key)}")
        _sum_key(job, key)
    _write(job)
    shutil.rmtree(job.work)


def _of_key(plan: Plan, key: tuple[str, ...]) -> dict[int, Ledger]:
    return {place: ledger for place, ledger in enumerate(plan.ledgers) if ledger.key == key}


def _errors(plan: Plan, key: tuple[str, ...]) -> list[tuple[Ledger, float]]:
    """The items' ledgers and priors that the key's residuals are against, each once."""
    of = [part for part in _of_key(plan, key).values() if part.item_prior]
    return list(dict.fromkeys((ledger.of_items, ledger.item_prior) for ledger in of))


def _sum_key(job: Counting, key: tuple[str, ...]) -> None:
    """`<ledger>.sums` of every ledger of one key, a row for each row of the store."""
    ledgers, errors = _of_key(job.plan, key), _errors(job.plan, key)
    parts = KeyParts(job.work / "parts", _entry(len(errors)), _bits(job, key))
    first = 0
    for rows in job.rows:
        past = [_read(job, ledger, first, rows.size) for ledger, _ in errors]
        wrong = [
            item_error(rows.label, sums, prior, job.rate)
            for sums, (_, prior) in zip(past, errors, strict=True)
        ]
        parts.add(_entries(rows, key, first, wrong, drawn=job.drawn))
        first += rows.size
    gathered = {
        place: Gathered(job.work / f"{place}.blocks", first, _width(ledger), job.part)
        for place, ledger in ledgers.items()
    }
    for entries in parts:
        for place, sums in _sums(ledgers, errors, entries).items():
            gathered[place].add(entries["row"], sums)
    for place, of in gathered.items():
        of.write(job.work / f"{place}.sums")


def _entry(errors: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("key", "<u8"),
            ("row", "<i8"),
            ("time", "<i8"),
            ("moment", "<i8"),
            ("source", "<i8"),
            ("label", "u1"),
            ("event", "u1"),
            ("train", "u1"),
            ("errors", "<i8", (errors,)),
        ]
    )


def _bits(job: Counting, key: tuple[str, ...]) -> int:
    """So many bits of the keys that a part has at most about `job.part` entries."""
    entries = len(job.rows)
    for part in key:
        if part in job.rows.places:
            columns = job.rows.places[part].columns
            entries *= columns.stop - columns.start
    bits = 0
    while entries >> bits > job.part and bits < _MOST_BITS:
        bits += 1
    return bits


def _entries(
    rows: CountedRows, key: tuple[str, ...], first: int, errors: list[Floats], *, drawn: bool
) -> NDArray[Any]:
    """A record for each value that each row has of the key; `first` is the row of the first."""
    row, words = key_words(rows, key)
    out = np.zeros(len(row), _entry(len(errors)))
    out["key"], out["row"] = words, first + row
    out["time"], out["moment"] = rows.time[row], rows.moment[row]
    out["source"] = rows.source[row]
    out["label"], out["train"] = rows.label[row], rows.train
    out["event"] = rows.label[row] if drawn else 1
    for place, error in enumerate(errors):
        out["errors"][:, place] = fixed(error)[row]
    return out


def _sums(
    ledgers: dict[int, Ledger], errors: list[tuple[Ledger, float]], entries: NDArray[Any]
) -> dict[int, Floats]:
    """The sums of every ledger before each entry's moment."""
    events = entries if entries["event"].all() else entries[entries["event"] == 1]
    ordered = any(ledger.last for ledger in ledgers.values())
    source = events["source"] if ordered else None
    timeline = Timeline(events["key"], events["time"], source)
    number = timeline.numbers() if events is entries else timeline.number(entries["key"])
    sums = {}
    for place, ledger in ledgers.items():
        values = np.ones((len(events), _width(ledger)), np.int64)
        values[:, POSITIVES] = events["label"]
        if ledger.item_prior:
            of = errors.index((ledger.of_items, ledger.item_prior))
            values[:, RESIDUAL] = events["errors"][:, of]
        if ledger.frozen:
            values *= events["train"][:, None]
        sums[place] = unfixed(timeline.sums(ledger, values, number, entries["moment"]))
    return sums


def _width(ledger: Ledger) -> int:
    return 3 if ledger.item_prior else 2


def _read(job: Counting, ledger: Ledger, first: int, count: int) -> Floats:
    """The sums [count, width] of rows from `first` on."""
    place, width = job.plan.ledgers.index(ledger), _width(ledger)
    path, begin = job.work / f"{place}.sums", 8 * first * width
    return np.fromfile(path, np.float64, count * width, offset=begin).reshape(count, width)


def _write(job: Counting) -> None:
    first = 0
    for split in SPLITS:
        folder, count = job.rows.folder / split, job.rows.lengths[split]
        starts = np.load(folder / "request" / "row_start.npy")[:-1]
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
                heads = starts[
                    np.searchsorted(starts, begin) : np.searchsorted(starts, begin + size)
                ]
                request.append(_numbers(job, "request", sums, size)[heads - begin])
        first += count


def _numbers(job: Counting, side: str, sums: list[Floats], rows: int) -> Floats:
    numbers = [number_of(number, sums, job.rate) for number in job.plan.of(side)]
    return np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0))
