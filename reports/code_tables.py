"""What the codes keep and how narrow they may be, as tables."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence
from fusefront.reports.tables import Row, Table, bracket
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
                shorten(measure.strategy, 60),
                shorten(measure.modality, 40),
                MEASURE.get(measure.measure, shorten(measure.measure.replace("_", " "), 40)),
                numbers.significant(measure.value.value),
                " to ".join(
                    dict.fromkeys(map(numbers.significant, (measure.value.low, measure.value.high)))
                ),
                f"{measure.parts}",
            ),
            chosen=measure.strategy == evidence.decision.choice,
            run_ids=measure.run_ids,
        )
        for measure in evidence.codes
        if measure.value.low is not None and measure.value.high is not None
    )
    heads = ("strategy", "modality", "measure", "mean", "range", "parts")
    return Table("codes", HEADING["codes"], heads, rows, CODES)


def widths(evidence: Evidence) -> Table:
    """AUC on validation at each width of nested codes."""
    rows = tuple(
        Row(
            (
                shorten(curve.strategy, 60),
                "" if curve.seed is None else f"{curve.seed}",
                f"{width}",
                numbers.fixed(auc, 4),
                numbers.signed(change.value),
                bracket(change),
                numbers.count(macs),
            ),
            chosen=curve.strategy == evidence.decision.choice,
            run_ids=(curve.run_id,),
        )
        for curve in evidence.widths
        for width, auc, change, macs in zip(
            curve.widths, curve.auc, curve.change, curve.macs_per_item, strict=True
        )
    )
    heads = ("strategy", "seed", "width", "validation AUC", "against whole", "95% interval",
             "multiply-adds an item")  # fmt: skip
    return Table("widths", HEADING["widths"], heads, rows)
