"""Rows of a comparison and its model to JSON and back; null stands for nan and infinity."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.measures.metrics import Metric
from fusefront.harness.statistics.power import Settle
from fusefront.harness.statistics.record_types import (
    CurveRecord,
    EstimateRecord,
    LeadRecord,
    Matrix,
    MetricRecord,
    ModelRecord,
    ShareRecord,
    SliceRecord,
    StrategyRecord,
    Vector,
    WeightRecord,
)
from fusefront.harness.statistics.result_rows import (
    ClusterWeight,
    CurvePoint,
    Estimate,
    Share,
    SliceRow,
    StrategyRow,
    Winner,
)

FORMER = {"holm": "strategies", "bh": "controls"}  # families of format 1


def finite(value: float) -> float | None:
    """The number; None if it is nan or infinite."""
    return float(value) if math.isfinite(value) else None


def number(value: float | None) -> float:
    """The number; nan for None."""
    return math.nan if value is None else float(value)


def estimate_record(estimate: Estimate) -> EstimateRecord:
    """An estimate with its interval."""
    return {
        "value": finite(estimate.value),
        "low": finite(estimate.low),
        "high": finite(estimate.high),
        "note": estimate.note,
    }


def estimate_of(record: EstimateRecord) -> Estimate:
    """The estimate that `estimate_record` wrote."""
    ends = (number(record["value"]), number(record["low"]), number(record["high"]))
    return Estimate(*ends, record["note"])


def strategy_record(row: StrategyRow) -> StrategyRecord:
    """A strategy's row."""
    return {
        "name": row.name,
        "role": row.role,
        "seeds": row.seeds,
        "metrics": {name: estimate_record(each) for name, each in row.metrics.items()},
        "differences": {name: estimate_record(each) for name, each in row.differences.items()},
        "valid": finite(row.valid),
        "p": finite(row.p),
        "p_adjusted": finite(row.p_adjusted),
        "family": row.family,
        "verdict": row.verdict,
        "reason": row.reason,
        "needs": {"rows": row.needs.rows, "seeds": row.needs.seeds},
        "mde": finite(row.mde),
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "in_best_set": row.in_best_set,
    }


def strategy_of(record: StrategyRecord) -> StrategyRow:
    """The row that `strategy_record` wrote."""
    return StrategyRow(
        record["name"],
        record["role"],
        record["seeds"],
        _estimates(record["metrics"]),
        _estimates(record["differences"]),
        number(record["valid"]),
        number(record["p"]),
        number(record["p_adjusted"]),
        record.get("family", FORMER.get(record.get("adjustment", ""), "")),
        record["verdict"],
        record["reason"],
        Settle(record["needs"]["rows"], record["needs"]["seeds"]),
        number(record["mde"]),
        record["rank_low"],
        record["rank_high"],
        record["in_best_set"],
    )


def lead_record(winner: Winner | None) -> LeadRecord | None:
    """The best strategy's lead; None if there is none."""
    if winner is None:
        return None
    return {
        "name": winner.name,
        "difference": finite(winner.difference),
        "low": finite(winner.low),
        "high": finite(winner.high),
        "note": winner.note,
        "expected": winner.expected,
    }


def lead_of(record: LeadRecord | None) -> Winner | None:
    """The lead that `lead_record` wrote."""
    if record is None:
        return None
    ends = (number(record["difference"]), number(record["low"]), number(record["high"]))
    return Winner(record["name"], *ends, record["note"], record.get("expected"))


def weight_record(weight: ClusterWeight | None) -> WeightRecord | None:
    """How unequal the clusters are; None if that is not known."""
    if weight is None:
        return None
    return {
        "effective": finite(weight.effective),
        "largest_share": finite(weight.largest_share),
        "largest": weight.largest,
        "rows": weight.rows,
        "positives": weight.positives,
    }


def weight_of(record: WeightRecord | None) -> ClusterWeight | None:
    """The weights that `weight_record` wrote."""
    if record is None:
        return None
    return ClusterWeight(
        number(record["effective"]),
        number(record["largest_share"]),
        record["largest"],
        record["rows"],
        record["positives"],
    )


def slice_record(row: SliceRow) -> SliceRecord:
    """A strategy's row on one value of a slice."""
    return {
        "slice": row.slice,
        "value": row.value,
        "strategy": row.strategy,
        "rows": row.rows,
        "positives": row.positives,
        "mc": row.mc,
        "metrics": {name: estimate_record(each) for name, each in row.metrics.items()},
        "difference": estimate_record(row.difference),
        "p_adjusted": finite(row.p_adjusted),
        "verdict": row.verdict,
        "note": row.note,
        "mde": finite(row.mde),
    }


def slice_of(record: SliceRecord) -> SliceRow:
    """The row that `slice_record` wrote; older files have no effect in it."""
    return SliceRow(
        record["slice"],
        record["value"],
        record["strategy"],
        record["rows"],
        record["positives"],
        record["mc"],
        _estimates(record["metrics"]),
        estimate_of(record["difference"]),
        number(record["p_adjusted"]),
        record["verdict"],
        record["note"],
        number(record.get("mde")),
    )


def share_record(share: Share) -> ShareRecord:
    """The sources of the variance of a strategy's difference."""
    return {
        "strategy": share.strategy,
        "rows": finite(share.rows),
        "seeds": finite(share.seeds),
        "both": finite(share.both),
        "tuning": finite(share.tuning),
        "buy": share.buy,
    }


def share_of(record: ShareRecord) -> Share:
    """The shares that `share_record` wrote."""
    return Share(
        record["strategy"],
        number(record["rows"]),
        number(record["seeds"]),
        number(record["both"]),
        number(record["tuning"]),
        record["buy"],
    )


def curve_record(points: Sequence[CurvePoint]) -> list[CurveRecord]:
    """A calibration curve, lowest scores first."""
    return [
        {
            "rows": finite(point.rows),
            "predicted": finite(point.predicted),
            "observed": finite(point.observed),
            "low": finite(point.low),
            "high": finite(point.high),
        }
        for point in points
    ]


def curve_of(records: Sequence[CurveRecord]) -> tuple[CurvePoint, ...]:
    """The curve that `curve_record` wrote."""
    return tuple(
        CurvePoint(
            number(record["rows"]),
            number(record["predicted"]),
            number(record["observed"]),
            number(record["low"]),
            number(record["high"]),
        )
        for record in records
    )


def metric_record(metric: Metric) -> MetricRecord:
    """The description of a plug-in metric: its title and whether more is better."""
    return {
        "title": metric.title,
        "higher_is_better": metric.higher_is_better,
        "scale": metric.scale,
        "unit": metric.unit,
        "undefined": metric.undefined,
        "draws": metric.draws,
    }


def metric_of(record: MetricRecord) -> Metric:
    """The description that `metric_record` wrote."""
    return Metric(**record)


def model_record(model: JointModel) -> ModelRecord:
    """The model's fields as lists and numbers, and the errors that its intervals use."""
    return {
        "names": list(model.names),
        "theta": _vector(model.theta),
        "s2": _vector(model.s2),
        "n": model.n.tolist(),
        "K": _matrix(model.K),
        "interaction": _vector(model.interaction),
        "floor": _matrix(model.floor),
        "m": model.m,
        "mc": model.mc,
        "rho": model.rho,
        "effective": model.effective,
        "df_bound": model.df_bound,
        "level": model.level,
        "se": _matrix(model.se),
        "df": _matrix(model.dfs),
    }


def model_of(record: ModelRecord) -> JointModel:
    """The model that `model_record` wrote; raises ValueError if the arrays do not fit the names."""
    size = len(record["names"])
    return JointModel(
        names=tuple(record["names"]),
        theta=_array("theta", record["theta"], (size,)),
        s2=_array("s2", record["s2"], (size,)),
        n=np.array(record["n"], np.int64).reshape(size),
        K=_array("K", record["K"], (size, size)),
        interaction=_array("interaction", record["interaction"], (size,)),
        floor=_array("floor", record["floor"], (size, size)),
        m=record["m"],
        mc=record["mc"],
        rho=float(record["rho"]),
        effective=record.get("effective"),
        df_bound=float(record.get("df_bound", 0.0)),
        level=float(record.get("level", 0.95)),
    )


def _estimates(records: Mapping[str, EstimateRecord]) -> dict[str, Estimate]:
    return {name: estimate_of(record) for name, record in records.items()}


def _vector(values: NDArray[np.float64]) -> Vector:
    return [finite(value) for value in values.tolist()]


def _matrix(values: NDArray[np.float64]) -> Matrix:
    return [[finite(value) for value in row] for row in values.tolist()]


def _array(name: str, values: Sequence[object], shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.array(values, dtype=object).astype(np.float64)
    if array.shape != shape:
        raise ValueError(f"{name}: got {list(array.shape)}, expected {list(shape)}")
    return array
