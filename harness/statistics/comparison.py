"""The result of a comparison as one object, which can be written to JSON and polars and read
back."""

import math
from dataclasses import dataclass, field

import polars as pl

from fusefront.harness.statistics import record as records
from fusefront.harness.statistics.joint import JointModel, Pair
from fusefront.harness.statistics.measures.metrics import ALL_METRICS, Metric
from fusefront.harness.statistics.record import finite, number
from fusefront.harness.statistics.record_search import search_of, search_record
from fusefront.harness.statistics.record_types import ComparisonRecord
from fusefront.harness.statistics.result_rows import (
    ClusterWeight,
    CurvePoint,
    SearchVerdicts,
    Share,
    SliceRow,
    StrategyRow,
    Winner,
)


@dataclass(frozen=True)
class Comparison:
    """Strategies compared on one split; differences are strategy minus baseline."""

    study: str
    split: str
    metric: str  # the one that verdicts are given on
    baseline: str
    cluster: str  # what counts as independent: user | request | user and item
    margin: float
    effect: float  # the declared effect that `needs` refers to
    alpha: float
    rows: int
    positives: int
    clusters: int
    mc: int
    strategies: tuple[StrategyRow, ...]
    model: JointModel  # of the primary metric: any two strategies' difference and its error
    c_all: float  # critical value of all pairs at once
    c_base: float  # of the strategies' pairs with the baseline
    best_set: tuple[str, ...]  # empty where the data allow no statement
    winner: Winner | None  # best on this split; its interval allows for choosing the best
    selected: Winner | None  # best on validation
    slices: tuple[SliceRow, ...]
    variance: tuple[Share, ...]
    curves: dict[str, dict[str, tuple[CurvePoint, ...]]]  # ece | ece_scaled -> strategy
    temperature: dict[str, float]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    look: int  # number of this look at the split: later ones have wider intervals
    own_metrics: dict[str, Metric] = field(default_factory=dict)  # those that are not shipped
    search: SearchVerdicts | None = None  # on ways of fusing; None if searches are unknown
    weight: ClusterWeight | None = None  # how unequal the clusters are; None in older files
    two_way_ratio: float = float("nan")  # error by user and item over that by user; nan: not known
    c_controls: float = float("nan")  # of controls' and ablations' pairs with the baseline
    c_strategies: float = float("nan")  # of all pairs of strategies, the baseline among them

    @property
    def about(self) -> dict[str, Metric]:
        """The description of each metric: its title and whether more is better."""
        return ALL_METRICS | self.own_metrics

    def row(self, name: str) -> StrategyRow:
        """The row of strategy `name`; raises ValueError, which lists the known names."""
        rows = [row for row in self.strategies if row.name == name]
        if not rows:
            known = ", ".join(row.name for row in self.strategies)
            raise ValueError(f"got strategy {name!r}, expected one of: {known}")
        return rows[0]

    def pair(self, a: str, b: str) -> Pair:
        """The difference a - b of the primary metric, with the interval that every table and figure
        shows.

        The interval holds for all pairs of a family at once: strategies with the baseline, controls
        with the baseline, strategies with each other, or any two.
        """
        critical = self.critical(a, b)
        return self.model.simultaneous(self.model.index(a), self.model.index(b), critical)

    def critical(self, a: str, b: str) -> float:
        """Half the width of the interval of a - b in standard errors (at least that of a single
        comparison)."""
        controls = {row.name for row in self.strategies if row.family == "controls"}
        if self.baseline in (a, b):
            other = b if a == self.baseline else a
            c = self.c_controls if other in controls else self.c_base
        else:
            c = self.c_all if controls & {a, b} else self.c_strategies
        return self.c_all if math.isnan(c) else c

    def to_dict(self) -> ComparisonRecord:
        """The comparison as JSON; null stands for missing numbers."""
        return {
            "format": 2,
            "study": self.study,
            "split": self.split,
            "metric": self.metric,
            "baseline": self.baseline,
            "cluster": self.cluster,
            "margin": finite(self.margin),
            "effect": finite(self.effect),
            "alpha": finite(self.alpha),
            "rows": self.rows,
            "positives": self.positives,
            "clusters": self.clusters,
            "mc": self.mc,
            "strategies": [records.strategy_record(row) for row in self.strategies],
            "c_all": finite(self.c_all),
            "c_base": finite(self.c_base),
            "c_controls": finite(self.c_controls),
            "c_strategies": finite(self.c_strategies),
            "best_set": list(self.best_set),
            "winner": records.lead_record(self.winner),
            "selected": records.lead_record(self.selected),
            "slices": [records.slice_record(row) for row in self.slices],
            "variance": [records.share_record(share) for share in self.variance],
            "curves": {
                kind: {name: records.curve_record(points) for name, points in curves.items()}
                for kind, curves in self.curves.items()
            },
            "temperature": {name: finite(value) for name, value in self.temperature.items()},
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "own_metrics": {
                name: records.metric_record(metric) for name, metric in self.own_metrics.items()
            },
            "search": None if self.search is None else search_record(self.search),
            "weight": records.weight_record(self.weight),
            "two_way_ratio": finite(self.two_way_ratio),
            "look": self.look,
            "model": records.model_record(self.model),
        }

    @classmethod
    def from_dict(cls, record: ComparisonRecord) -> "Comparison":
        """The comparison that `to_dict` wrote; raises ValueError if the model's arrays do not fit
        its names."""
        return cls(
            study=record["study"],
            split=record["split"],
            metric=record["metric"],
            baseline=record["baseline"],
            cluster=record["cluster"],
            margin=number(record["margin"]),
            effect=number(record["effect"]),
            alpha=number(record["alpha"]),
            rows=record["rows"],
            positives=record["positives"],
            clusters=record["clusters"],
            mc=record["mc"],
            strategies=tuple(records.strategy_of(row) for row in record["strategies"]),
            model=records.model_of(record["model"]),
            c_all=number(record["c_all"]),
            c_base=number(record["c_base"]),
            best_set=tuple(record["best_set"]),
            winner=records.lead_of(record["winner"]),
            selected=records.lead_of(record["selected"]),
            slices=tuple(records.slice_of(row) for row in record["slices"]),
            variance=tuple(records.share_of(share) for share in record["variance"]),
            curves={
                kind: {name: records.curve_of(points) for name, points in curves.items()}
                for kind, curves in record["curves"].items()
            },
            temperature={name: number(value) for name, value in record["temperature"].items()},
            notes=tuple(record["notes"]),
            warnings=tuple(record["warnings"]),
            own_metrics={
                name: records.metric_of(metric)
                for name, metric in record.get("own_metrics", {}).items()
            },
            search=search_of(search) if (search := record.get("search")) else None,
            weight=records.weight_of(record.get("weight")),
            two_way_ratio=number(record.get("two_way_ratio")),
            c_controls=number(record.get("c_controls")),
            c_strategies=number(record.get("c_strategies")),
            look=record.get("look", 1),
        )

    def to_polars(self) -> pl.DataFrame:
        """One row a strategy; a metric has three columns: the AUC has auc, auc_low and auc_high."""
        flat = [_flat(row) for row in self.strategies]
        names = dict.fromkeys(name for row in flat for name in row)
        kinds = {name: _KINDS.get(name, pl.Float64()) for name in names}
        columns = {name: [row.get(name) for row in flat] for name in names}
        return pl.DataFrame(columns, schema=kinds)


_KINDS: dict[str, pl.DataType] = {
    **dict.fromkeys(("strategy", "role", "family", "verdict", "reason"), pl.String()),
    **dict.fromkeys(("seeds", "rank_low", "rank_high", "needs_rows", "needs_seeds"), pl.Int64()),
    "in_best_set": pl.Boolean(),
}


def _flat(row: StrategyRow) -> dict[str, str | float | None]:
    flat: dict[str, str | float | None] = {
        "strategy": row.name,
        "role": row.role,
        "seeds": row.seeds,
    }
    for prefix, group in (("", row.metrics), ("difference_", row.differences)):
        for name, estimate in group.items():
            flat[prefix + name] = finite(estimate.value)
            flat[f"{prefix}{name}_low"] = finite(estimate.low)
            flat[f"{prefix}{name}_high"] = finite(estimate.high)
    return flat | {
        "p": finite(row.p),
        "p_adjusted": finite(row.p_adjusted),
        "mde": finite(row.mde),
        "valid": finite(row.valid),
        "family": row.family,
        "verdict": row.verdict,
        "reason": row.reason,
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "in_best_set": row.in_best_set,
        "needs_rows": row.needs.rows,
        "needs_seeds": row.needs.seeds,
    }
