"""gaps.json of a study: gaps between the groups of sensitive slices."""

import numpy as np

from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.dossier.record_types import GapRow, GapsRecord, optional_record
from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.statistics.gaps import MEASURES, group_gaps
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.reports.evidence import Interval, SliceGap

FILE = "gaps.json"


def write_gaps(folder: StudyFolder, source: StudySource, level: float) -> None:
    """Write the gaps of every strategy if the data set has a sensitive slice; test must be open
    already."""
    if not any(each.sensitive for each in source.slices("test")):
        return
    layout = Layout(source.rows("test"), source.cluster)
    strategies = tuple(name for name in source.strategies if source.role(name) == "strategy")
    k = folder.spec.money.top_k
    gaps = group_gaps(source, layout, strategies, k, level)
    rows: list[GapRow] = [
        {
            "strategy": gap.strategy,
            "slice": gap.slice,
            "measure": gap.measure,
            "group": gap.group,
            "other": gap.other,
            "gap": {"value": gap.value, "low": _known(gap.low), "high": _known(gap.high)},
            "p": _known(gap.p),
        }
        for gap in gaps
    ]
    write_json(folder.path / FILE, {"format": 1, "top_k": k, "gaps": rows})


def read_gaps(folder: StudyFolder) -> list[GapRow]:
    """The recorded gaps; [] without a sensitive slice."""
    record = optional_record(folder.path / FILE, GapsRecord)
    return record["gaps"] if record else []


def shown_gaps(folder: StudyFolder, strategies: list[str | None]) -> tuple[SliceGap, ...]:
    """The gaps of the strategies that page one is about."""
    return tuple(
        SliceGap(
            row["strategy"],
            row["slice"],
            row["measure"],
            row["group"],
            row["other"],
            Interval(row["gap"]["value"], row["gap"].get("low"), row["gap"].get("high")),
        )
        for row in read_gaps(folder)
        if row["strategy"] in strategies
    )


def beyond(rows: list[GapRow], largest: dict[str, float]) -> list[str]:
    """A sentence for each gap that is shown to be larger than allowed.

    `largest`: measure -> largest allowed size. A gap fails only if its whole interval is beyond
    that size.
    """
    sentences = []
    for row in rows:
        most, gap = largest.get(row["measure"]), row["gap"]
        low, high = gap.get("low"), gap.get("high")
        if most is None or low is None or high is None or not (low > most or high < -most):
            continue
        sentences.append(
            f"{row['strategy']}: {row['measure']} of {row['slice']} {row['group']} differs from "
            f"{row['other']} by {gap['value']:+.4f} [{low:+.4f}, {high:+.4f}], allowed is {most:g}"
        )
    return sentences


def allowed_gaps(texts: list[str]) -> dict[str, float]:
    """Texts such as "auc=0.02" as measure -> largest allowed gap.

    Raises:
        ValueError: a text is not MEASURE=SIZE of a known measure.
    """
    allowed: dict[str, float] = {}
    for text in texts:
        measure, equals, size = text.partition("=")
        try:
            allowed[measure] = float(size)
        except ValueError:
            equals = ""
        if not equals or measure not in MEASURES or not allowed[measure] >= 0:
            raise ValueError(
                f"--max-gap {text!r}: expected MEASURE=SIZE with one of {', '.join(MEASURES)} and "
                "a size of 0 or more"
            )
    return allowed


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
