"""The report's parts beside the decision: slices, calibration, ablation, missing modalities."""

from collections.abc import Iterable

import numpy as np

from fusefront.harness.dossier.points import estimate_interval
from fusefront.harness.dossier.record_types import Ends, RobustnessRecord
from fusefront.harness.dossier.shown import verdict
from fusefront.harness.runs.records import AblationRow, read_record
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.statistics.comparison import Comparison
from fusefront.reports.evidence import (
    Ablation,
    AblationStep,
    Calibration,
    Interval,
    MissingCurve,
    MissingModality,
    Slice,
)

ROBUSTNESS = "robustness.json"


def slices(
    comparison: Comparison, strategy: str | None, sensitive: frozenset[str], margin: float
) -> tuple[Slice, ...]:
    """The strategy against today on every value of the declared slices."""
    return tuple(
        Slice(
            f"{row.slice}: {row.value}" if row.value else row.slice,
            row.rows / comparison.rows,
            row.rows,
            gap,
            "" if row.verdict == "no verdict" else verdict(gap, margin),
            row.note or row.difference.note,
            row.slice in sensitive,
        )
        for row in comparison.slices
        for gap in (estimate_interval(row.difference),)
        if row.strategy == strategy and np.isfinite(row.difference.value)
    )


def calibration(
    comparison: Comparison, strategies: Iterable[str | None]
) -> tuple[Calibration, ...]:
    """Curves of the strategies that page one speaks of, with their calibration error."""
    curves, scaled = (comparison.curves.get(kind, {}) for kind in ("ece", "ece_scaled"))
    calibrations = []
    for name in dict.fromkeys(strategies):
        if name is None or name not in curves:
            continue
        metrics = comparison.row(name).metrics
        ece, after = (metrics.get(kind) for kind in ("ece", "ece_scaled"))
        calibrations.append(
            Calibration(
                name,
                tuple(float(point.predicted) for point in curves[name]),
                tuple(Interval(p.observed, p.low, p.high) for p in curves[name]),
                estimate_interval(ece) if ece is not None else None,
                comparison.temperature.get(name),
                tuple(float(point.predicted) for point in scaled.get(name, ())),
                tuple(Interval(p.observed, p.low, p.high) for p in scaled.get(name, ())),
                estimate_interval(after) if after is not None else None,
            )
        )
    return tuple(calibrations)


def ablations(study: StudyFolder, margin: float) -> tuple[Ablation, ...]:
    """ablation-<strategy>.json: what AUC changes by when a part is taken out."""
    chains = []
    for record in study.ablations()[0]:
        runs: dict[str, list[str]] = {}
        for cell in record["cells"]:
            runs.setdefault(cell["strategy"], []).append(cell["run_id"])
        rows = sorted(record.get("rows", []), key=lambda row: row["delta"])
        steps = tuple(_step(row, runs, margin) for row in rows)
        if steps:
            chains.append(Ablation(additive=False, end=record["of"], steps=steps))
    return tuple(chains)


def missing(study: StudyFolder) -> MissingModality | None:
    """robustness.json: AUC over the reference as a share of items loses a modality."""
    path = study.path / ROBUSTNESS
    if not path.exists():
        return None
    record = read_record(path, RobustnessRecord)
    curves = tuple(
        MissingCurve(
            curve["strategy"],
            curve["modality"],
            tuple(curve["shares"]),
            tuple(_interval(value) for value in curve["gain"]),
            tuple(_interval(value) for value in curve["lead"]),
        )
        for curve in record.get("curves", [])
    )
    return MissingModality(record["reference"], curves) if curves else None


def _step(row: AblationRow, runs: dict[str, list[str]], margin: float) -> AblationStep:
    gain = Interval(row["delta"], row["low"], row["high"])
    ids = tuple(runs.get(row["strategy"], ()))
    return AblationStep(row["without"], gain, None, verdict(gain, margin), ids)


def _interval(ends: Ends) -> Interval:
    return Interval(ends["value"], ends.get("low"), ends.get("high"))
