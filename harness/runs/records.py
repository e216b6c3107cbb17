"""The records that the program writes beside runs and studies: one type, one reader, one writer
each.

Keys that a record does not name here are kept as they stand. Times are ISO 8601 in UTC, seconds are
wall clock, AUC and log loss plain numbers.
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
    """What every record has: the version of its format."""

    format: NotRequired[int]


class Status(Record):
    """status.json of a run."""

    state: State
    started: NotRequired[str]
    ended: NotRequired[str]
    reason: NotRequired[str]


class RunSummary(Record):
    """summary.json of a run, flat, so that a run is a row; nothing of test.

    Beside these: parameters_<role> (counts) and report_<modality>.<measure> (what a part reports).
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
    device: str  # "cpu" or a GPU's name; older records, made wherever they were, have none
    code: str
    packages: dict[str, str | None]
    git: Git | None
    environment: dict[str, str]


class PlannedRemoval(TypedDict):
    """A row of an ablation before it runs."""

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
    """One place of a study's matrix: which run fills it."""

    strategy: str
    role: str
    seed: int
    run_id: str
    baseline: NotRequired[str]
    settings: NotRequired[dict[str, Json]]
    family: NotRequired[str]
    recipe: NotRequired[str]  # common | own


class OtherRecipe(TypedDict):
    """The matrix by another recipe; what that leaves as it was has the same runs."""

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
    """What a part adds to the whole's cost; keys lack where nothing was measured or counted."""

    macs: float  # a candidate
    parameters: int
    code_bytes: float  # an item, in 16 bits
    bundle_bytes: float
    p50: TimedDifference
    p99: TimedDifference
    auc_per_ms: dict[str, Json]  # value, low, high, shape: Fieller's interval


class AblationRow(PairedDelta):
    """The test AUC without a part minus that of the whole."""

    strategy: str
    kind: NotRequired[str]
    without: str
    cost: NotRequired[PartCost]
    over_limit: NotRequired[bool]  # the part alone takes the whole over the study's limit
    levels: NotRequired[dict[str, str]]  # of a factorial plan: factor -> level


class PathStep(TypedDict):
    """What a part adds to those before it; the ends hold for all steps at once."""

    part: str
    strategy: str  # with it
    auc: float
    gain: MetricDelta


class AblationPath(TypedDict):
    """From the plainest strategy to the whole, a part at a time."""

    start: str
    base: NotRequired[str]  # of the parts, those that are there from the start; "" = none
    start_auc: float
    steps: list[PathStep]


class EffectRow(TypedDict):
    """A main effect (one factor) or an interaction (two) on test AUC; the ends hold for all of the
    plan's effects at once."""

    factors: list[str]
    levels: list[str]  # against each factor's own level in the parent
    cells: int  # pairs, or foursomes of cells that it is the mean of
    effect: MetricDelta


class RetrainedShare(TypedDict):
    """A modality's Shapley value of test AUC over all subsets, each trained by itself."""

    modality: str  # or "all modalities"
    auc: MetricDelta


class AblationRecord(Record):
    """ablation-<strategy>.json of a study."""

    of: NotRequired[str]
    plan: NotRequired[str]  # minimal | full | factorial | the name of a file
    cells: list[MatrixCell]
    hyper_parameters: NotRequired[str]
    rows: NotRequired[list[AblationRow]]
    first: NotRequired[list[str]]  # parts that are shown to add something, the surest first
    path: NotRequired[AblationPath]
    effects: NotRequired[list[EffectRow]]  # of a factorial plan
    shares: NotRequired[list[RetrainedShare]]  # of the plan `modalities`
    auc: NotRequired[dict[str, float]]  # test AUC of each strategy of a factorial plan
    sentences: NotRequired[list[str]]


class Claim(Record):
    """claim-<n>.json of a search: the parameters of trial n."""

    params: dict[str, Json]
    system_attrs: NotRequired[dict[str, Json]]  # what the sampler goes by, where it has a state


class Trial(Record):
    """trial-<n>.json of a search: how trial n ended; the value is its AUC on validation."""

    number: int
    params: NotRequired[dict[str, Json]]
    run_id: NotRequired[str]
    state: str  # ok | infeasible | pruned; of older records failed
    value: float | None
    seconds: NotRequired[float]  # of its process, interrupted attempts left out
    reason: NotRequired[str]
    cause: NotRequired[str]  # memory | time | nan | value | cost | died | killed | error
    macs: NotRequired[float]  # counted, a candidate
    rungs: NotRequired[dict[str, float]]  # with halving: epoch where it paused -> best AUC so far
    constraints: NotRequired[dict[str, float]]  # name -> value, kept where it is 0 or less


class StepRecord(Record):
    """step-<k>.json of a search by halving: trial `number` is trained to the end of epoch `until`;
    null: nothing was to be done then."""

    number: int | None
    until: int


class RungRecord(Record):
    """rung-<n>-<epoch>.json of a search by halving: trial n came to the end of epoch `until`."""

    number: int
    until: int
    run_id: str
    rungs: dict[str, float]  # epoch -> best AUC so far, at every rung so far
    seconds: float  # of the process that brought it here from the rung before


ORIGIN = "origin.json"  # in a study's folder


class OriginRecord(Record):
    """origin.json of a study: the file that it was given in, and the data folder, if any."""

    file: str
    data: str | None


class Interruption(Record):
    """interrupted-<n>-<k>.json of a search: an attempt at trial n that came to no result."""

    number: int
    cause: str  # memory | died | killed | budget
    reason: str
    seconds: float


class RunningTrial(Record):
    """running-<n>.json of a search: the process that trains trial n, to end what it leaves."""

    pid: int
    start: int  # clock ticks since boot
    boot: str
    begin: float  # seconds on the monotonic clock of that boot


class Finalist(TypedDict):
    """One of a search's best, trained again with new seeds: validation AUC, the trial's first."""

    number: int
    values: list[float]
    mean: float | None  # None where a training failed: never the winner
    reason: str


class TimedTrial(Record):
    """timed-<n>.json of a search: what a request takes trial n, as shipped, on this machine.

    Milliseconds at the study's own number of candidates, end to end; the p99 with its interval,
    `high` None where that has no upper end, all three None below the samples of a p99, and all None
    where the exported graph does not score as the trained model does.
    """

    number: int
    run_id: str  # of what was timed: it counts for no other
    p50_ms: float | None
    p99_ms: float | None
    low: float | None
    high: float | None
    session: str  # the folder of its samples, in the study's


class FrontPoint(TypedDict):
    """A trial that no other beats on AUC (validation) and MACs a candidate at once."""

    number: int
    params: dict[str, Json]
    valid_auc: float
    macs: float
    p99_ms: NotRequired[float]  # timed, where the study asks for it


class WinnerRecord(Record):
    """winner-<trials>.json of a search: frozen before test is opened.

    With finalists winner-<trials>-finalists-<count>.json.
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
    """The file of the winner of so many trials and seconds, chosen among so many finalists, with so
    many trials timed.

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
    """How a request's latency is predicted from counts: ms, a MAC, a byte of its codes."""

    p50: list[float]
    p99: list[float]
    error: float  # of p99, relative, each timed strategy left out in turn
    worst: float
    strategies: int


class SearchIdentity(Record):
    """search.json: what a search's trials depend on beside their numbers."""

    seed: int
    lag: int
    space: dict[str, str]  # key -> its distribution in words
    constants: NotRequired[dict[str, Json]]  # keys of the space with one value
    sampler: NotRequired[str]  # where it is not tpe
    rungs: NotRequired[list[int]]  # with halving: epochs where trials pause, then all epochs
    objectives: NotRequired[list[str]]  # where it is not the AUC alone
    budget_macs: NotRequired[float]
    slo_ms: NotRequired[float]
    latency: NotRequired[LatencyFit]  # by which slo_ms was held when the search began


R = TypeVar("R", bound=Mapping[str, object])
FORMATS: dict[str, tuple[int, ...]] = {  # of every other record: format 1
    "nested.json": (1, 2),
    "bench.json": (1, 2),
    "comparison.json": (1, 2),
}


class NewerFormatError(DataContractError):
    """The record is whole, and of a version of the program that is newer than this one."""


class ReadMatrix(NamedTuple):
    """The cells that can be read, and what is said of the others."""

    matrix: Matrix
    damaged: tuple[str, ...]


def read_record(path: Path, kind: type[R]) -> R:
    """The record in `path`; one without a format is of format 1.

    Raises:
        DataContractError: not readable, not JSON, of another format, or without what `kind` has.
    """
    value = _json_of(path)
    _validate(path, kind, value)
    return cast(R, value)


def read_matrix(path: Path) -> ReadMatrix:
    """matrix.json without the cells that cannot be read, and a sentence for each of those.

    Raises:
        DataContractError: not readable, or more of it is damaged than single cells.
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
    """What a record holds, once its format is one that is read."""
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
    """Replace the record in `path` in one step, the version of its format among its keys."""
    write_json(path, {"format": version, **record})


@cache
def _adapter(kind: type[R]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def starting_with(record: Mapping[str, object], prefix: str) -> dict[str, float]:
    """The numbers of a summary whose keys begin with `prefix`, without it."""
    return {
        key.removeprefix(prefix): float(value)
        for key, value in record.items()
        if key.startswith(prefix) and isinstance(value, int | float)
    }
