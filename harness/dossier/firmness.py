"""Whether verdicts change under another recipe (sensitivity.json), and which strategies still
improved in their last epoch."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from typing_extensions import TypedDict

from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.dossier.record_types import optional_record
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.records import Record
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.options import Options
from fusefront.reports.evidence import Interval, OtherVerdict, Rising, TrainingCurve

FILE = "sensitivity.json"


class Standing(TypedDict):
    """A strategy's verdict against the baseline under another recipe, beside the verdict under the
    study's own."""

    recipe: str
    strategy: str
    verdict: str
    other: str  # the verdict by that recipe
    difference: float  # by that recipe
    low: float | None
    high: float | None


class SensitivityRecord(Record):
    """sensitivity.json of a study."""

    rows: list[Standing]


def write_sensitivity(folder: StudyFolder, options: Options, own: Comparison) -> list[str]:
    """Compare under every other recipe and write sensitivity.json; returns sentences for the
    user."""
    rows: list[Standing] = []
    sentences = []
    for place, other in enumerate(folder.matrix().get("sensitivity", [])):
        source = StudySource(folder, other=place)
        if options.baseline not in source.strategies:
            sentences.append(
                f"Nothing is known by the recipe {other['recipe']}: no runs of today's."
            )
            continue
        rows += _standings(other["recipe"], own, compare(source, options, folder.name))
    if folder.matrix().get("sensitivity"):
        record: dict[str, Json] = {"format": 1, "rows": [dict(row) for row in rows]}
        write_json(folder.path / FILE, record)
    return sentences + [
        f"Not firm: {row['strategy']} is {_word(row['verdict'])!r}, and by the recipe "
        f"{row['recipe']} {_word(row['other'])!r}."
        for row in rows
        if _changes(row)
    ]


def _standings(recipe: str, own: Comparison, other: Comparison) -> list[Standing]:
    verdicts = {row.name: row.verdict for row in own.strategies}
    rows = []
    for row in other.strategies:
        if row.name == other.baseline or row.name not in verdicts or not row.metrics:
            continue
        change = row.differences[other.metric]
        low, high = (None if np.isnan(end) else float(end) for end in (change.low, change.high))
        rows.append(
            Standing(
                recipe=recipe,
                strategy=row.name,
                verdict=verdicts[row.name],
                other=row.verdict,
                difference=float(change.value),
                low=low,
                high=high,
            )
        )
    return rows


def _changes(row: Standing) -> bool:
    """Whether both are verdicts and they differ."""
    return row["verdict"] != row["other"]


def _word(verdict: str) -> str:
    return verdict or "no verdict"


def other_verdicts(study: StudyFolder) -> tuple[OtherVerdict, ...]:
    """All verdicts under other recipes, for the report."""
    record = optional_record(study.path / FILE, SensitivityRecord)
    return tuple(
        OtherVerdict(
            row["recipe"],
            row["strategy"],
            _word(row["verdict"]),
            _word(row["other"]),
            Interval(row["difference"], row["low"], row["high"]),
        )
        for row in (record or {"rows": []})["rows"]
    )


def rising(
    curves: Iterable[TrainingCurve], lead: Interval | None, margin: float
) -> tuple[Rising, ...]:
    """Strategies whose validation AUC rose in the last epoch by more than the uncertainty of the
    lead.

    The rise is the last epoch minus the best before it, mean over seeds. The uncertainty is half
    the width of the lead's interval, or the margin of equivalence without an interval. Largest rise
    first.
    """
    unsure = margin
    if lead is not None and lead.low is not None and lead.high is not None:
        unsure = (lead.high - lead.low) / 2
    rises: Mapping[str, list[float]] = defaultdict(list)
    for curve in curves:
        if len(curve.value) > 1:
            rises[curve.strategy].append(curve.value[-1] - max(curve.value[:-1]))
    means = [Rising(name, float(np.mean(rise)), unsure) for name, rise in rises.items()]
    return tuple(sorted((r for r in means if r.by > r.unsure), key=lambda r: -r.by))
