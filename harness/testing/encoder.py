"""The contract of a raw encoder, checked by one call: `check_encoder(Letters)`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusefront.datasets.contract import RawEncoder
from fusefront.harness.parts.data_parts import maker
from fusefront.harness.parts.kinds import ENCODER
from fusefront.harness.testing.declaration import check_builds, check_class, check_of, label_of
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    DeclarationError,
    FiniteError,
    Promise,
    SeedError,
    ShapeError,
)

KINDS = ("text", "image")
CLOSE = 1e-4  # relative to the largest number: batches change the order of sums
EncoderPart = type[RawEncoder] | Callable[..., ArrayLike]


def inputs_of(kind: str) -> list[Any]:
    """Seven different texts, or seven different images of several sizes."""
    if kind == "text":
        words = ["red", "running", "shoes", "for", "wide", "feet", "size", "42", "日本語"]
        return [" ".join(words[: k + 1]) for k in range(7)]
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (20 + 3 * k, 30 - k, 3), dtype=np.uint8) for k in range(7)]


def encoder_promises(
    part: EncoderPart, *, kind: str | None = None, settings: dict[str, object] | None = None
) -> Iterator[Promise]:
    """The promises of a raw encoder; a plain function without a `kind` may read texts or images."""
    label = label_of(ENCODER, part)

    def encode(inputs: Sequence[Any]) -> NDArray[np.float64]:
        return np.asarray(maker(part)(**settings or {})(inputs), np.float64)

    def inputs() -> list[Any]:
        return inputs_of(kind or getattr(part, "kind", None) or _readable(encode))

    yield Promise(
        "it says what it is and can be built", lambda: _check_declared(label, part, settings), True
    )
    yield Promise("vectors [n, width]", lambda: _check_shapes(label, encode, inputs()), gate=True)
    yield Promise("inputs repeat their vectors", lambda: _check_repeats(label, encode, inputs()))
    yield Promise("a vector is its own input's", lambda: _check_alone(label, encode, inputs()))
    yield Promise("other inputs, other vectors", lambda: _check_content(label, encode, inputs()))


check_encoder = check_of(ENCODER, encoder_promises)
Encode = Callable[[Sequence[Any]], NDArray[np.float64]]


def _check_declared(label: str, part: EncoderPart, settings: dict[str, object] | None) -> None:
    check_class(ENCODER, part)
    reads = getattr(part, "kind", None)
    if reads not in (*KINDS, None) or (isinstance(part, type) and reads is None):
        raise DeclarationError(f"{label}: kind is {reads!r}; expected 'text' or 'image'")
    check_builds(label, lambda: maker(part)(**settings or {}))


def _readable(encode: Encode) -> str:
    """ "text", unless the encoder reads images only."""
    try:
        encode(inputs_of("text"))
    except Exception:  # a plug-in's code can raise anything
        return "image"
    return "text"


def _check_shapes(label: str, encode: Encode, inputs: list[Any]) -> None:
    widths = set()
    for count in (len(inputs), 1, 2):
        vectors = encode(inputs[:count])
        if vectors.ndim != 2 or len(vectors) != count or not vectors.shape[1]:
            raise ShapeError(
                f"{label}: {count} inputs give shape {vectors.shape}; expected ({count}, width)"
            )
        if not np.isfinite(vectors).all():
            raise FiniteError(f"{label}: vectors hold numbers that are not finite")
        widths.add(vectors.shape[1])
    if len(widths) > 1:
        raise ShapeError(f"{label}: the width depends on the batch: {sorted(widths)}")


def _check_repeats(label: str, encode: Encode, inputs: list[Any]) -> None:
    if not np.array_equal(encode(inputs), encode(inputs)):
        raise SeedError(f"{label}: the same inputs twice give different vectors")


def _check_alone(label: str, encode: Encode, inputs: list[Any]) -> None:
    whole = encode(inputs)
    close = CLOSE * max(float(np.abs(whole).max()), 1e-12)
    for place in range(len(inputs)):
        if float(np.abs(encode([inputs[place]])[0] - whole[place]).max()) > close:
            raise BatchError(
                f"{label}: an input gets another vector alone than among others; use nothing of "
                "the batch"
            )


def _check_content(label: str, encode: Encode, inputs: list[Any]) -> None:
    vectors = encode(inputs)
    if bool((vectors == vectors[0]).all()):
        raise ContentError(f"{label}: every input gets the same vector")
