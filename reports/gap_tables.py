"""Tables of what each modality adds, of what disturbed inputs cost, and of gaps between the groups
of sensitive slices."""

from fusefront.reports import numbers
from fusefront.reports.cells import (
    NONE,
    ColumnHead,
    TableEntry,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
)
from fusefront.reports.evidence import Evidence, Interval, MissingCurve
from fusefront.reports.tables import Row, Table, runs_of
from fusefront.reports.words.reviewer import DISTURBED, HEADING

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


CONTROLLED = (
    "Each trained model with one modality removed, with the vectors of other items, or with random "
    "vectors of the same mean and spectrum; the change of its AUC. Intervals hold for all "
    "modalities and controls of a strategy at once. A modality is used for what it shows where "
    "other vectors in its place lose AUC."
)


def controls(evidence: Evidence) -> Table:
    """One row a strategy, modality and control."""
    rows = tuple(
        Row(
            (
                TableEntry(each.strategy, each.strategy),
                each.modality,
                each.control,
                number_cell(each.auc.value, numbers.signed(each.auc.value)),
                ends_cell(each.auc),
                _use(each.auc),
            ),
            bar=each.auc,
            run_ids=runs_of(evidence, each.strategy),
        )
        for each in evidence.controlled
    )
    heads = (
        "strategy",
        ColumnHead("modality", "modality"),
        ColumnHead("control", "control"),
        value_head("change of AUC", "auc"),
        ends_head("simultaneous interval", "auc"),
        "in words",
    )
    return Table("controls", HEADING["controls"], heads, rows, CONTROLLED, bars=4)


def _use(auc: Interval) -> str:
    if auc.low is None or auc.high is None:
        return "no interval"
    if auc.value == auc.low == auc.high == 0:
        return "no score changes"
    if auc.low <= 0 <= auc.high:
        return "no loss shown"
    return "loses" if auc.high < 0 else "gains"


WEIGHED = (
    "Gates and attention of operators that tell how they weigh their slots: the mean over rows of "
    "test and seeds, 0 where a row lacks the slot; each interval is of one number alone. A weight "
    "says what an operator lets in, not what it adds to AUC."
)


def weights(evidence: Evidence) -> Table:
    """One row a slot of an operator, on all test rows and on each slice."""
    rows = tuple(
        Row(
            (
                TableEntry(each.strategy, each.strategy),
                each.operator,
                each.rows or "all test rows",
                each.slot,
                number_cell(each.weight.value, numbers.fixed(each.weight.value, 3)),
                ends_cell(each.weight, 3),
                TableEntry(numbers.percent(each.present), each.present),
            ),
            run_ids=runs_of(evidence, each.strategy),
        )
        for each in evidence.weighed
    )
    heads = (
        "strategy",
        ColumnHead("operator", "operator"),
        ColumnHead("rows", "rows"),
        ColumnHead("slot", "slot"),
        value_head("mean weight", "weight"),
        ends_head("interval", "weight"),
        value_head("rows that have it", "present"),
    )
    return Table("weights", HEADING["weights"], heads, rows, WEIGHED)


DISTURBANCE = (
    "Change of AUC of the same trained models from nothing disturbed, as the mean over the shares "
    "(area under the curve) with its interval; and the AUC over what runs today, disturbed alike, "
    "at the largest share."
)


def disturbed(evidence: Evidence) -> Table:
    """One row a curve of missing, noisy, stale or new inputs that has an area."""
    curves = evidence.missing.curves if evidence.missing else ()
    rows = tuple(
        Row(
            (
                TableEntry(curve.strategy, curve.strategy),
                DISTURBED[curve.kind],
                curve.modality or NONE,
                numbers.percent(curve.shares[-1]),
                number_cell(area.value, numbers.signed(area.value)),
                ends_cell(area),
                *_lead(evidence, curve),
            ),
            bar=area,
            run_ids=runs_of(evidence, curve.strategy),
        )
        for curve in curves
        for area in (curve.area,)
        if area is not None
    )
    heads = (
        "strategy",
        ColumnHead("what", "what"),
        ColumnHead("modality", "modality"),
        ColumnHead("up to", "up_to"),
        value_head("mean change", "change"),
        ends_head("interval", "change"),
        value_head("over today", "lead"),
        ends_head("interval", "lead"),
    )
    return Table("missing", HEADING["missing"], heads, rows, DISTURBANCE, bars=5)


def _lead(evidence: Evidence, curve: MissingCurve) -> tuple[TableEntry, TableEntry]:
    """Of the largest share; nothing for what runs today itself."""
    assert evidence.missing is not None
    if not curve.lead or curve.strategy == evidence.missing.reference:
        return TableEntry(NONE, None), TableEntry(NONE, None, None)
    last = curve.lead[-1]
    return number_cell(last.value, numbers.signed(last.value)), ends_cell(last)


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
