"""Everything that the report shows, as plain frozen data, from which the page can be drawn.

Units: AUC and differences of AUC as plain numbers (0.0061), latencies in milliseconds, shares from
0 to 1, money in `StudyFacts.currency`. Optional parts may be None or empty: the page leaves them
out. `to_json` and `from_json` are inverse to each other (NaN becomes null).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fusefront.reports.exchange import Json, decode, encode, read_json, write_json

Case = Literal["clear", "tie", "infeasible", "thin"]
Reason = Literal[
    "better",  # clear: gains over what runs today
    "cheaper",  # clear: equivalent to what runs today, and faster or smaller
    "limit",  # clear: what runs today misses the limit
    "equivalent",  # tie: the best rival is equivalent to what runs today
    "no_gain",  # tie: no rival under the limit is shown to gain
    "infeasible",
    "cannot_tell",  # thin: a rival may gain, and may lose
    "too_little",  # thin: seeds, clusters, latency or rivals are lacking
]
Verdict = Literal[  # what the interval beside it says; "" = no verdict
    "better",
    "better, by less than the margin",
    "worse",
    "worse, by less than the margin",
    "equivalent",
    "not worse by more than the margin",
    "not better by more than the margin",
    "cannot tell",
    "",
]
LimitGrade = Literal["kept", "missed", "not known"]


@dataclass(frozen=True)
class Interval:
    """A number and the ends of its 95 % interval; None = no interval was measured."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Point:
    """One strategy. Differences are paired; `verdict` is against what runs today."""

    strategy: str
    family: str  # compressed | early | late | published | control; others are drawn as "other"
    auc: Interval
    gain: Interval | None = None  # over what runs today; None for a study without one
    gain_vs_choice: Interval | None = None
    label: str = ""  # short name in figures and tables; "" = the strategy's own name
    description: str = ""  # long name for sentences; "" = the label
    role: str = ""  # candidate | control | baseline | device (measures, never ships)
    p50: Interval | None = None  # ms per request
    p99: Interval | None = None  # the ends that decide, floor included; None: under 1,000 requests
    p99_open: bool = False  # the upper end is at least what is given
    limit: LimitGrade | None = None  # whether p99 keeps the limit; None: not timed
    mean_ms: float | None = None
    feasible: bool = True  # the limit is kept, the cost under its limit
    on_front: bool = False
    on_frontier_probability: float | None = None
    in_best_set: bool = False
    equivalent_to_choice: bool = False
    dominated_by: str | None = None
    not_worth: str | None = None  # a confidently faster one at most the margin worse
    verdict: Verdict = ""
    verdict_detail: str = ""  # e.g. "needs 120 k more rows"
    verdict_vs_choice: Verdict = ""
    verdict_vs_choice_detail: str = ""
    rows_to_settle: int | None = None  # more test rows that would settle it against today
    seeds_to_settle: int | None = None
    effect_to_settle: float | None = None  # AUC that these would detect; None = not computed
    seeds: int = 1
    failed_seeds: int = 0
    run_ids: tuple[str, ...] = ()
    config_hash: str = ""
    parameters: dict[str, int] = field(default_factory=dict)  # role -> count
    recipe: str = ""  # common | own | exact, and its words
    macs_per_candidate: int | None = None
    bytes_per_item: int | None = None
    bundle_bytes: int | None = None  # graph and code table in service
    cold_start_s: Interval | None = None
    cost_per_million: float | None = None  # per million predictions, in the currency
    metrics: dict[str, Interval] = field(default_factory=dict)  # logloss, gauc, ece, ndcg, ...


@dataclass(frozen=True)
class Change:
    """The decision at another value of one setting."""

    knob: Literal["slo", "margin", "price", "traffic"]
    value: float  # ms, AUC, factor on the price per core-hour, requests per second
    side: Literal["at", "below", "from"]
    case: Case
    choice: str | None
    changed: bool
    yearly_gain: Interval | None = None  # traffic: of the choice over what runs today, currency


@dataclass(frozen=True)
class Margins:
    """How far the choice is ahead; None where there is nothing to compare with."""

    over_today: Interval | None = None  # AUC
    over_runner_up: Interval | None = None  # AUC
    p99_room_ms: float | None = None  # limit minus the upper end of its p99, floor included
    cost_room: float | None = None  # limit minus its cost, per million predictions


@dataclass(frozen=True)
class Lack:
    """Evidence that a decision lacks: the data of its sentence, and the sentence on the command
    line."""

    kind: Literal[
        "limit",
        "latency",
        "session",  # timed, but not well enough to decide
        "clusters",
        "seeds",
        "baseline",
        "rivals",
        "controls",
        "other",
    ]
    strategy: str = ""
    have: float | None = None
    need: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Decision:
    """The result of the policy."""

    case: Case
    reason: Reason
    slo_ms: float
    margin: float
    choice: str | None = None  # None: infeasible or thin
    today: str | None = None
    subject: str | None = None  # subject of the sentence if nothing is chosen
    leader: str | None = None  # best lower bound of the gain under the limit
    runner_up: str | None = None  # what the policy would choose if the choice did not exist
    margins: Margins = field(default_factory=Margins)
    max_cost: float | None = None
    feasible: tuple[str, ...] = ()
    equivalent: tuple[str, ...] = ()  # to the leader, itself included, under the limit
    alternatives: tuple[str, ...] = ()  # the page shows the first three
    changes: tuple[Change, ...] = ()
    lacks: tuple[Lack, ...] = ()
    owner: str = ""
    date: str = ""
    recheck: str = ""  # when to look again
    best: str | None = None  # highest AUC of a strategy that may ship and is no control
    not_firm: tuple[str, ...] = ()  # strategies whose verdict changes under another recipe
    unbeaten: tuple[str, ...] = ()  # controls that it is not shown to beat, the highest AUC first
    recorded_slo_ms: float | None = None  # the limit on record, where this decision is a what-if


@dataclass(frozen=True)
class FirmnessReason:
    """Why a decision is not clear: data for a sentence, and the sentence of the command line."""

    key: Literal[
        "gain",  # the lower end of the gain is small beside the margin, or a loss
        "clicks",  # the interval of clicks holds zero
        "latency",  # p99 timed again may pass the limit
        "limit",  # limit x 0.8 or x 1.2 gives another choice
        "margin",  # margin x 0.5 or x 2 gives another choice
        "probability",  # another one may be better by more than the margin
        "search",  # too few trials, or a repeated search might choose otherwise
        "training",  # the choice's AUC still rose when its training ended
        "recipe",  # another recipe gives another verdict
        "disturbed",  # the latency session was disturbed
    ]
    numbers: dict[str, float] = field(default_factory=dict)
    strategy: str = ""  # its subject, or what would be chosen; "" = nothing
    text: str = ""


@dataclass(frozen=True)
class FlipPoint:
    """A value at which the decision changes; `value` is None for a repeated search."""

    knob: Literal["slo", "margin", "price", "search"]
    side: Literal["below", "from", "at"]
    value: float | None  # ms, AUC, or factor on the price per core-hour
    case: Case
    choice: str | None


@dataclass(frozen=True)
class Regret:
    """What the choice may lose if another strategy under the limit is better."""

    expected: float  # AUC, mean over the draws
    largest: float  # AUC, upper end of the best rival's gain over the choice, at least 0
    rival: str = ""  # whose end that is
    clicks: float | None = None  # expected, a year; None if no clicks were replayed
    money: float | None = None  # expected, a year, minus serving cost; None without prices
    largest_money: float | None = None


@dataclass(frozen=True)
class Firmness:
    """How firm the decision on `of` is: the choice, or what runs today if nothing is chosen."""

    grade: Literal["clear", "close call", "not decided"]
    of: str = ""  # "" if there is neither
    reasons: tuple[FirmnessReason, ...] = ()  # gravest first; the page names three at most
    rivals: int = 0  # others under the limit
    probability: float | None = None  # that no rival is better by more than the margin
    probability_half: float | None = None  # by more than half the margin
    probability_double: float | None = None  # by more than twice the margin
    probability_searched: float | None = None  # if all searches were repeated; None = unknown
    regret: Regret | None = None
    gain: Interval | None = None  # over today: expected; the ends allow for the picking
    measured_gain: float | None = None  # the difference as it was measured
    picked_of: int = 0  # rivals among which it was picked
    clicks: Interval | None = None  # more a year than today, expected value
    money: Interval | None = None  # more a year than today, expected, minus serving cost
    flips: tuple[FlipPoint, ...] = ()
    format: int = 1


@dataclass(frozen=True)
class FrontShape:
    """The front as a whole; axes: AUC over today's, natural log of p99 in ms."""

    area: Interval  # under the best expected gain so far, up to the slowest; 95 % of the draws
    slowest_ms: float
    knee: str | None  # the most frequent knee, named only with its probability
    knee_chance: float  # share of the draws in which it is
    knees: dict[str, float] = field(default_factory=dict)  # whoever ever is -> share of the draws
    # AUC that the best under the limit has more, of each under it: mean and 95 % of the draws
    regret: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Replay:
    """Clicks per 1,000 impressions at top k by replay of logged requests."""

    k: int
    choice: Interval
    today: Interval | None = None
    difference: Interval | None = None
    requests: int | None = None


@dataclass(frozen=True)
class WhatIfRow:
    """One cell of the grid."""

    slo_ms: float
    price_core_hour: float
    requests_per_second: float
    value_per_click: float
    winner: str | None
    case: Case
    yearly_gain: Interval | None = None  # over what runs today, in the currency
    yearly_clicks: Interval | None = None


@dataclass(frozen=True)
class ServedBy:
    """A strategy on one backend, the model alone, at the K that decides; ms per request."""

    strategy: str
    backend: str
    p50: Interval
    p99: Interval | None
    max_difference: float | None = None  # of a probability from the trained model's
    auc_change: float | None = None  # of reduced precision


@dataclass(frozen=True)
class SessionQuality:
    """How reliable the latency sessions are, for the subjects that decide; shares, .1 = 10 %."""

    sessions: int
    rounds: int
    visits: int
    contended_visits: int  # visits that waited for a core; they are kept
    samples: int | None = None  # requests of the strategy with the fewest
    floor_p50: float | None = None  # how far equal sessions differ
    floor_p99: float | None = None
    half_p50: float | None = None  # widest half width of an interval; None: an end is open
    half_p99: float | None = None
    between_p50: float | None = None  # repeatability: sd between sessions; None = one session
    between_p99: float | None = None
    seconds: float | None = None  # of all sessions
    ended: tuple[str, ...] = ()  # a session each: precise | time | rounds
    disturbed: tuple[str, ...] = ()  # why it cannot support a decision, in words


@dataclass(frozen=True)
class ScopeGap:
    """The p50 of one strategy in both scopes at the K that decides, ms; the gap is paired."""

    strategy: str
    model_only: Interval  # p50
    end_to_end: Interval
    gap: Interval  # p50 end to end minus p50 of the model alone
    model_only_p99: Interval | None = None
    end_to_end_p99: Interval | None = None


@dataclass(frozen=True)
class Arriving:
    """A strategy behind a queue, with requests that arrive at random."""

    strategy: str
    load: float  # share of its capacity in a closed loop
    per_second: float
    late: Interval  # share of requests later than the limit; runs are the unit
    p99_ms: float | None = None  # None: some run was overloaded
    runs: int = 1
    overloaded_runs: int = 0


@dataclass(frozen=True)
class AtOnce:
    """Many requests scored in one call."""

    strategy: str
    backend: str
    requests: int
    candidates: int
    per_second: float  # predictions


@dataclass(frozen=True)
class ClickRate:
    """Clicks per 1,000 impressions of one strategy in the replay."""

    strategy: str
    rate: Interval
    difference: Interval | None = None  # over what runs today, paired; None for today's own


@dataclass(frozen=True)
class WhatIf:
    """The what-if grid with its clicks and assumptions.

    `rows` holds every combination of the four axes, the last axis varying fastest.
    """

    rows: tuple[WhatIfRow, ...]
    assumptions: tuple[str, ...] = ()
    limits_ms: tuple[float, ...] = ()
    prices: tuple[float, ...] = ()  # per core-hour
    traffic: tuple[float, ...] = ()  # requests per second
    values: tuple[float, ...] = ()  # per click
    centre: int | None = None  # which row is the study's own figures
    clicks: tuple[ClickRate, ...] = ()


@dataclass(frozen=True)
class AblationStep:
    """A module or modality added or left out; differences to the previous step, or to the whole
    strategy."""

    name: str
    gain: Interval
    latency_ms: Interval | None = None
    verdict: Verdict = ""
    run_ids: tuple[str, ...] = ()
    kind: str = ""  # modality | component | alone | swap | cell
    logloss: Interval | None = None  # difference
    pcoc: Interval | None = None  # difference of predicted over clicked
    cost: "StepCost | None" = None
    mde: float | None = None  # smallest difference that is seen with 80 % power
    over_limit: bool = False  # with the part the strategy misses the limit


@dataclass(frozen=True)
class StepCost:
    """What a part adds to the cost of the whole strategy; None = not counted or not timed."""

    p50: Interval | None = None  # ms
    p99: Interval | None = None
    measurable: bool | None = None  # at p50, beyond 0 and beyond what equal sessions differ by
    auc_per_ms: Interval | None = None  # Fieller's; only where the ms are measurable
    macs: float | None = None  # a candidate
    code_bytes: float | None = None  # an item
    measurable_p99: bool | None = None


@dataclass(frozen=True)
class BuildStep:
    """What a part adds to the parts before it, from the plainest strategy on."""

    name: str
    auc: float  # with it
    gain: Interval  # the ends hold for all steps at once


@dataclass(frozen=True)
class CrossedEffect:
    """A main effect (one factor) or an interaction (two); the intervals hold for all at once."""

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    effect: Interval
    cells: int = 0


@dataclass(frozen=True)
class CrossedCell:
    """The AUC of one combination of levels; `levels` is () for the strategy as it is."""

    levels: tuple[tuple[str, str], ...]  # factor, level
    auc: float


@dataclass(frozen=True)
class RetrainedWorth:
    """A modality's Shapley value of AUC over subsets that are each trained; the ends hold for all
    modalities at once."""

    modality: str
    auc: Interval
    drawing: float | None = None  # standard error of drawn orders; None: all subsets were trained


@dataclass(frozen=True)
class Ablation:
    """If additive, steps sum from `start` to `end`; else each step is a difference to `end`."""

    additive: bool
    end: str  # a strategy
    steps: tuple[AblationStep, ...]
    start: str = ""  # a strategy or a name
    start_gain: Interval | None = None
    title: str = ""
    plan: str = "minimal"
    mode: str = ""  # how hyper-parameters were set
    first: tuple[str, ...] = ()  # parts shown to add AUC, the surest first
    path_start: float | None = None  # AUC of the plainest strategy
    path_base: str = ""  # parts that are there from the start
    path: tuple[BuildStep, ...] = ()
    path_greedy: bool = False  # each step adds most, on validation, to those before it
    path_untrained: int = 0  # subsets that a greedy step would have compared, without a run
    effects: tuple[CrossedEffect, ...] = ()  # of a factorial plan
    cells: tuple[CrossedCell, ...] = ()
    shares: tuple[RetrainedWorth, ...] = ()  # of the plan `modalities`; the last is of all


@dataclass(frozen=True)
class Calibration:
    """Bins of equal count: mean prediction and observed click rate; scaled = by a temperature."""

    strategy: str
    predicted: tuple[float, ...]
    observed: tuple[Interval, ...]
    ece: Interval | None = None
    temperature: float | None = None  # fitted on validation; None = not fitted
    scaled_predicted: tuple[float, ...] = ()
    scaled_observed: tuple[Interval, ...] = ()
    scaled_ece: Interval | None = None


@dataclass(frozen=True)
class MissingCurve:
    """AUC difference from the reference as a modality, items or users are disturbed more and
    more."""

    strategy: str
    modality: str  # "" where items or users are new
    shares: tuple[float, ...]  # 0 .. 1
    gain: tuple[Interval, ...]
    lead: tuple[Interval, ...] = ()  # over what runs today disturbed alike
    kind: str = "items"  # or requests, noise, stale, other, cold_items, cold_users
    area: Interval | None = None  # mean change over the shares, from nothing disturbed


@dataclass(frozen=True)
class MissingModality:
    """`reference` is the strategy, with nothing disturbed, that differences are taken to."""

    reference: str
    curves: tuple[MissingCurve, ...]


@dataclass(frozen=True)
class TrainingCurve:
    """Validation AUC along tuning trials (best so far) or along epochs."""

    strategy: str
    kind: Literal["trials", "epochs"]
    value: tuple[float, ...]
    settled: bool | None = None  # None: not judged
    seed: int | None = None
    run_id: str = ""
    seconds: tuple[float, ...] = ()  # of training spent by then, one a value; () = not known


@dataclass(frozen=True)
class FusingVerdict:
    """A way of fusing compared with the baseline's; the interval covers repeated searches."""

    strategy: str
    trials: int  # completed; 0 = nothing was searched
    spread: float | None  # sd of its AUC over repeated searches
    difference: Interval | None  # None for the baseline; without ends where there is no verdict
    share: float | None  # the search's of the variance
    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class SearchSpent:
    """What one search spent, and its result."""

    strategy: str
    completed: int
    failed: int
    seconds: float
    best: float | None  # on validation
    finalists: int = 0  # trainings with new seeds that chose among the best
    unfinished: str = ""  # why it had not converged; "" = it had, or cannot be judged
    importance: dict[str, float] = field(default_factory=dict)  # parameter -> share
    winner: str = ""  # YAML of the strategy with the winning hyper-parameters


@dataclass(frozen=True)
class Searched:
    """What the searches of a study spent, and the verdicts on ways of fusing."""

    searches: tuple[SearchSpent, ...] = ()
    importance: dict[str, float] = field(default_factory=dict)  # pooled over strategies
    verdicts: tuple[FusingVerdict, ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rising:
    """A strategy whose last epoch improved it by more than the uncertainty of the lead."""

    strategy: str
    by: float  # validation AUC over the best epoch before, mean over seeds
    unsure: float  # half the width of the lead's interval, or the margin


@dataclass(frozen=True)
class OtherVerdict:
    """A verdict against what runs today, and the verdict under another recipe."""

    recipe: str
    strategy: str
    verdict: str
    other: str
    difference: Interval  # by the other recipe


@dataclass(frozen=True)
class CodeMeasure:
    """A measure of the codes of a strategy's compressor for one modality, over parts and runs."""

    strategy: str
    modality: str
    measure: str  # explained_variance, codebook_use, perplexity, collision_rate, ...
    parts: int  # parts or levels of the code that have a number each
    value: Interval  # mean, smallest and largest: a range, no confidence interval
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class WidthCurve:
    """Validation AUC of nested codes cut at a width, narrowest first; `change` from the whole
    code."""

    strategy: str
    seed: int | None
    run_id: str
    widths: tuple[int, ...]
    auc: tuple[float, ...]
    change: tuple[Interval, ...]
    macs_per_item: tuple[int, ...]


@dataclass(frozen=True)
class ModalityWorth:
    """What a modality adds to a trained strategy's AUC over all subsets; the interval holds for all
    modalities and slices of the strategy."""

    strategy: str
    rows: str  # "" = all test rows, else slice: value
    modality: str  # or "all modalities"
    auc: Interval


@dataclass(frozen=True)
class ControlledModality:
    """Change of a trained strategy's AUC under a control of one modality; the interval holds for
    all of the strategy's at once."""

    strategy: str
    modality: str
    control: str  # removed | shuffled | random
    auc: Interval


@dataclass(frozen=True)
class WeighedSlot:
    """How an operator weighs one of its slots on average, with the interval of this one alone."""

    strategy: str
    operator: str
    rows: str  # "" = all test rows, else slice: value
    slot: str
    weight: Interval
    present: float  # share of the rows that have the slot


@dataclass(frozen=True)
class SliceGap:
    """A measure of one group of a sensitive slice minus that of another; the interval holds for
    all gaps of the study."""

    strategy: str
    slice: str
    measure: str  # auc | pcoc | exposure
    group: str
    other: str
    gap: Interval


@dataclass(frozen=True)
class Slice:
    """The choice against today on part of the test rows."""

    name: str
    share: float
    rows: int
    difference: Interval
    verdict: Verdict = ""
    detail: str = ""
    sensitive: bool = False


@dataclass(frozen=True)
class AuditFinding:
    """One check of the data, with or without a finding."""

    check: str
    state: Literal["ok", "note", "warning", "error", "not run"]
    text: str = ""
    accepted: bool = False
    numbers: dict[str, float] = field(default_factory=dict)  # what the text says


@dataclass(frozen=True)
class FrontierBand:
    """Height of the front over p99, pointwise 2.5, 50 and 97.5 % of joint draws; None = gap.

    Heights are gains over what runs today, or AUC in a study without a baseline.
    """

    grid_ms: tuple[float, ...]
    low: tuple[float | None, ...]
    mid: tuple[float | None, ...]
    high: tuple[float | None, ...]
    draws: int = 2000


@dataclass(frozen=True)
class RunOrigin:
    """The source of a number: a run and its files."""

    run_id: str
    strategy: str
    seed: int | None = None
    role: str = ""
    state: str = "completed"
    sha256: str = ""  # of the record the numbers were read from
    predictions: str = ""  # SHA-256 of predictions/test.parquet
    path: str = ""


@dataclass(frozen=True)
class StudyFacts:
    """The study as a whole."""

    name: str
    dataset: str
    rows_test: int
    rows_train: int | None = None
    rows_all: int | None = None
    users: int | None = None
    items: int | None = None
    modalities: dict[str, int] = field(default_factory=dict)  # name -> width
    seeds: int = 1
    runs: int = 0
    failed_runs: int = 0
    trials: int | None = None  # tuning trials per strategy, as the study asks for
    finished_trials: dict[str, int] = field(default_factory=dict)  # strategy -> on record
    unreadable_trials: dict[str, int] = field(default_factory=dict)  # strategy -> damaged records
    date: str = ""
    fingerprint: str = ""  # of the prepared data
    study_hash: str = ""
    hardware: str = ""
    runtime: str = ""  # e.g. "ONNX Runtime 1.32, one thread"
    candidates: int | None = None  # of the timed request
    history: int | None = None
    lag: str = ""  # how late histories and counters learn of the past
    latency_session: str = ""  # what the latency interval covers
    currency: str = "USD"
    price_core_hour: float | None = None
    utilisation: float | None = None
    metric: str = "AUC"
    bayes_auc: float | None = None  # the best possible, where the truth is known
    again: bool = (
        False  # whether its name is enough to run it again, because the place of its data is known
    )
    store: str = ""  # folder of runs and studies as it was typed; "" = not known
    second_look: int = 0  # how often the test split was opened before
    synthetic: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """All evidence. `points` are in any order; names in other parts refer to `Point.strategy`."""

    study: StudyFacts
    decision: Decision
    points: tuple[Point, ...]
    band: FrontierBand | None = None
    firmness: Firmness | None = None
    front: FrontShape | None = None
    tied: tuple[tuple[str, ...], ...] = ()  # groups whose AUC cannot be told apart, best first
    replay: Replay | None = None
    what_if: WhatIf | None = None
    ablations: tuple[Ablation, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    missing: MissingModality | None = None
    training: tuple[TrainingCurve, ...] = ()
    rising: tuple[Rising, ...] = ()
    searched: Searched | None = None
    recipes: tuple[OtherVerdict, ...] = ()  # () where no other recipe was tried
    codes: tuple[CodeMeasure, ...] = ()
    widths: tuple[WidthCurve, ...] = ()
    slices: tuple[Slice, ...] = ()
    worths: tuple[ModalityWorth, ...] = ()  # of an explanation
    controlled: tuple[ControlledModality, ...] = ()  # of an explanation
    weighed: tuple[WeighedSlot, ...] = ()  # of an explanation
    explained: tuple[str, ...] = ()  # what an explanation says in words
    gaps: tuple[SliceGap, ...] = ()  # between groups of sensitive slices
    backends: tuple[ServedBy, ...] = ()  # () where nothing but what ships was timed
    session: SessionQuality | None = None  # None where nothing was timed
    scopes: tuple[ScopeGap, ...] = ()  # () where one scope was timed
    arriving: tuple[Arriving, ...] = ()  # () where no server was measured
    at_once: tuple[AtOnce, ...] = ()  # () where requests were timed one at a time
    audit: tuple[AuditFinding, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    origins: tuple[RunOrigin, ...] = ()
    hashes: dict[str, str] = field(default_factory=dict)  # file -> sha256

    def point(self, strategy: str | None) -> Point | None:
        """The point of a strategy; None where it was not measured."""
        return next((p for p in self.points if p.strategy == strategy), None)

    def to_json(self) -> Json:
        """Plain JSON values, with "format": 1."""
        return {"format": 1, **encode(self)}

    @staticmethod
    def from_json(value: Json) -> "Evidence":
        """The evidence; raises ValueError, which names the key that does not fit."""
        if not isinstance(value, dict) or value.get("format") != 1:
            raise ValueError('evidence: expected an object with "format": 1')
        return decode(Evidence, {k: v for k, v in value.items() if k != "format"}, "evidence")

    def save(self, path: Path) -> None:
        """Write as JSON, in one step."""
        write_json(self.to_json(), path)

    @staticmethod
    def load(path: Path) -> "Evidence":
        """Read what `save` wrote."""
        return Evidence.from_json(read_json(path))
