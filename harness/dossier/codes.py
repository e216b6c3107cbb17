"""What the study's runs recorded about their item codes: measures of compressors, and AUC by
width."""

import re
from collections import defaultdict
from collections.abc import Iterable

from fusefront.harness.dossier.widths import width_rows
from fusefront.harness.runs.store import RunEntry
from fusefront.harness.runs.table import codes_in
from fusefront.reports.evidence import CodeMeasure, Interval, WidthCurve

PART = re.compile(r"_\d+$")  # codebook_use_0, codebook_use_1: parts or levels of one code


def measures(entries: Iterable[RunEntry]) -> tuple[CodeMeasure, ...]:
    """Each measure of a strategy's modality, summarised over parts or levels and runs."""
    values: dict[tuple[str, str, str], list[tuple[str, float, str]]] = defaultdict(list)
    for entry in entries:
        for row in codes_in(entry.summary):
            measure = str(row["measure"])
            key = (entry.strategy, str(row["modality"]), PART.sub("", measure))
            values[key].append((measure, float(row["value"]), entry.run_id))
    return tuple(
        CodeMeasure(
            *key,
            parts=len({name for name, _, _ in parts}),
            value=Interval(
                sum(value for _, value, _ in parts) / len(parts),
                min(value for _, value, _ in parts),
                max(value for _, value, _ in parts),
            ),
            run_ids=tuple(dict.fromkeys(run for _, _, run in parts)),
        )
        for key, parts in values.items()
    )


def curves(entries: Iterable[RunEntry]) -> tuple[WidthCurve, ...]:
    """AUC against the width of nested codes, one curve a run; narrowest first."""
    of_runs = []
    for entry in entries:
        rows = sorted(width_rows(entry.path), key=lambda row: row["k"])
        if rows:
            of_runs.append(
                WidthCurve(
                    entry.strategy,
                    entry.seed,
                    entry.run_id,
                    tuple(row["k"] for row in rows),
                    tuple(row["auc"] for row in rows),
                    tuple(Interval(row["delta"], row["low"], row["high"]) for row in rows),
                    tuple(row["macs_per_item"] for row in rows),
                )
            )
    return tuple(of_runs)
