"""Types of the parts of comparison.json; null stands for a missing number."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

Vector = list[float | None]
Matrix = list[Vector]


class EstimateRecord(TypedDict):
    """The JSON form of an `Estimate`."""

    value: float | None
    low: float | None
    high: float | None
    note: str


class NeedsRecord(TypedDict):
    """The JSON form of a `Settle`."""

    rows: int | None
    seeds: int | None


class StrategyRecord(TypedDict):
    """The JSON form of a `StrategyRow`."""

    name: str
    role: str
    seeds: int
    metrics: dict[str, EstimateRecord]
    differences: dict[str, EstimateRecord]
    valid: float | None
    p: float | None
    p_adjusted: float | None
    family: NotRequired[str]
    adjustment: NotRequired[str]
    verdict: str
    reason: str
    needs: NeedsRecord
    mde: float | None
    rank_low: int
    rank_high: int
    in_best_set: bool


class LeadRecord(TypedDict):
    """The JSON form of a `Winner`."""

    name: str
    difference: float | None
    low: float | None
    high: float | None
    note: str
    expected: NotRequired[float | None]


class WeightRecord(TypedDict):
    """The JSON form of a `ClusterWeight`."""

    effective: float | None
    largest_share: float | None
    largest: int
    rows: int
    positives: int


class SliceRecord(TypedDict):
    """The JSON form of a `SliceRow`."""

    slice: str
    value: str
    strategy: str
    rows: int
    positives: int
    mc: int
    metrics: dict[str, EstimateRecord]
    difference: EstimateRecord
    p_adjusted: float | None
    verdict: str
    note: str
    mde: NotRequired[float | None]


class ShareRecord(TypedDict):
    """The JSON form of a `Share`."""

    strategy: str
    rows: float | None
    seeds: float | None
    both: float | None
    tuning: float | None
    buy: str


class CurveRecord(TypedDict):
    """The JSON form of a `CurvePoint`."""

    rows: float | None
    predicted: float | None
    observed: float | None
    low: float | None
    high: float | None


class MetricRecord(TypedDict):
    """The JSON form of a plug-in `Metric`."""

    title: str
    higher_is_better: bool
    scale: Literal["logit", "log", "plain", "biased"]
    unit: Literal["row", "group", "request"]
    undefined: str
    draws: int


class ModelRecord(TypedDict):
    """The JSON form of a `JointModel` of S strategies: arrays [S] or [S, S], and the errors its
    intervals use."""

    names: list[str]
    theta: Vector
    s2: Vector
    n: list[int]
    K: Matrix
    interaction: Vector
    floor: Matrix
    m: int
    mc: int
    rho: float
    effective: NotRequired[float | None]
    df_bound: NotRequired[float]  # absent: 0
    level: NotRequired[float]
    se: NotRequired[Matrix]
    df: NotRequired[Matrix]


class SearchRowRecord(TypedDict):
    """The JSON form of a `SearchRow`."""

    name: str
    trials: int
    sd: float | None
    doubling: float | None
    difference: EstimateRecord
    p_adjusted: float | None
    share: float | None
    verdict: str
    reason: str


class SearchRecord(TypedDict):
    """The JSON form of a `SearchVerdicts`."""

    rows: list[SearchRowRecord]
    df: float | None
    c_base: float | None
    best_set: list[str]
    source: str
    sentences: list[str]


class ComparisonRecord(TypedDict):
    """comparison.json of a study: the JSON form of a `Comparison`."""

    format: NotRequired[int]
    study: str
    split: str
    metric: str
    baseline: str
    cluster: str
    margin: float | None
    effect: float | None
    alpha: float | None
    rows: int
    positives: int
    clusters: int
    mc: int
    strategies: list[StrategyRecord]
    model: ModelRecord
    c_all: float | None
    c_base: float | None
    c_controls: NotRequired[float | None]
    c_strategies: NotRequired[float | None]
    best_set: list[str]
    winner: LeadRecord | None
    selected: LeadRecord | None
    slices: list[SliceRecord]
    variance: list[ShareRecord]
    curves: dict[str, dict[str, list[CurveRecord]]]
    temperature: dict[str, float | None]
    notes: list[str]
    warnings: list[str]
    own_metrics: NotRequired[dict[str, MetricRecord]]
    search: NotRequired[SearchRecord | None]
    weight: NotRequired[WeightRecord | None]
    two_way_ratio: NotRequired[float | None]
    look: NotRequired[int]
