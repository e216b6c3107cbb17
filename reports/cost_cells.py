"""Cells of a table on what a part is worth beside AUC, and what it costs."""

from fusefront.reports import numbers
from fusefront.reports.cells import (
    NONE,
    ColumnHead,
    TableEntry,
    number_cell,
    value_head,
    whole_head,
)
from fusefront.reports.evidence import AblationStep, Interval

FREE = "nothing measurable"


def cost_heads() -> tuple[ColumnHead, ...]:
    """Columns of what a part is worth beside AUC, and what it costs."""
    return (
        whole_head("logloss", "logloss"),
        whole_head("PCOC", "pcoc"),
        whole_head("ms it adds at p50", "ms_p50"),
        whole_head("at p99", "ms_p99"),
        whole_head("AUC a ms", "auc_per_ms"),
        value_head("kMAC it adds", "kmac"),
        value_head("bytes an item", "code_bytes"),
    )


def cost_cells(step: AblationStep) -> tuple[TableEntry, ...]:
    """One row's cells under `cost_heads`."""
    cost = step.cost
    kmac = cost.macs / 1000 if cost and cost.macs is not None else None
    size = cost.code_bytes if cost else None
    return (
        _whole(step.logloss),
        _whole(step.pcoc),
        _timed(cost.p50 if cost else None, cost.measurable if cost else None),
        _timed(cost.p99 if cost else None, cost.measurable_p99 if cost else None),
        _whole(cost.auc_per_ms if cost else None),
        number_cell(kmac, "" if kmac is None else numbers.signed(kmac, 1)),
        number_cell(size, "" if size is None else numbers.signed(size, 0)),
    )


def _whole(interval: Interval | None, places: int = numbers.AUC_PLACES) -> TableEntry:
    if interval is None:
        return TableEntry(NONE, None, None, None)
    text = numbers.signed(interval.value, places)
    if interval.low is not None and interval.high is not None:
        text = f"{text} {numbers.bracket(interval, places)}"
    return TableEntry(text, interval.value, interval.low, interval.high)


def _timed(interval: Interval | None, measurable: bool | None) -> TableEntry:
    if interval is None:
        return TableEntry(NONE, None, None, None)
    if measurable is False:
        return TableEntry(FREE, interval.value, interval.low, interval.high)
    return _whole(interval, 2)
