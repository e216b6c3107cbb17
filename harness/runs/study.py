"""The study spec: strategies, data, seeds and budgets in one YAML file; unknown keys are
refused."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fusefront.datasets.errors import expectation
from fusefront.datasets.yaml_file import read_yaml
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.nearest import or_nearest
from fusefront.harness.runs.recipe import StrictModel, Training

CONTROLS = (
    "popularity",
    "counts",
    "boosted",
    "id_only",
    "unimodal",
    "early_fusion",
    "shuffled",
)
Role = Literal["strategy", "control", "ablation", "trial"]
Sampler = Literal["tpe", "random", "qmc", "gp", "cma-es", "nsga-ii"]
Objective = Literal["auc", "macs"]
UNGUIDED = ("random", "qmc")  # samplers whose trials do not depend on earlier ones
LARGEST_SEED = 2**31 - 1  # a trial's seed lies above it, and a generator's below 2**32
MOST_TRIALS, MOST_SEEDS, MOST_ROWS = 10_000, 1_000, 100_000_000
LONGEST_S = 10_000_000.0  # 116 days


class Synthetic(StrictModel):
    """A synthetic world instead of files; train, valid and test count requests of eight
    candidates."""

    synthetic: str
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    train: int = Field(default=8000, ge=1, le=MOST_ROWS)
    valid: int = Field(default=2000, ge=1, le=MOST_ROWS)
    test: int = Field(default=8000, ge=1, le=MOST_ROWS)


class Range(StrictModel):
    """A range that a search draws from: integers if both ends are integers."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        for end in (self.low, self.high):
            if not math.isfinite(end) or abs(end) > LARGEST_SEED:
                raise ValueError(f"an end of a range is {end}, expected a number to draw from")
        if self.low > self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"range {self.low} to {self.high} is empty, or log with an end of 0 or less"
            )
        return self


def _checked_space(space: Any, *, keep: bool) -> Any:
    """Refuse values that a search cannot draw from, key by key; with `keep` an empty list fixes a
    key."""
    if not isinstance(space, Mapping):
        return space
    for key, values in space.items():
        if isinstance(values, Mapping):
            for word in values.keys() - Range.model_fields.keys():
                raise ValueError(
                    f"{key}: unknown key {word!r}{or_nearest(word, Range.model_fields)}"
                )
            for end in ("low", "high"):
                if end not in values:
                    raise ValueError(f"{key}: a range without {end!r}; give low and high")
        elif isinstance(values, list | tuple):
            _check_choices(key, values, keep=keep)
        elif not isinstance(values, Range):
            raise ValueError(
                f"{key} is {values!r:.60}, expected a list of values or {{low: ..., high: ...}}"
            )
    return space


def _check_choices(key: str, values: list[Any] | tuple[Any, ...], *, keep: bool) -> None:
    """Check that the choices of a key differ and can be written as JSON."""
    if not (values or keep):
        raise ValueError(
            f"{key}: got an empty list, expected values; for a fixed value remove the key and "
            "write the value in the strategy or in training"
        )
    try:
        texts = [json.dumps(value, sort_keys=True, allow_nan=False) for value in values]
    except (TypeError, ValueError):
        raise ValueError(
            f"{key}: got {list(values)!r:.80}, expected finite numbers, words or mappings of them"
        ) from None
    for text in texts:
        if texts.count(text) > 1:
            raise ValueError(f"{key}: {text:.60} is listed twice; list each value once")


class Tuning(StrictModel):
    """The search: the same caps on trials and on seconds for every strategy; trial 0 uses the
    defaults.

    `finalists` trials are trained again, beyond the caps, and the best mean over seeds is the
    winner.
    """

    trials: int = Field(default=0, ge=0, le=MOST_TRIALS)
    seconds: float | None = Field(default=None, gt=0, le=LONGEST_S)  # of a strategy's processes
    trial_seconds: float | None = Field(default=None, gt=0, le=LONGEST_S)  # of one trial
    accept: dict[str, str] = Field(default={})  # strategy that may get a smaller search -> reason
    halving: bool = False  # with seconds: trials pause at 1/8, 1/4, 1/2; the better half goes on
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    lag: int = Field(default=2, ge=1, le=8)
    sampler: Sampler = "tpe"
    objectives: tuple[Objective, ...] = ("auc",)  # auc, or auc and macs: a front
    budget_macs: float | None = Field(default=None, gt=0, le=1e15)  # a candidate; above: no trial
    slo_ms: float | None = Field(default=None, gt=0, le=1e6)  # most predicted p99 of a trial
    timed: int = Field(default=0, ge=0, le=20)  # how many trials near the front are timed
    finalists: int = Field(default=0, ge=0, le=20)  # how many of the best trials get two new seeds
    space: dict[str, Range | tuple[Any, ...]] = Field(
        default={
            "training.learning_rate": (0.003, 0.01),
            "training.id_tau": (0.1, 0.3, 1.0, 3.0),
        }
    )  # dotted setting or training.<key>, for all strategies; a baseline adds its own choices

    @field_validator("space", mode="before")
    @classmethod
    def _drawable(cls, space: Any) -> Any:
        return _checked_space(space, keep=False)

    @model_validator(mode="after")
    def _a_choice(self) -> "Tuning":
        caps = [
            key for key in ("seconds", "trial_seconds", "slo_ms") if getattr(self, key) is not None
        ]
        if caps and not self.trials:
            raise ValueError(f"{caps[0]} without trials limits nothing; give trials, too")
        if self.halving and self.seconds is None:
            raise ValueError(
                "halving without seconds can only lose: the number of trials is fixed; give seconds"
            )
        if self.halving and len(self.objectives) > 1:
            raise ValueError("halving uses the AUC alone; remove it, or the second objective")
        if self.objectives not in (("auc",), ("auc", "macs")):
            raise ValueError(
                f"objectives {list(self.objectives)}: expected [auc], or [auc, macs] for a front"
            )
        if self.timed and self.slo_ms is None and len(self.objectives) == 1:
            raise ValueError(
                "timed has no effect without slo_ms or two objectives; give one of them"
            )
        if self.finalists and len(self.objectives) > 1:
            raise ValueError("finalists use the AUC alone; remove them, or the second objective")
        if self.finalists == 1 or self.finalists > self.trials:
            raise ValueError(
                f"{self.finalists} finalists of {self.trials} trials: expected 0, or from 2 to as "
                "many as there are trials"
            )
        return self


class LatencySpec(StrictModel):
    """How a study's strategies are timed: numbers of candidates a request, rounds, backends."""

    candidates: tuple[int, ...] = (1, 100, 500)
    decide_at: int = 100  # the K whose latency is on the frontier
    rounds: int = Field(default=20, ge=3, le=10_000)
    backends: tuple[str, ...] = ()  # timed beside what ships; your own may be among them
    at_once: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (16,)  # requests in one call
    qps: tuple[Annotated[float, Field(gt=0, le=1e6)], ...] = ()  # arrivals a second, own

    @model_validator(mode="after")
    def _measured(self) -> "LatencySpec":
        if not self.candidates or min(self.candidates) < 1 or max(self.candidates) > 100_000:
            raise ValueError(
                f"candidates {list(self.candidates)} must be one or more, each from 1 to 100000"
            )
        if self.decide_at not in self.candidates:
            raise ValueError(
                f"decide_at {self.decide_at} is not among candidates {list(self.candidates)}; the "
                "latency that decides must be measured"
            )
        return self


class MoneySpec(StrictModel):
    """The assumptions behind the report's table of what a gain is worth; nothing here is
    measured."""

    price_per_core_hour: float = Field(default=0.048, gt=0, le=1e9)
    requests_per_second: float = Field(default=100.0, gt=0, le=1e9)
    value_per_click: float = Field(default=0.01, ge=0, le=1e9)
    top_k: int = Field(default=3, ge=1, le=100_000)


class Comparing(StrictModel):
    """Settings of the comparison that differ from the defaults; options of `compare` override
    them."""

    effect: float | None = Field(default=None, gt=0, lt=1)  # the difference that matters [margin]
    two_way: bool = False  # cluster by user and by item: would it hold on other items, too?
    temperature: bool = False  # also report logits with a temperature fitted on validation
    paired_seeds: bool = False  # pair the runs of equal seeds and use their correlation
    metrics: tuple[str, ...] = ()  # your own metrics, beside those that ship


class Strategy(BaseModel):
    """One strategy: a baseline and its settings; every key that is not a field here is a
    setting."""

    model_config = ConfigDict(extra="allow", frozen=True)
    baseline: str
    role: Role = "strategy"
    shuffle: tuple[str, ...] = ()  # modalities whose vectors are permuted over items (a control)
    randomize: tuple[str, ...] = ()  # whose vectors are random, of the same spectrum
    training: dict[str, Any] = {}  # over the recipe
    recipe: Literal["common", "own"] | None = None  # None: as the study says
    tune: bool = True  # False: not searched, trained with its settings as they are
    space: dict[str, Range | tuple[Any, ...]] = {}  # further keys to search; () fixes a key

    @field_validator("space", mode="before")
    @classmethod
    def _drawable(cls, space: Any) -> Any:
        return _checked_space(space, keep=True)

    @property
    def other_vectors(self) -> tuple[str, ...]:
        """The modalities of which it reads other vectors than its items have: it only measures."""
        return self.shuffle + self.randomize

    @property
    def settings(self) -> dict[str, Any]:
        """The baseline's settings."""
        return dict(self.__pydantic_extra__ or {})


LONGEST = 150  # bytes of a name, so that file names made of it stay below 255


class Study(StrictModel):
    """A study's YAML: data, strategies, seeds, budget and limits."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    dataset: Synthetic | str
    strategies: dict[str, Strategy]
    baseline: str
    controls: bool | dict[str, str] = True  # or the controls that are left out -> reason
    seeds: tuple[int, ...] = (0, 1, 2)
    training: Training = Training()  # the common recipe
    recipe: Literal["common", "own"] = "own"  # own: published models use their published recipe
    sensitivity: tuple[Literal["common", "own"] | dict[str, Any], ...] = ()  # other recipes to try
    tuning: Tuning = Tuning()
    latency: LatencySpec = LatencySpec()
    money: MoneySpec = MoneySpec()
    slo_ms: float = Field(default=10.0, gt=0, le=1e6)
    margin: float = Field(default=0.001, gt=0, lt=1)
    comparison: Comparing = Comparing()
    owner: str = ""
    threads: int = Field(default=1, ge=1, le=1024)

    @field_validator("strategies", mode="before")
    @classmethod
    def _name_is_the_baseline(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            str(name): {"baseline": name, **(body or {})} if isinstance(body or {}, dict) else body
            for name, body in value.items()
        }

    @field_validator("controls")
    @classmethod
    def _refused_with_a_reason(cls, value: bool | dict[str, str]) -> bool | dict[str, str]:
        for name, reason in value.items() if isinstance(value, dict) else ():
            if not any(name == kind or name.startswith(f"{kind}_") for kind in CONTROLS):
                raise ValueError(f"no control is called {name!r}{or_nearest(name, CONTROLS)}")
            if not reason.strip():
                raise ValueError(f"control {name!r} is left out without a reason; write one")
        return value

    @property
    def controlled(self) -> bool:
        """Whether any control runs; without one, nothing is ranked or decided."""
        refused = self.controls if isinstance(self.controls, dict) else {}
        return self.controls is not False and not refused.keys() >= set(CONTROLS)

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> "Study":
        """Read and check a study file; `overrides` are texts like "training.epochs=2"."""
        return load_study(Path(path), overrides)

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if not self.strategies:
            raise ValueError("strategies is empty; name at least one")
        if self.baseline not in self.strategies:
            raise ValueError(
                f"baseline {self.baseline!r} is not among strategies {', '.join(self.strategies)}"
            )
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise ValueError(f"seeds {list(self.seeds)} must be distinct and at least one")
        for name in (self.name, *self.strategies):
            if (size := len(name.encode())) > LONGEST:
                raise ValueError(
                    f"got a name of {size} bytes ({name[:20]}...), expected at most {LONGEST}: it "
                    "is the name of folders and files"
                )
        if len(self.seeds) > MOST_SEEDS:
            raise ValueError(f"got {len(self.seeds)} seeds, expected at most {MOST_SEEDS}")
        for seed in self.seeds:
            if not 0 <= seed <= LARGEST_SEED:
                raise ValueError(f"seed {seed} is not between 0 and {LARGEST_SEED}; give another")
        for name in self.strategies:
            if "/" in name or name.startswith(".") or not name.strip():
                raise ValueError(f"strategy name {name!r} cannot be a folder name; rename it")
        return self


def assign(raw: dict[str, Any], dotted: str, value: Any) -> None:
    """Set `a.b.c` in nested mappings; missing mappings are created.

    Raises:
        UsageError: a key on the way holds a plain value.
    """
    *parents, last = dotted.split(".")
    for parent in parents:
        raw = raw.setdefault(parent, {})
        if not isinstance(raw, dict):
            raise UsageError(f"--set {dotted}: {parent!r} holds a value, not a mapping")
    raw[last] = value


def load_study(path: Path, overrides: tuple[str, ...] = ()) -> Study:
    """Read a study file, apply `a.b=value` overrides, check the result.

    Raises:
        UsageError: the file is not a valid study, or an override is not of the form `a.b=value`.
    """
    raw: dict[str, Any] = read_yaml(path)
    if "interactions" in raw:
        raise UsageError(
            f"{path}: got a data set spec, expected a study; name it under 'dataset' in a study "
            "(`fusefront init` writes one beside it)"
        )
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r}: got no '=', expected a.b=value")
        assign(raw, dotted, _value(text, value))
    return check_study(raw, str(path))


def _value(text: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", None) or error
        raise UsageError(f"--set {text!r}: the value is no YAML ({problem}); fix it") from None


def check_study(raw: dict[str, Any], source: str) -> Study:
    """Validate a mapping as a study; `source` names it in errors."""
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{source}: {_sentence(error)}") from error


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    parts = [
        str(part)
        for part in first["loc"]
        if part not in ("Synthetic", "str") and "[" not in str(part)  # the name of a type
    ]
    where = ".".join(parts)
    if first["type"] == "extra_forbidden":
        known = _known_keys(parts[:-1])
        return f"unknown key {where!r}{or_nearest(parts[-1], known)}"
    message = expectation(first["type"], first["msg"])
    return f"{where or 'study'}: {message} (got {first['input']!r:.80})" if where else message


def _known_keys(parents: list[str]) -> list[str]:
    model: type[BaseModel] = Study
    for parent in parents:
        annotation = model.model_fields[parent].annotation if parent in model.model_fields else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
        elif parent == "dataset":
            model = Synthetic
    return list(model.model_fields)
