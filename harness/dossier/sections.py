"""Parts of the report beside the decision: slices, calibration, ablation, missing modalities."""

from collections.abc import Iterable
from typing import cast

import numpy as np

from fusefront.harness.dossier.points import estimate_interval
from fusefront.harness.dossier.record_types import (
    Ends,
    ExplanationRecord,
    RobustnessRecord,
    optional_record,
)
from fusefront.harness.dossier.shown import verdict
from fusefront.harness.runs.records import (
    AblationRecord,
    AblationRow,
    MetricDelta,
    PartCost,
    PathStep,
    read_record,
)
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.statistics.comparison import Comparison
from fusefront.reports.evidence import (
    Ablation,
    AblationStep,
    BuildStep,
    Calibration,
    ControlledModality,
    CrossedCell,
    CrossedEffect,
    Interval,
    MissingCurve,
    MissingModality,
    ModalityWorth,
    RetrainedWorth,
    Slice,
    StepCost,
    WeighedSlot,
)

ROBUSTNESS = "robustness.json"
EXPLANATION = "explanation.json"


def slices(
    comparison: Comparison, strategy: str | None, sensitive: frozenset[str], margin: float
) -> tuple[Slice, ...]:
    """The strategy compared with today's on every value of the declared slices."""
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
    """Calibration curves of the strategies that page one is about, with their calibration error."""
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


AS_IT_IS = "as it is"  # the parent's own level of a crossed factor


def ablations(study: StudyFolder, margin: float) -> tuple[Ablation, ...]:
    """ablation-<strategy>.json: the change of AUC without a part; factorial plans last."""
    chains = (ablation_of(record, margin) for record in study.ablations()[0])
    usable = (chain for chain in chains if chain is not None)
    return tuple(sorted(usable, key=lambda chain: bool(chain.cells)))


def ablation_of(record: AblationRecord, margin: float) -> Ablation | None:
    """The ablation of one record; None if it has no rows."""
    runs: dict[str, list[str]] = {}
    for cell in record["cells"]:
        runs.setdefault(cell["strategy"], []).append(cell["run_id"])
    rows = sorted(record.get("rows", []), key=lambda row: row["delta"])
    if not rows:
        return None
    path = record.get("path")
    return Ablation(
        additive=False,
        end=record["of"],
        steps=tuple(_step(row, runs, margin) for row in rows),
        plan=record.get("plan", "minimal"),
        mode=record.get("hyper_parameters", ""),
        first=tuple(record.get("first", ())),
        path_start=path["start_auc"] if path else None,
        path_base=path.get("base", "") if path else "",
        path=tuple(_build_step(step) for step in path["steps"]) if path else (),
        path_greedy=path.get("choice") == "greedy" if path else False,
        path_untrained=path.get("untrained", 0) if path else 0,
        effects=tuple(
            CrossedEffect(
                tuple(row["factors"]), tuple(row["levels"]), _delta(row["effect"]), row["cells"]
            )
            for row in record.get("effects", [])
        ),
        cells=_crossed_cells(record),
        shares=tuple(
            RetrainedWorth(share["modality"], _delta(share["auc"]), share.get("drawing"))
            for share in record.get("shares", [])
        ),
    )


def _crossed_cells(record: AblationRecord) -> tuple[CrossedCell, ...]:
    """The AUC of each cell of a factorial plan."""
    auc = record.get("auc", {})
    levels = {row["strategy"]: row.get("levels", {}) for row in record.get("rows", [])}
    return tuple(
        CrossedCell(tuple(levels.get(name, {}).items()), value) for name, value in auc.items()
    )


def _build_step(step: PathStep) -> BuildStep:
    return BuildStep(step["part"], step["auc"], _delta(step["gain"]))


def _delta(delta: MetricDelta) -> Interval:
    return Interval(delta["delta"], delta["low"], delta["high"])


def worths(study: StudyFolder) -> tuple[ModalityWorth, ...]:
    """explanation.json: what each modality adds to a trained strategy, on all rows and by slice."""
    record = optional_record(study.path / EXPLANATION, ExplanationRecord)
    return tuple(
        ModalityWorth(
            row["strategy"],
            f"{row['slice']}: {row['value']}" if row["slice"] else "",
            row["modality"],
            _interval(row["auc"]),
        )
        for row in (record["shares"] if record else [])
    )


def controlled(study: StudyFolder) -> tuple[ControlledModality, ...]:
    """explanation.json: what AUC changes by under each control of each modality."""
    record = optional_record(study.path / EXPLANATION, ExplanationRecord)
    return tuple(
        ControlledModality(row["strategy"], row["modality"], row["control"], _interval(row["auc"]))
        for row in (record.get("controls", []) if record else [])
    )


def weighed(study: StudyFolder) -> tuple[WeighedSlot, ...]:
    """explanation.json: how operators weigh their slots."""
    record = optional_record(study.path / EXPLANATION, ExplanationRecord)
    return tuple(
        WeighedSlot(
            row["strategy"],
            row["operator"],
            f"{row['slice']}: {row['value']}" if row["slice"] else "",
            row["slot"],
            _interval(row["weight"]),
            row["present"],
        )
        for row in (record.get("weights", []) if record else [])
    )


def explained(study: StudyFolder) -> tuple[str, ...]:
    """explanation.json: its sentences."""
    record = optional_record(study.path / EXPLANATION, ExplanationRecord)
    return tuple(record.get("sentences", ())) if record else ()


def missing(study: StudyFolder) -> MissingModality | None:
    """robustness.json: AUC differences to the reference as inputs are disturbed more and more."""
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
            curve.get("kind", "items"),
            _interval(curve["area"]) if "area" in curve else None,
        )
        for curve in record.get("curves", [])
    )
    return MissingModality(record["reference"], curves) if curves else None


def _step(row: AblationRow, runs: dict[str, list[str]], margin: float) -> AblationStep:
    gain = Interval(row["delta"], row["low"], row["high"])
    metrics = row.get("metrics", {})
    levels = [level for level in row.get("levels", {}).values() if level != AS_IT_IS]
    return AblationStep(
        " + ".join(levels) or row["without"],
        gain,
        None,
        verdict(gain, margin),
        tuple(runs.get(row["strategy"], ())),
        kind=row.get("kind", ""),
        logloss=_delta(metrics["logloss"]) if "logloss" in metrics else None,
        pcoc=_delta(metrics["pcoc"]) if "pcoc" in metrics else None,
        cost=_cost(row["cost"]) if row.get("cost") else None,
        mde=row.get("mde"),
        over_limit=row.get("over_limit", False),
    )


def _cost(cost: PartCost) -> StepCost:
    p50, p99, ratio = cost.get("p50"), cost.get("p99"), cost.get("auc_per_ms")
    per_ms = None
    if ratio and ratio["shape"] == "bounded":
        value, low, high = (cast(float, ratio[key]) for key in ("value", "low", "high"))
        per_ms = Interval(value, low, high)
    return StepCost(
        Interval(p50["ms"], p50["low"], p50["high"]) if p50 else None,
        Interval(p99["ms"], p99["low"], p99["high"]) if p99 else None,
        p50["measurable"] if p50 else None,
        per_ms,
        cost.get("macs"),
        cost.get("code_bytes"),
        p99["measurable"] if p99 else None,
    )


def _interval(ends: Ends) -> Interval:
    return Interval(ends["value"], ends.get("low"), ends.get("high"))
