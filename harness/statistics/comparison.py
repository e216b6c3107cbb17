"""What a comparison found, as rows; to and from JSON."""

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from fusefront.harness.statistics.joint import (
    JointModel,
    Json,
    Pair,
    model_from_dict,
    model_to_dict,
)
from fusefront.harness.statistics.measures.metrics import ALL_METRICS, Metric
from fusefront.harness.statistics.power import Settle


class Estimate(NamedTuple):
    """A number with its 95 % interval, or the reason why it has none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""


class StrategyRow(NamedTuple):
    """One strategy of the table."""

    name: str
    role: str  # strategy | control | ablation
    seeds: int
    metrics: dict[str, Estimate]
    differences: dict[str, Estimate]  # to the baseline; empty for the baseline itself
    valid: float  # the primary metric on validation: what a selection may look at
    p: float  # of no difference to the baseline
    p_adjusted: float
    adjustment: str  # holm | bh | ""
    verdict: str  # better | worse | equivalent | cannot tell | no verdict | baseline
    reason: str  # the verdict in a sentence
    needs: Settle  # what would see the declared effect
    mde: float  # smallest difference to the baseline that is seen with 80 % power
    rank_low: int
    rank_high: int
    in_best_set: bool


class Winner(NamedTuple):
    """The best strategy and its lead over the baseline."""

    name: str
    difference: float
    low: float
    high: float
    note: str


class SliceRow(NamedTuple):
    """One strategy on one value of a declared slice."""

    slice: str
    value: str
    strategy: str
    rows: int
    positives: int
    mc: int
    metrics: dict[str, Estimate]
    difference: Estimate  # of the primary metric to the baseline
    p_adjusted: float  # Holm over all slices, values and strategies
    verdict: str
    note: str
    mde: float = float("nan")  # smallest difference seen with 80 % power within the family


class Share(NamedTuple):
    """Where the variance of a strategy's difference to the baseline comes from; shares add to 1."""

    strategy: str
    rows: float
    seeds: float
    both: float  # seeds x rows: falls with more of either
    tuning: float  # nan where one tuning run is all there is
    buy: str  # what to get more of


class CurvePoint(NamedTuple):
    """A bin of the calibration curve with the interval of the share of positives around p."""

    rows: float
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Strategies compared on one split; differences are strategy minus baseline."""

    study: str
    split: str
    metric: str  # the one that verdicts are given on
    baseline: str
    cluster: str  # user | request | user and item
    margin: float
    effect: float  # the declared effect that "needs" is about
    alpha: float
    rows: int
    positives: int
    clusters: int
    mc: int
    strategies: tuple[StrategyRow, ...]
    model: JointModel  # of the primary metric: any two strategies' difference and its error
    c_all: float
    c_base: float
    best_set: tuple[str, ...]  # empty where the data allow no statement
    winner: Winner | None  # best on this split, the interval corrected for the picking
    selected: Winner | None  # best on validation: its interval needs no correction
    slices: tuple[SliceRow, ...]
    variance: tuple[Share, ...]
    curves: dict[str, dict[str, tuple[CurvePoint, ...]]]  # ece | ece_scaled -> strategy
    temperature: dict[str, float]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    own_metrics: dict[str, Metric] = field(default_factory=dict)  # those that are not shipped

    @property
    def about(self) -> dict[str, Metric]:
        """What each metric is called and which way is up."""
        return ALL_METRICS | self.own_metrics

    def row(self, name: str) -> StrategyRow:
        """A strategy's row; ValueError names the known ones."""
        rows = [row for row in self.strategies if row.name == name]
        if not rows:
            known = ", ".join(row.name for row in self.strategies)
            raise ValueError(f"got strategy {name!r}, expected one of: {known}")
        return rows[0]

    def pair(self, a: str, b: str) -> Pair:
        """The difference a - b of the primary metric with its 95 % interval, not adjusted."""
        return self.model.pair(self.model.index(a), self.model.index(b))

    def to_dict(self) -> dict[str, Json]:
        """JSON: named fields all the way down, null for what is not there."""
        content = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "model"}
        return {"format": 1, **content, "model": _plain(model_to_dict(self.model))}

    @classmethod
    def from_dict(cls, content: dict[str, Json]) -> "Comparison":
        """What `to_dict` gave."""
        values = {f.name: content[f.name] for f in fields(cls) if f.name != "own_metrics"}
        for name in ("margin", "effect", "alpha", "c_all", "c_base"):
            values[name] = _number(values[name])
        values["model"] = model_from_dict(content["model"])
        values["strategies"] = tuple(_strategy(row) for row in content["strategies"])
        for name in ("winner", "selected"):
            values[name] = None if content[name] is None else _row(Winner, content[name])
        values["slices"] = tuple(_slice(row) for row in content["slices"])
        values["variance"] = tuple(_row(Share, row) for row in content["variance"])
        values["curves"] = {
            kind: {s: tuple(_row(CurvePoint, p) for p in points) for s, points in by.items()}
            for kind, by in content["curves"].items()
        }
        own = content.get("own_metrics", {})  # comparisons from before there were any have none
        values["own_metrics"] = {name: Metric(**about) for name, about in own.items()}
        for name in ("best_set", "notes", "warnings"):
            values[name] = tuple(content[name])
        return cls(**values)

    def to_polars(self) -> pl.DataFrame:
        """One row a strategy; a metric gives three columns: value, _low, _high."""
        flat = [_flat(row) for row in self.strategies]
        names = dict.fromkeys(name for row in flat for name in row)
        kinds = {name: _KINDS.get(name, pl.Float64()) for name in names}
        columns = {name: [row.get(name) for row in flat] for name in names}
        return pl.DataFrame(columns, schema=kinds)


_KINDS: dict[str, pl.DataType] = {
    **dict.fromkeys(("strategy", "role", "adjustment", "verdict", "reason"), pl.String()),
    **dict.fromkeys(("seeds", "rank_low", "rank_high", "needs_rows", "needs_seeds"), pl.Int64()),
    "in_best_set": pl.Boolean(),
}


def _flat(row: StrategyRow) -> dict[str, Json]:
    flat: dict[str, Json] = {"strategy": row.name, "role": row.role, "seeds": row.seeds}
    for prefix, group in (("", row.metrics), ("difference_", row.differences)):
        for name, estimate in group.items():
            flat[prefix + name] = _finite(estimate.value)
            flat[f"{prefix}{name}_low"] = _finite(estimate.low)
            flat[f"{prefix}{name}_high"] = _finite(estimate.high)
    rest = row._asdict()
    for name in ("p", "p_adjusted", "mde", "valid"):
        flat[name] = _finite(rest[name])
    for name in ("adjustment", "verdict", "reason", "rank_low", "rank_high", "in_best_set"):
        flat[name] = rest[name]
    return flat | {"needs_rows": row.needs.rows, "needs_seeds": row.needs.seeds}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _plain(value: Json) -> Json:
    """NamedTuples to mappings, tuples to lists, nan and infinity to None."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: _plain(part) for key, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return _finite(float(value))
    return value


def _number(value: Json) -> float:
    return float("nan") if value is None else float(value)


def _row(kind: Any, content: dict[str, Json]) -> Any:
    numbers = {name for name, hint in kind.__annotations__.items() if hint in (float, "float")}
    return kind(**{k: _number(v) if k in numbers else v for k, v in content.items()})


def _estimates(content: dict[str, Json]) -> dict[str, Estimate]:
    return {name: _row(Estimate, value) for name, value in content.items()}


def _strategy(content: dict[str, Json]) -> StrategyRow:
    row: StrategyRow = _row(StrategyRow, content)
    return row._replace(
        metrics=_estimates(content["metrics"]),
        differences=_estimates(content["differences"]),
        needs=Settle(**content["needs"]),
    )


def _slice(content: dict[str, Json]) -> SliceRow:
    row: SliceRow = _row(SliceRow, content)
    return row._replace(
        metrics=_estimates(content["metrics"]), difference=_row(Estimate, content["difference"])
    )
