"""Tables of what each modality adds, and of gaps between the groups of sensitive slices."""

from fusefront.reports import numbers
from fusefront.reports.cells import (
    ColumnHead,
    TableEntry,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
)
from fusefront.reports.evidence import Evidence, Interval
from fusefront.reports.tables import Row, Table, runs_of
from fusefront.reports.words.reviewer import HEADING

MEASURE = {"auc": "AUC", "pcoc": "PCOC", "exposure": "share shown in the first places"}
NOTE = (
    "Gaps are taken within each trained model; intervals hold for all groups, measures, slices and "
    "strategies at once. A shown gap is one whose interval leaves zero out."
)


WORTH = (
    "One trained model from which modalities are hidden at serving time: the Shapley value of each "
    "over all subsets. Shares sum to the AUC with all modalities less that with none; intervals "
    "hold for all modalities and slices of a strategy at once."
)


def worths(evidence: Evidence) -> Table:
    """One row a modality, on all test rows and on each slice."""
    rows = tuple(
        Row(
            (
                TableEntry(worth.strategy, worth.strategy),
                worth.rows or "all test rows",
                worth.modality,
                number_cell(worth.auc.value, numbers.signed(worth.auc.value)),
                ends_cell(worth.auc),
                _contribution(worth.auc),
            ),
            bar=worth.auc,
            run_ids=runs_of(evidence, worth.strategy),
        )
        for worth in evidence.worths
    )
    heads = (
        "strategy",
        ColumnHead("rows", "rows"),
        ColumnHead("modality", "modality"),
        value_head("AUC it adds", "auc"),
        ends_head("simultaneous interval", "auc"),
        "in words",
    )
    return Table("worths", HEADING["worths"], heads, rows, WORTH, bars=4)


def _contribution(auc: Interval) -> str:
    if auc.low is None or auc.high is None:
        return "no interval"
    if auc.value == auc.low == auc.high == 0:
        return "contributes nothing"
    if auc.low <= 0 <= auc.high:
        return "not shown to contribute"
    return "adds" if auc.low > 0 else "costs"


def gaps(evidence: Evidence) -> Table:
    """One row a pair of groups, measure and strategy."""
    rows = tuple(
        Row(
            (
                TableEntry(gap.strategy, gap.strategy),
                f"{gap.slice}: {gap.group} − {gap.other}",
                MEASURE.get(gap.measure, gap.measure),
                number_cell(gap.gap.value, numbers.signed(gap.gap.value)),
                ends_cell(gap.gap),
                _word(gap.gap.low, gap.gap.high),
            ),
            run_ids=runs_of(evidence, gap.strategy),
        )
        for gap in evidence.gaps
    )
    heads = (
        "strategy",
        ColumnHead("groups", "groups"),
        ColumnHead("measure", "measure"),
        value_head("gap", "gap"),
        ends_head("simultaneous interval", "gap"),
        "verdict",
    )
    return Table("gaps", HEADING["gaps"], heads, rows, NOTE)


def _word(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "no interval"
    return "shown" if low > 0 or high < 0 else "not shown"
