"""The recipe of a training: optimiser, learning rate, decay, batch size, schedule."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from fusefront.datasets.numbers_of_yaml import Numbers
from fusefront.harness.runs.files import Json

FEWEST_ROWS, MOST_ROWS = 256, 8192  # of a batch that nobody named
STEPS = 200  # steps an epoch, if there are rows enough
LARGEST = 2**31 - 1  # count of rows
_DECAYS = ("tau", "id_tau", "weight_decay", "id_weight_decay", "l2", "l2_embedding")
_RIVALS = {  # pairs of keys with one meaning: the key that comes later replaces the other
    "tau": "weight_decay",
    "weight_decay": "tau",
    "id_tau": "id_weight_decay",
    "id_weight_decay": "id_tau",
}
LATER = ("precision", "device", "modalities", "deterministic")  # keys that older recipes lack
EVERYWHERE = (
    "epochs",
    "max_candidates",
    "clip",
    "precision",
    "device",
    "deterministic",
)  # a study's values for these hold for every recipe


class StrictModel(Numbers):
    """Base of every part of a study: refuses unknown keys, and `true` or `false` in place of a
    number."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModalityShares(StrictModel):
    """What the parameters of one modality alone have of the recipe's rate and decay."""

    rate: float = Field(default=1.0, gt=0, le=1e3)
    decay: float = Field(default=1.0, ge=0, le=1e3)


class Training(StrictModel):
    """A recipe; by default the common one: AdamW, one cycle to its end, the best validation epoch
    is kept.

    `tau` and `id_tau` are time constants of weight decay, in epochs: at the full learning rate a
    weight shrinks to 1/e of itself in that time, whatever the batch size and the number of rows;
    null = no decay.
    """

    epochs: int = Field(default=3, ge=1, le=1000)
    batch_rows: int | None = Field(
        default=None, ge=2, le=LARGEST
    )  # rows; null: chosen by the rows of train, see `rows_a_batch`
    optimizer: Literal["adamw", "adam", "lazy_adamw"] = "adamw"
    schedule: Literal["one_cycle", "constant", "plateau", "exact"] = "one_cycle"
    learning_rate: float = Field(default=1e-2, gt=0, le=1e3)
    tau: float | None = Field(default=3.0, gt=0, allow_inf_nan=False)  # not of 1-d parameters
    id_tau: float | None = Field(default=0.3, gt=0, allow_inf_nan=False)
    weight_decay: float | None = Field(
        default=None, ge=0, le=1e9
    )  # AdamW's own decay, used in place of tau
    id_weight_decay: float | None = Field(default=None, ge=0, le=1e9)  # ... of id_tau
    l2: float = Field(default=0.0, ge=0, le=1e9)  # Adam only: adds l2 x weight to the gradient
    l2_embedding: float = Field(default=0.0, ge=0, le=1e9)  # ... of ids and fields
    warmup: float = Field(default=0.1, ge=0, lt=1)  # share of a one-cycle
    anneal: float = Field(
        default=0.1, gt=0, lt=1
    )  # plateau: an epoch without gain multiplies the rate by this
    patience: int | None = Field(default=None, ge=1, le=1000)  # epochs without gain until it stops
    average: float | None = Field(
        default=None, gt=0, le=1000
    )  # epochs of steps over which the weights that are kept are averaged
    max_candidates: int = Field(
        default=64, ge=1, le=LARGEST
    )  # candidates; a longer request is split, its history repeated
    clip: float = Field(default=10.0, gt=0, le=1e9)
    precision: Literal["fp32", "tf32", "bf16", "auto"] = (
        "fp32"  # of matrix products in steps; auto: bf16 where it is faster, else a GPU's TF32
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    deterministic: bool = False  # only algorithms that give the same bits each time
    modalities: dict[str, ModalityShares] = Field(default={})  # by name; others as all else

    @model_serializer(mode="wrap")
    def _known_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Json]:
        """Without the keys that came later where they have their default: a recipe is part of its
        runs' identity, and recorded runs are of the recipe that they always were."""
        recipe: dict[str, Json] = plain(self)
        later = {name: type(self).model_fields[name].default for name in LATER}
        return {key: value for key, value in recipe.items() if later.get(key, ...) != value}

    @model_validator(mode="before")
    @classmethod
    def _said_once(cls, raw: Any) -> Any:
        """Decay is said in one way; what the other way would be is null."""
        if not isinstance(raw, Mapping):
            return raw
        adam = raw.get("optimizer") == "adam"
        words = dict(raw)
        for tau, decay in (("tau", "weight_decay"), ("id_tau", "id_weight_decay")):
            both = words.get(tau) is not None and words.get(decay) is not None
            if both:
                raise ValueError(f"got both {tau} and {decay}, two keys for one decay; keep one")
            word = next((key for key in (tau, decay) if words.get(key) is not None), None)
            if adam and word:
                raise ValueError(f"{word} is AdamW's decay; with 'adam' give l2 or l2_embedding")
            if adam or word == decay:
                words[tau] = None
        return words

    @model_validator(mode="after")
    def _consistent(self) -> "Training":
        if self.patience is not None and self.schedule == "one_cycle":
            raise ValueError(
                f"patience {self.patience} with schedule 'one_cycle': a cycle that stops early "
                "never reaches its low rates; use 'constant' or 'plateau'"
            )
        if self.optimizer != "adam" and (self.l2 or self.l2_embedding):
            raise ValueError(
                f"l2 and l2_embedding are Adam's; with '{self.optimizer}' give tau or id_tau"
            )
        return self

    def resolved(self, rows: int) -> "Training":
        """The same recipe with the batch size that `rows` rows of train call for, unless it sets
        one."""
        batch = self.batch_rows or rows_a_batch(rows)
        return self.model_copy(update={"batch_rows": batch})


def rows_a_batch(rows: int) -> int:
    """The batch size in rows: a 200th of the rows of train, rounded to a power of two, from 256 to
    8192.

    >>> [rows_a_batch(rows) for rows in (1_000, 64_000, 105_000, 210_044, 30_000_000)]
    [256, 256, 512, 1024, 8192]
    """
    power = 2 ** round(math.log2(max(rows, 1) / STEPS))
    return int(min(max(power, FEWEST_ROWS), MOST_ROWS))


def overlay(recipe: Mapping[str, Json], *layers: Mapping[str, Json]) -> dict[str, Json]:
    """The recipe with the keys of `layers` put over it, in order; a decay given by another key
    replaces the first.

    A change of optimiser also brings that optimiser's default decay.
    """
    merged = dict(recipe)
    for layer in layers:
        if layer.get("optimizer", merged.get("optimizer", "adamw")) != merged.get(
            "optimizer", "adamw"
        ):
            merged = {key: value for key, value in merged.items() if key not in _DECAYS}
        for key, value in layer.items():
            if value is not None:
                merged.pop(_RIVALS.get(key, ""), None)
            merged[key] = value
    return merged


def spelled(recipe: str | Mapping[str, Json]) -> str:
    """An entry of a study's `sensitivity` (another recipe) as a name.

    >>> spelled("common"), spelled({"learning_rate": 0.003, "id_tau": 1})
    ('common', 'learning_rate 0.003, id_tau 1')
    """
    if isinstance(recipe, str):
        return recipe
    return ", ".join(f"{key} {'none' if v is None else v}" for key, v in recipe.items())


def in_words(training: Training) -> str:
    """The recipe as one line of a report."""
    if training.schedule == "exact":
        return "solved exactly"
    phrases = [
        {"adamw": "AdamW", "adam": "Adam"}[training.optimizer] + f" {training.learning_rate:g}",
        _schedule(training),
        f"batch {training.batch_rows}" if training.batch_rows else "batch by rows",
        *_decay(training),
    ]
    if training.average:
        phrases.append(f"weights averaged over {training.average:g} epochs")
    for name, shares in training.modalities.items():
        phrases.append(f"{name} at {shares.rate:g} of the rate, {shares.decay:g} of the decay")
    if training.precision != "fp32":
        words = {"tf32": "in TF32", "bf16": "in bf16", "auto": "in bf16 where it pays"}
        phrases.append(words[training.precision])
    if training.deterministic:
        phrases.append("deterministic algorithms")
    return ", ".join(phrases)


def _schedule(training: Training) -> str:
    epochs = f"{training.epochs} epoch{'s' if training.epochs > 1 else ''}"
    if training.schedule == "one_cycle":
        return f"one cycle of {epochs}"
    rate = "constant rate"
    if training.schedule == "plateau":
        rate = f"rate x {training.anneal:g} an epoch without gain"
    stop = f", patience {training.patience}" if training.patience else ""
    return f"{rate}, at most {epochs}{stop}"


def _decay(training: Training) -> list[str]:
    words = {
        "tau": training.tau,
        "tau of ids": training.id_tau,
        "decay": training.weight_decay,
        "decay of ids": training.id_weight_decay,
        "L2": training.l2 or None,
        "L2 of embeddings": training.l2_embedding or None,
    }
    return [f"{name} {value:g}" for name, value in words.items() if value is not None]
