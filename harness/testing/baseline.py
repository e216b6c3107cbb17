"""The contract of a whole model, checked by one call: `check_baseline(Production)`.

The model is built in float64 on a small scene (300 items with gaps, requests of 1 to 7 candidates,
histories of 16 to 0 items). It must keep every promise that the shipped models keep.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import is_dataclass

import torch

from fusefront.baselines.contract import Baseline, Field, Parts, Schema
from fusefront.harness.parts.kinds import BASELINE
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.testing.baseline_checks import (
    check_batch,
    check_grouping,
    check_history,
    check_keep,
    check_padding,
    check_presence,
    check_split,
)
from fusefront.harness.testing.baseline_state import (
    check_cache,
    check_finite,
    check_gradients,
    check_roles,
    check_seeds,
    check_state,
)
from fusefront.harness.testing.declaration import (
    check_builds,
    check_class,
    check_of,
    label_of,
)
from fusefront.harness.testing.promises import DeclarationError, FiniteError, Promise
from fusefront.harness.testing.scene import Scene, make_scene
from fusefront.harness.testing.subject import Subject, applied

PROMISES: Mapping[str, Callable[[Subject], None]] = {
    "a seed draws the weights": check_seeds,
    "encoding, then scoring, is both at once": check_split,
    "K candidates of a request train as K rows": check_grouping,
    "padding changes nothing": check_padding,
    "the history counts": check_history,
    "an absent modality changes nothing": check_presence,
    "`keep` hides modalities": check_keep,
    "a request is scored alone as among others": check_batch,
    "every parameter learns": check_gradients,
    "every parameter has one role": check_roles,
    "what is said of the code table is so": check_cache,
    "numbers stay finite in bfloat16": check_finite,
    "its state restores it": check_state,
}
_PLAIN = ((), 0, (), 0, (), 0)
SPARE = {  # data with few inputs: a model trains on it, or its ValueError says what it needs
    "no fields": Schema(150, {"text": 20, "image": 24}, *_PLAIN, 16),
    "no history": Schema(
        150, {"text": 20, "image": 24}, (Field("f", 4),), 1, (Field("g", 3),), 0, (), 1, 0
    ),
    "one modality": Schema(150, {"text": 20}, *_PLAIN, 16),
    "one field of each kind": Schema(
        150, {"text": 20}, (Field("f", 4),), 0, (Field("g", 3),), 0, (Field("h", 3),), 0, 3
    ),
}


def baseline_promises(
    kind: type[Baseline],
    *,
    settings: Mapping[str, object] | None = None,
    parts: Parts | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
) -> Iterator[Promise]:
    """The promises of a whole model with these settings (by default its own defaults).

    `exceptions` are patterns of parameter names that may stay without a gradient; `export=False`
    leaves out ONNX Runtime, which takes seconds.
    """
    drawn_from = load_parts([]) if parts is None else parts
    chosen, label = dict(settings or {}), label_of(BASELINE, kind)

    def build(scene: Scene, seed: int) -> Baseline:
        return scene.model(kind, chosen, drawn_from, seed)

    subject = subject_of(label, build, exceptions)
    yield Promise(
        "the class says what it is and can be built",
        lambda: _check_declared(kind, chosen, drawn_from, subject),
        gate=True,
    )
    yield from promises_of(subject, export=export)
    yield Promise(
        "it trains on data that has little", lambda: check_spare(label, kind, chosen, drawn_from)
    )


check_baseline = check_of(BASELINE, baseline_promises)


def subject_of(
    label: str,
    build: Callable[[Scene, int], Baseline],
    exceptions: Collection[str] = (),
    scene: Scene | None = None,
) -> Subject:
    """A model on the scene; `exceptions` are patterns of parameters that may stay without a
    gradient."""
    untaught = "|".join(f"(?:{pattern})" for pattern in exceptions) or r"(?!)"
    return Subject(label, scene or make_scene(), build, re.compile(untaught))


def promises_of(subject: Subject, *, export: bool) -> Iterator[Promise]:
    """The promises that do not depend on how the model was built."""
    for title, check in PROMISES.items():
        yield Promise(title, applied(check, subject))
    if export:
        from fusefront.harness.testing.baseline_export import check_exported

        yield Promise("ONNX Runtime gives the same numbers", applied(check_exported, subject))


def _check_declared(
    kind: type[Baseline], settings: Mapping[str, object], parts: Parts, subject: Subject
) -> None:
    check_class(BASELINE, kind)
    if not is_dataclass(kind.Settings):
        raise DeclarationError(
            f"{subject.label}: Settings is {kind.Settings!r}; expected a frozen dataclass"
        )
    check_builds(subject.label, subject.model)
    schema = subject.scene.schema
    for key, values in kind.choices.items():
        for value in values:
            try:
                kind.check(schema, {**settings, key: value}, parts)
            except ValueError as error:
                raise DeclarationError(
                    f"{subject.label}: its choice {key} = {value!r} is refused by its own check: "
                    f"{error}"
                ) from error
    try:
        kind.check(schema, {"no_such_setting": 1}, parts)
    except ValueError:
        return
    raise DeclarationError(
        f"{subject.label}: check takes a setting 'no_such_setting'; refuse what is not known with "
        "a ValueError, or a typing mistake in a study goes unseen"
    )


def check_spare(
    label: str, kind: type[Baseline], settings: Mapping[str, object], parts: Parts
) -> None:
    """It trains on every data set of SPARE, or its ValueError says what data it needs."""
    for title, schema in SPARE.items():
        try:
            kind.check(schema, settings, parts)
        except ValueError:
            continue  # it says what it needs
        scene = make_scene(schema)
        model = scene.model(kind, settings, parts).train()
        losses = model.losses(scene.batch)
        torch.autograd.backward(losses.click + losses.auxiliary)
        with torch.no_grad():
            scored = model.eval().losses(scene.batch).logits
        if not bool(losses.logits.isfinite().all()) or not bool(scored.isfinite().all()):
            raise FiniteError(f"{label}: scores are not finite on data with {title}")
