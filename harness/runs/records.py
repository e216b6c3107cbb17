"""Types of the records beside runs and studies; one reader and one writer for all of them.

Keys that a type does not name are kept when a record is written again. Times are ISO 8601 in UTC,
seconds are wall clock, AUC and log loss are plain numbers (AUC from 0 to 1).
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, NotRequired, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.cure import cure
from fusefront.harness.runs.files import Json, write_json

Role = Literal["strategy", "control", "ablation", "trial"]
State = Literal["missing", "running", "paused", "completed", "failed"]


class Record(TypedDict):
    """A record; all have the version of their format."""

    format: NotRequired[int]


class Status(Record):
    """status.json of a run."""

    state: State
    started: NotRequired[str]
    ended: NotRequired[str]
    reason: NotRequired[str]


class RunSummary(Record):
    """summary.json of a run: one flat mapping, so that a run is one row of a table; nothing of
    test.

    Further keys: parameters_<role> (counts) and report_<modality>.<measure> (measured by a part).
    """

    run_id: str
    dataset: NotRequired[str]
    fingerprint: NotRequired[str]  # of the prepared data
    baseline: NotRequired[str]
    strategy: NotRequired[str]
    role: NotRequired[str]
    family: NotRequired[str]
    seed: NotRequired[int]
    code: NotRequired[str]
    threads: NotRequired[int]
    host_pid: NotRequired[int]
    best_epoch: NotRequired[int]
    epochs: NotRequired[int]
    train_loss: NotRequired[float]
    train_logloss: NotRequired[float]
    valid_auc: NotRequired[float]
    valid_logloss: NotRequired[float]
    macs_per_candidate: NotRequired[float]
    seconds: NotRequired[float]
    rows_per_second: NotRequired[float]
    sha256: NotRequired[dict[str, str]]  # file under the run -> SHA-256 at completion


class SpecRecord(TypedDict):
    """model/spec.json of a run: the fields of `RunSpec`."""

    dataset: str
    fingerprint: str
    baseline: str
    settings: dict[str, Json]
    training: dict[str, Json]
    seed: int
    threads: NotRequired[int]
    shuffle: NotRequired[list[str]]
    randomize: NotRequired[list[str]]
    code: str
    plugins: NotRequired[str]


class Git(TypedDict, total=False):
    """The state of the sources."""

    sha: str
    dirty: bool


class EnvironmentRecord(Record, total=False):
    """environment.json of a run: what it ran on."""

    python: str
    platform: str
    processor: str
    cores: int | None
    threads: int
    device: str  # "cpu" or a GPU's name; older records lack it
    code: str
    packages: dict[str, str | None]
    git: Git | None
    environment: dict[str, str]


class PlannedRemoval(TypedDict):
    """A row of an ablation, planned and not trained yet."""

    strategy: str
    kind: str
    without: str
    seeds: int
    to_train: int


class EpochLine(TypedDict):
    """A line of metrics.jsonl."""

    epoch: int
    train_loss: NotRequired[float]
    valid_auc: NotRequired[float | None]
    valid_logloss: NotRequired[float]
    rows_per_second: NotRequired[float]
    seconds: NotRequired[float]


class MatrixCell(TypedDict):
    """One cell of a study's matrix, and the run that fills it."""

    strategy: str
    role: str
    seed: int
    run_id: str
    baseline: NotRequired[str]
    settings: NotRequired[dict[str, Json]]
    family: NotRequired[str]
    recipe: NotRequired[str]  # common | own


class OtherRecipe(TypedDict):
    """The same matrix trained by another recipe; cells that the recipe does not change share their
    runs."""

    recipe: str  # in words
    cells: list[MatrixCell]


class Matrix(Record):
    """matrix.json of a study."""

    dataset: str
    fingerprint: str
    store: str  # relative to the output root
    cells: list[MatrixCell]
    without: NotRequired[dict[str, str]]  # control that is not run -> why, in a sentence
    sensitivity: NotRequired[list[OtherRecipe]]


class MetricDelta(TypedDict):
    """A difference of a test metric with its 95 % interval; None = there is none."""

    delta: float
    low: float | None
    high: float | None
    p: NotRequired[float | None]  # adjusted


class PairedDelta(MetricDelta):
    """A difference of test AUC, with what is concluded from it."""

    se: NotRequired[float | None]
    df: NotRequired[float | None]
    mde: NotRequired[float | None]  # seen with 80 % power
    verdict: NotRequired[str]
    reason: NotRequired[str]
    note: NotRequired[str]
    metrics: NotRequired[dict[str, MetricDelta]]  # log loss and PCOC


class TimedDifference(TypedDict):
    """Milliseconds that a part adds to a quantile, with its 95 % interval."""

    ms: float
    low: float | None
    high: float | None
    measurable: bool  # beyond the interval's 0 and the floor of equal sessions


class PartCost(TypedDict, total=False):
    """What a part adds to the cost of the whole strategy; keys are missing where nothing was
    measured or counted."""

    macs: float  # a candidate
    parameters: int
    code_bytes: float  # an item, in 16 bits
    bundle_bytes: float
    p50: TimedDifference
    p99: TimedDifference
    auc_per_ms: dict[str, Json]  # value, low, high, shape: Fieller's interval


class AblationRow(PairedDelta):
    """Test AUC of the whole strategy minus that of the strategy without a part."""

    strategy: str
    kind: NotRequired[str]
    without: str
    cost: NotRequired[PartCost]
    over_limit: NotRequired[bool]  # with the part the strategy misses slo_ms, without it not
    levels: NotRequired[dict[str, str]]  # of a factorial plan: factor -> level


class PathStep(TypedDict):
    """What a part adds to the parts before it; the interval holds for all steps at once."""

    part: str
    strategy: str  # with it
    auc: float
    gain: MetricDelta


class PathChoice(TypedDict):
    """How the order of a path was chosen, by AUC on validation."""

    choice: NotRequired[str]  # order: of what each adds alone | greedy: to those before it
    rivals: NotRequired[list[dict[str, float]]]  # of each greedy step: parts -> AUC on validation
    untrained: NotRequired[int]  # subsets that a step should have compared, without runs


class AblationPath(PathChoice):
    """A path from the plainest strategy to the whole one, one part a step."""

    start: str
    base: NotRequired[str]  # the parts that the path starts with; "" = none
    start_auc: float
    steps: list[PathStep]


class EffectRow(TypedDict):
    """A main effect (one factor) or an interaction (two factors) on test AUC; intervals hold for
    all effects of the plan at once."""

    factors: list[str]
    levels: list[str]  # compared with each factor's level in the parent
    cells: int  # how many pairs (main effect) or groups of four cells (interaction) it averages
    effect: MetricDelta


class RetrainedShare(TypedDict):
    """A modality's Shapley value of test AUC, from one training for each subset of the
    modalities, or for each subset of sampled orders."""

    modality: str  # or "all modalities"
    auc: MetricDelta
    drawing: NotRequired[float]  # standard error of the drawn orders, within the interval


class AblationRecord(Record):
    """ablation-<strategy>.json of a study."""

    of: NotRequired[str]
    plan: NotRequired[str]  # minimal | full | factorial | the name of a file
    cells: list[MatrixCell]
    hyper_parameters: NotRequired[str]
    rows: NotRequired[list[AblationRow]]
    first: NotRequired[list[str]]  # parts that are shown to add AUC, the surest first
    path: NotRequired[AblationPath]
    effects: NotRequired[list[EffectRow]]  # of a factorial plan
    shares: NotRequired[list[RetrainedShare]]  # of the plan `modalities`
    auc: NotRequired[dict[str, float]]  # test AUC of each strategy of a factorial plan
    sentences: NotRequired[list[str]]


class Claim(Record):
    """claim-<n>.json of a search: the parameters of trial n."""

    params: dict[str, Json]
    system_attrs: NotRequired[dict[str, Json]]  # the sampler's state, if it has one


class Trial(Record):
    """trial-<n>.json of a search: the result of trial n; its value is the AUC on validation."""

    number: int
    params: NotRequired[dict[str, Json]]
    run_id: NotRequired[str]
    state: str  # ok | infeasible | pruned; older records: failed
    value: float | None
    seconds: NotRequired[float]  # of its process, without interrupted attempts
    reason: NotRequired[str]
    cause: NotRequired[str]  # memory | time | nan | value | cost | died | killed | error
    macs: NotRequired[float]  # counted, a candidate
    rungs: NotRequired[dict[str, float]]  # with halving: epoch of a pause -> best AUC so far
    constraints: NotRequired[dict[str, float]]  # name -> value; met where it is 0 or less


class StepRecord(Record):
    """step-<k>.json of a search by halving: trial `number` is trained to the end of epoch `until`;
    null: no trial could go on or begin."""

    number: int | None
    until: int


class RungRecord(Record):
    """rung-<n>-<epoch>.json of a search by halving: trial n has reached the end of epoch
    `until`."""

    number: int
    until: int
    run_id: str
    rungs: dict[str, float]  # epoch -> best AUC so far, for every rung reached
    seconds: float  # of the process, from the previous rung to this one


ORIGIN = "origin.json"  # in a study's folder


class OriginRecord(Record):
    """origin.json of a study: the file that the study was given in, and its data folder if one was
    given."""

    file: str
    data: str | None


class Interruption(Record):
    """interrupted-<n>-<k>.json of a search: an attempt at trial n that ended without a result."""

    number: int
    cause: str  # memory | died | killed | budget
    reason: str
    seconds: float


class RunningTrial(Record):
    """running-<n>.json of a search: the process that trains trial n, so that what it leaves behind
    can be ended."""

    pid: int
    start: int  # clock ticks since boot
    boot: str
    begin: float  # seconds on the machine's monotonic clock, comparable within one boot


class Finalist(TypedDict):
    """One of a search's best trials, trained again with new seeds: its validation AUCs, the trial's
    own first."""

    number: int
    values: list[float]
    mean: float | None  # None where a training failed: never the winner
    reason: str


class TimedTrial(Record):
    """timed-<n>.json of a search: the latency of a request to trial n, as shipped, on this machine.

    End-to-end milliseconds at the study's own number of candidates. p99 comes with its interval:
    `high` is None where it has no upper end; p99, low and high are None with fewer requests than a
    p99 needs; all times are None where the exported graph does not score as the trained model does.
    """

    number: int
    run_id: str  # the run that was timed; the times count for no other
    p50_ms: float | None
    p99_ms: float | None
    low: float | None
    high: float | None
    session: str  # the folder of its samples, within the study's folder


class FrontPoint(TypedDict):
    """A trial that no other trial beats on both AUC (validation) and MACs a candidate."""

    number: int
    params: dict[str, Json]
    valid_auc: float
    macs: float
    p99_ms: NotRequired[float]  # measured, if the study times its trials


class WinnerRecord(Record):
    """winner-<trials>.json of a search: written before the test split is opened, and never changed.

    With finalists its name is winner-<trials>-finalists-<count>.json.
    """

    strategy: str
    number: int
    params: dict[str, Json]
    valid_auc: float
    trials: int
    seconds: float
    evidence: str  # hash of the trials' records, and of the finalists where there are any
    finalists: NotRequired[list[Finalist]]
    front: NotRequired[list[FrontPoint]]  # with two objectives, the cheapest first
    timed: NotRequired[list[TimedTrial]]  # the trials that were timed before it was frozen


def winner_name(
    trials: int, finalists: int = 0, seconds: float | None = None, timed: int = 0
) -> str:
    """The file name of the winner of a search with so many trials, finalists, seconds and timed
    trials.

    >>> winner_name(20, 3)
    'winner-20-finalists-3.json'
    """
    within = "" if seconds is None else f"-{seconds:g}s"
    chosen = f"-finalists-{finalists}" if finalists else ""
    return f"winner-{trials}{chosen}{f'-timed-{timed}' if timed else ''}{within}.json"


class RunCode(Record):
    """code.json of a run: the code that it depends on, module by module."""

    version: str
    sources: dict[str, str]


class LatencyFit(TypedDict):
    """Coefficients that predict a request's latency from counts: fixed ms, ms a MAC, ms a byte of
    codes."""

    p50: list[float]
    p99: list[float]
    error: float  # relative error of p99, each timed strategy left out in turn
    worst: float
    strategies: int


class SearchIdentity(Record):
    """search.json: the settings that all trials of a search depend on."""

    seed: int
    lag: int
    space: dict[str, str]  # key -> its distribution in words
    constants: NotRequired[dict[str, Json]]  # keys of the space that have one value only
    sampler: NotRequired[str]  # where it is not tpe
    rungs: NotRequired[list[int]]  # with halving: epochs where trials pause, then all epochs
    objectives: NotRequired[list[str]]  # if not the AUC alone
    budget_macs: NotRequired[float]
    slo_ms: NotRequired[float]
    latency: NotRequired[LatencyFit]  # predicts what slo_ms limits; fixed when the search began


R = TypeVar("R", bound=Mapping[str, object])
FORMATS: dict[str, tuple[int, ...]] = {  # of every other record: format 1
    "nested.json": (1, 2),
    "bench.json": (1, 2),
    "comparison.json": (1, 2),
}


class NewerFormatError(DataContractError):
    """The record is intact, but a newer version of fusefront wrote it."""


class ReadMatrix(NamedTuple):
    """The readable cells of a matrix, and a sentence on each of the other cells."""

    matrix: Matrix
    damaged: tuple[str, ...]


def read_record(path: Path, kind: type[R]) -> R:
    """The record in `path`; one that names no format is of format 1.

    Raises:
        DataContractError: not readable, not JSON, of an unknown format, or without a key of `kind`.
    """
    value = _json_of(path)
    _validate(path, kind, value)
    return cast(R, value)


def read_matrix(path: Path) -> ReadMatrix:
    """The readable cells of matrix.json, and a sentence for each cell that cannot be read.

    Raises:
        DataContractError: the file is not readable, or more than single cells is damaged.
    """
    matrix = _json_of(path)
    damaged: list[str] = []
    if isinstance(matrix, dict) and isinstance(matrix.get("cells"), list):
        whole = []
        for number, cell in enumerate(matrix["cells"]):
            try:
                _validate(path, MatrixCell, cell, f"cells.{number}")
            except DataContractError as error:
                damaged.append(str(error))
            else:
                whole.append(cell)
        matrix = {**matrix, "cells": whole}
    _validate(path, Matrix, matrix)
    return ReadMatrix(cast(Matrix, matrix), tuple(damaged))


def _json_of(path: Path) -> object:
    """The JSON value of a record, after checking that its format is known."""
    formats = FORMATS.get(path.name, (1,))
    advice = f"restore it from a copy, or {cure(path)}"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataContractError(f"{path}: not there; {advice}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataContractError(f"{path}: got no readable JSON ({reason}); {advice}") from None
    if isinstance(value, dict):
        _check_format(path, value.get("format", 1), formats, advice)
    return value


def _validate(path: Path, kind: type[Mapping[str, object]], value: object, at: str = "") -> None:
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join([*filter(None, [at]), *map(str, first["loc"])]) or "the whole"
        raise DataContractError(
            f"{path}: {where}: {first['msg'].lower()}, expected the record of "
            f"{kind.__name__}; restore it from a copy, or {cure(path)}"
        ) from None


def _check_format(path: Path, version: object, formats: tuple[int, ...], advice: str) -> None:
    number = version if isinstance(version, int) and not isinstance(version, bool) else None
    if number in formats:
        return
    known = ", ".join(map(str, formats))
    if number is not None and number > max(formats):
        raise NewerFormatError(
            f"{path}: got format {version}, this program reads {known}; use the version of "
            "fusefront that wrote it, or a newer one"
        )
    raise DataContractError(f"{path}: got format {version!r}, this program reads {known}; {advice}")


def write_record(path: Path, record: Mapping[str, object], *, version: int = 1) -> None:
    """Replace the record in `path` in one step; adds the version of its format."""
    write_json(path, {"format": version, **record})


@cache
def _adapter(kind: type[R]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def starting_with(record: Mapping[str, object], prefix: str) -> dict[str, float]:
    """The numbers of a summary whose keys begin with `prefix`; the keys come without it."""
    return {
        key.removeprefix(prefix): float(value)
        for key, value in record.items()
        if key.startswith(prefix) and isinstance(value, int | float)
    }
