"""Tables of what item codes keep, and of AUC by their width."""

from fusefront.reports import numbers
from fusefront.reports.cells import (
    ColumnHead,
    TableEntry,
    count_head,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
)
from fusefront.reports.evidence import Evidence
from fusefront.reports.tables import Row, Table
from fusefront.reports.words.names import shorten
from fusefront.reports.words.reviewer import CODES, HEADING

MEASURE = {
    "explained_variance": "variance kept",
    "codebook_use": "codebook use",
    "perplexity": "perplexity",
    "collision_rate": "collision rate",
}


def codes(evidence: Evidence) -> Table:
    """Variance kept, codebook use, perplexity, collisions of each strategy's compressors."""
    rows = tuple(
        Row(
            (
                TableEntry(shorten(measure.strategy, 60), measure.strategy),
                TableEntry(shorten(measure.modality, 40), measure.modality),
                MEASURE.get(measure.measure, shorten(measure.measure.replace("_", " "), 40)),
                TableEntry(numbers.significant(measure.value.value), measure.value.value),
                _range(measure.value.low, measure.value.high),
                TableEntry(f"{measure.parts}", measure.parts),
            ),
            chosen=measure.strategy == evidence.decision.choice,
            run_ids=measure.run_ids,
        )
        for measure in evidence.codes
        if measure.value.low is not None and measure.value.high is not None
    )
    heads = (
        "strategy",
        "modality",
        "measure",
        value_head("mean", "mean"),
        ColumnHead("range", "smallest", "largest", kind="number", ends=True),
        count_head("parts", "parts"),
    )
    return Table("codes", HEADING["codes"], heads, rows, CODES)


def _range(low: float, high: float) -> TableEntry:
    """From the smallest to the largest; no confidence interval."""
    ends = dict.fromkeys(map(numbers.significant, (low, high)))
    return TableEntry(" to ".join(ends), low, high)


def widths(evidence: Evidence) -> Table:
    """AUC on validation at each width of nested codes."""
    rows = tuple(
        Row(
            (
                TableEntry(shorten(curve.strategy, 60), curve.strategy),
                TableEntry("" if curve.seed is None else f"{curve.seed}", curve.seed),
                TableEntry(f"{width}", width),
                TableEntry(numbers.fixed(auc, 4), auc),
                TableEntry(numbers.signed(change.value), change.value),
                ends_cell(change),
                number_cell(macs, numbers.count(macs)),
            ),
            chosen=curve.strategy == evidence.decision.choice,
            run_ids=(curve.run_id,),
        )
        for curve in evidence.widths
        for width, auc, change, macs in zip(
            curve.widths, curve.auc, curve.change, curve.macs_per_item, strict=True
        )
    )
    heads = (
        "strategy",
        count_head("seed", "seed"),
        count_head("width", "width"),
        value_head("validation AUC", "validation_auc"),
        value_head("against whole", "change"),
        ends_head("95% interval", "change"),
        count_head("multiply-adds an item", "multiply_adds_an_item"),
    )
    return Table("widths", HEADING["widths"], heads, rows)
