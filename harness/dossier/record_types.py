"""Types of the other records that the dossier reads: store, audit, decision, replay, robustness."""

from pathlib import Path
from typing import NotRequired, TypeVar

from typing_extensions import TypedDict

from fusefront.harness.runs.records import Record, read_record
from fusefront.harness.statistics.record_types import ModelRecord

R = TypeVar("R", bound=Record)


class SliceFacts(TypedDict):
    """A slice of the store: the names of its values, and whether it is sensitive."""

    values: list[str]
    sensitive: NotRequired[bool]


class SplitFacts(TypedDict, total=False):
    """Counts of a split."""

    requests: int
    rows: int
    positives: int
    groups: int


class SchemaFacts(TypedDict, total=False):
    """Widths of the store."""

    items: int
    modalities: dict[str, int]
    max_history: int


class LagFacts(TypedDict, total=False):
    """How late the events of a history, or the rows of a counter, become known."""

    past: str
    lag: str | None


class CounterLags(TypedDict, total=False):
    """The counters of a store, as far as the page shows them."""

    entries: list[LagFacts]


class StoreFacts(Record, total=False):
    """manifest.json of the prepared store, as far as the report shows it."""

    cluster: str
    slices: dict[str, SliceFacts]
    counts: dict[str, SplitFacts]
    schema: SchemaFacts
    bayes_auc: dict[str, float] | None
    history: LagFacts | None
    counters: CounterLags | None


class FindingRecord(TypedDict):
    """A finding of the audit."""

    name: str
    severity: str
    title: NotRequired[str]
    text: NotRequired[str]
    accepted: NotRequired[bool]
    numbers: NotRequired[dict[str, float]]


class AuditRecord(Record, total=False):
    """audit.json of a study."""

    findings: list[FindingRecord]
    passed: list[str]
    not_run: list[str]


class Decided(TypedDict, total=False):
    """The decision, as far as it is read again."""

    choice: str | None
    subject: str | None
    slo_ms: float
    margin: float
    max_cost: float | None
    owner: str
    date: str


class DecisionRecord(Record):
    """decision.json of a study."""

    decision: NotRequired[Decided]
    evidence: NotRequired[dict[str, str]]  # file -> SHA-256
    runs: NotRequired[dict[str, str]]  # run id -> SHA-256


class ReplayRecord(Record):
    """replay.json of a study: clicks of replayed requests, with `model`, their joint model."""

    key: str
    k: int
    requests: int
    shown: NotRequired[float]
    c_all: NotRequired[float]
    c_base: NotRequired[float]
    model: NotRequired[ModelRecord]


class Ends(TypedDict):
    """A number with its 95 % interval; None = there is none."""

    value: float
    low: NotRequired[float | None]
    high: NotRequired[float | None]


class HiddenCurve(TypedDict):
    """AUC differences to the reference, and to today's strategy under the same disturbance, by
    share disturbed."""

    strategy: str
    modality: str
    kind: NotRequired[str]  # items | requests | noise | stale; of older records items
    area: NotRequired[Ends]  # mean change over the shares, from nothing disturbed
    shares: list[float]
    gain: list[Ends]
    lead: list[Ends]


class ModalityShare(TypedDict):
    """What a modality adds to the test AUC of a strategy: on all rows (slice "") or on one value of
    a slice."""

    strategy: str
    slice: str
    value: str
    modality: str  # or "all modalities"
    auc: Ends  # hold for all modalities and slices of the strategy at once
    single: NotRequired[Ends]  # of this one alone


class ModalityControl(TypedDict):
    """Change of a trained strategy's AUC where a modality's vectors are removed, those of other
    items (shuffled), or random ones of the same spectrum."""

    strategy: str
    modality: str
    control: str  # removed | shuffled | random
    auc: Ends  # hold for all modalities and controls of the strategy at once
    single: NotRequired[Ends]  # of this one alone


class SlotWeight(TypedDict):
    """How an operator weighs one of its slots, on average over the rows of test or of a slice."""

    strategy: str
    operator: str  # its name and its place in the model
    slice: str
    value: str
    slot: str
    weight: Ends  # of this one alone
    present: float  # share of the rows that have the slot


class ExplanationRecord(Record):
    """explanation.json of a study."""

    kind: str  # what was done to the models
    exact: bool  # over all subsets, or over drawn orders
    sentences: NotRequired[list[str]]  # what each modality contributes on all rows
    shares: list[ModalityShare]
    controls: NotRequired[list[ModalityControl]]  # whether each modality is used
    weights: NotRequired[list[SlotWeight]]  # [] where no operator tells its weights


class GapRow(TypedDict):
    """A measure of one group of a sensitive slice minus that of another group, for one strategy."""

    strategy: str
    slice: str
    measure: str  # auc | pcoc | exposure
    group: str
    other: str
    gap: Ends  # hold for all gaps of the study at once
    p: NotRequired[float | None]  # adjusted over all of them


class GapsRecord(Record):
    """gaps.json of a study."""

    top_k: int  # exposure counts this many first places of a request
    gaps: list[GapRow]


class RobustnessRecord(Record):
    """robustness.json of a study."""

    reference: str
    curves: NotRequired[list[HiddenCurve]]


class NestedRow(TypedDict):
    """A width of nested codes with its scores, or (format 1) with the metrics themselves."""

    k: int
    split: str
    macs_per_item: int
    macs_per_candidate: float
    predictions: NotRequired[str]
    auc: NotRequired[float]
    delta: NotRequired[float]
    low: NotRequired[float]
    high: NotRequired[float]


class NestedRecord(Record):
    """nested.json of a run."""

    rows: list[NestedRow]


def optional_record(path: Path, kind: type[R]) -> R | None:
    """The record in `path`; None if the file does not exist."""
    return read_record(path, kind) if path.exists() else None


def store_facts(store: Path) -> StoreFacts:
    """The facts of the prepared store for the report; empty if the store is gone."""
    return optional_record(store / "manifest.json", StoreFacts) or StoreFacts()
