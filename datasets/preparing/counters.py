"""The counters of a store: planned after reading the log, computed once its rows are in their
splits."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.counting.count import Counting, write_numbers
from fusefront.datasets.counting.entries import ledgers_of, result_of, width_of
from fusefront.datasets.counting.plan import Plan, counted_unit, plan_counters
from fusefront.datasets.counting.rows import MOMENT, StoredRows, places
from fusefront.datasets.counting.stored import StoredCounters
from fusefront.datasets.counting.words import sentences
from fusefront.datasets.manifest import SplitCounts, StoredField
from fusefront.datasets.preparing.splits import Cuts
from fusefront.datasets.spec import SPLITS, DatasetSpec, FieldSpec


class CounterPlan(NamedTuple):
    """What to count, and how many entries in one step."""

    plan: Plan
    part: int


def plan_of(spec: DatasetSpec, unit: str, part: int) -> CounterPlan:
    """The plan of a spec's counters; `unit` is that of the log's times."""
    unit = counted_unit(spec, unit)
    return CounterPlan(plan_counters(spec.counters, unit, drawn=spec.negatives is not None), part)


def disk_of(spec: DatasetSpec, unit: str, rows: int) -> int:
    """The most bytes of temporary files that the counters of a spec need for `rows` rows.

    For every key: one record for each value of a row (twice if one value has most of them) and the
    results; besides, the sums of earlier keys and finally the numbers themselves.
    """
    if not spec.counters:
        return 0
    plan = plan_of(spec, unit or "s", 0).plan
    of_requests = spec.columns.request is not None
    before, most = 0, 0
    for group in ledgers_of(plan, drawn=spec.negatives is not None, of_requests=of_requests):
        values = math.prod(_values(spec, part) for part in group.key)
        results = sum(
            result_of(ledger).itemsize * (2 if ledger.window else 1)
            for ledger in group.ledgers.values()
        )
        of_group = sum(8 * width_of(ledger) for ledger in group.ledgers.values())
        most = max(most, before + of_group + values * (2 * group.dtype.itemsize + results))
        before += of_group
    return rows * (8 + max(most, before + 8 * len(plan.numbers)))


def _values(spec: DatasetSpec, part: str) -> int:
    """The largest number of values that a row has in one part of a key."""
    side, _, column = part.partition(".")
    fields: dict[str, tuple[FieldSpec, ...]] = {
        "item": spec.items.fields,
        "request": (*spec.request_fields, *(spec.users.fields if spec.users else ())),
        "candidate": spec.candidate_fields,
    }
    return max((field.width for field in fields.get(side, ()) if field.label == column), default=1)


def count_rows(
    spec: DatasetSpec,
    folder: Path,
    counters: CounterPlan,
    fields: Mapping[str, tuple[StoredField, ...]],
    train: SplitCounts,
    say: Callable[[str], None],
) -> dict[str, tuple[str, ...]]:
    """Count over all rows of the store in `folder`; the names of the numbers of each side."""
    plan = counters.plan
    if not plan.numbers:
        return {}
    used = {part for ledger in plan.ledgers for part in ledger.key}
    where = {name: place for name, place in places(fields).items() if name in used}
    counting = Counting(
        StoredRows(folder, where),
        plan,
        _rate(train),
        spec.negatives is not None,
        folder / "work" / "counting",
        counters.part,
    )
    write_numbers(counting, say)
    for split in SPLITS:
        (folder / split / "row" / f"{MOMENT}.npy").unlink(missing_ok=True)
    return {side: plan.names(side) for side in ("request", "candidate")}


def facts_of_counters(
    spec: DatasetSpec, train: SplitCounts, unit: str, cuts: Cuts
) -> StoredCounters | None:
    """What serving needs to count later logs in the same way."""
    if not spec.counters:
        return None
    drawn = spec.negatives is not None
    numbers = {
        f"{entry.side}.{name}": sentence
        for entry in spec.counters
        for name, sentence in sentences(entry, _rate(train), drawn=drawn).items()
    }
    return StoredCounters(
        entries=spec.counters,
        rate=_rate(train),
        drawn=drawn,
        unit=unit,
        train_until=cuts.low if spec.split.by == "time" else None,
        columns=spec.columns,
        label=spec.label,
        separator=spec.interactions.separator,
        names=spec.interactions.names or (),
        numbers=numbers,
    )


def _rate(train: SplitCounts) -> float:
    return train.positives / train.rows
