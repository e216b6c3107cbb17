"""Checks of latency backends, layouts and encoders catch planted defects, each by its own error."""

from typing import ClassVar

import numpy as np
import polars as pl
import pytest
import torch

from fusefront.datasets.adapters.layout import need
from fusefront.datasets.contract import PublishedLayout, RawEncoder
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import parse_spec
from fusefront.harness.serving.contract import Backend
from fusefront.harness.serving.export.online import eager_request
from fusefront.harness.serving.latency.backends import OnnxInt8, OnnxRuntime, TorchEager
from fusefront.harness.testing import check_backend, check_encoder, check_layout
from fusefront.harness.testing.backend import backend_promises
from fusefront.harness.testing.encoder import encoder_promises
from fusefront.harness.testing.layout import layout_promises
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    CrashError,
    DeclarationError,
    FiniteError,
    ParityError,
    SeedError,
    ShapeError,
    breaches,
)


class Eager(Backend):
    """Keeps the contract; each defect below breaks one promise."""

    name: ClassVar[str] = "own_eager"
    exact = True

    def load(self, trained):
        model, codes = trained.model.eval(), trained.codes

        def call(feed):
            with torch.inference_mode():
                return self.changed(model.score(eager_request(codes, feed)).logits.numpy())

        return call

    def changed(self, logits):
        return logits


class Listed(Eager):
    """As ONNX Runtime gives its outputs."""

    def changed(self, logits):
        return [logits]


class Off(Eager):
    def changed(self, logits):
        return logits + 0.001


class Rounded(Off):
    exact = False  # then so much may be off


class FarOff(Eager):
    exact = False

    def changed(self, logits):
        return logits + 1.0


class Flat(Eager):
    def changed(self, logits):
        return logits.ravel()


class OfTheBatch(Eager):
    exact = False

    def changed(self, logits):
        return logits + 0.1 * len(logits)


class Noisy(Eager):
    exact = False

    def changed(self, logits):
        return logits + 0.01 * np.random.default_rng().random(logits.shape).astype(np.float32)


class NoWord(Eager):
    exact = "yes"


class Lacks(Eager):
    def missing(self):
        return "backend 'lacks' needs a compiler and there is none; install one"


class EmptyReason(Eager):
    def missing(self):
        return ""


class Raises(Eager):
    def changed(self, logits):
        raise KeyError("no such word")


@pytest.mark.parametrize("backend", [Eager, Listed, Rounded, OnnxRuntime, OnnxInt8, TorchEager])
def test_a_backend_that_keeps_the_contract_passes(backend):
    check_backend(backend)


@pytest.mark.parametrize(
    ("backend", "error", "words"),
    [
        (Off, ParityError, r"differ by .* from the model's \(at most 1e-05 where exact is True\)"),
        (FarOff, ParityError, r"at most 3e-02 where exact is False"),
        (Flat, ShapeError, r"scores have shape \(1,\) for candidates of shape \(1, 1\)"),
        (Noisy, SeedError, "the same requests twice get different scores"),
        (NoWord, DeclarationError, "exact is 'yes'"),
        (Lacks, DeclarationError, "nothing more can be checked here: backend 'lacks' needs"),
        (EmptyReason, DeclarationError, "missing gives ''; expected None or why"),
        (Raises, CrashError, r"one logit \[R, K\] a candidate: KeyError"),
        (dict, DeclarationError, "dict is not a subclass of Backend"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_a_planted_defect_of_a_backend_is_caught(backend, error, words):
    with pytest.raises(error, match=words):
        check_backend(backend)


def test_a_backend_whose_scores_depend_on_the_batch_is_caught(monkeypatch):
    monkeypatch.setattr("fusefront.harness.testing.backend._check_parity", lambda served: None)
    with pytest.raises(BatchError, match="another score alone than among others"):
        check_backend(OfTheBatch)


class Shop(PublishedLayout):
    name: ClassVar[str] = "shop"

    def propose(self, folder):
        need(folder, self.name, "log.csv", "items.csv")
        return self.spec()

    def spec(self):
        return {
            "name": "shop",
            "interactions": {"path": "log.csv"},
            "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
            "history": {"from": "log", "max_length": 8},
            "items": {"path": "items.csv", "key": "i"},
            "modalities": {"title": {"column": "title", "encode": "text"}},
            "split": {"by": "time", "valid": 0.2, "test": 0.2},
        }


class Parsed(Shop):
    def spec(self):
        return parse_spec(super().spec(), "shop")


class Guesses(Shop):
    def propose(self, folder):
        return self.spec()


class Crashes(Shop):
    def propose(self, folder):
        return {**self.spec(), "name": next(iter(folder.glob("*.csv"))).stem}


class SeveralLines(Shop):
    def propose(self, folder):
        raise DataContractError("no log\nno items")


class Misspelt(Shop):
    def spec(self):
        return {**super().spec(), "intractions": 1}


class NoMapping(Shop):
    def spec(self):
        return [1]


class OtherFile(Shop):
    def spec(self):
        return {**super().spec(), "items": {"path": "goods.csv", "key": "i"}}


class Changes(Shop):
    count = 0

    def spec(self):
        Changes.count += 1
        return {**super().spec(), "name": f"shop{Changes.count}"}


def shop_function(folder):
    """A plain function is a layout, too."""
    return Shop().propose(folder)


@pytest.fixture
def folder(tmp_path):
    pl.DataFrame({"u": [1], "i": [1], "y": [1], "t": [1]}).write_csv(tmp_path / "log.csv")
    pl.DataFrame({"i": [1], "title": ["red"]}).write_csv(tmp_path / "items.csv")
    return tmp_path


@pytest.mark.parametrize("layout", [Shop, Parsed, shop_function])
def test_a_layout_that_keeps_the_contract_passes(layout, folder):
    check_layout(layout, folder=folder)
    check_layout(layout)


@pytest.mark.parametrize(
    ("layout", "error", "words"),
    [
        (Guesses, DeclarationError, "it gives a spec of an empty folder"),
        (Crashes, DeclarationError, "an empty folder makes it raise StopIteration"),
        (SeveralLines, DeclarationError, "its refusal has several lines"),
        (Misspelt, DeclarationError, "unknown key 'intractions'; did you mean 'interactions'"),
        (NoMapping, DeclarationError, "gives a list; expected a DatasetSpec or its mapping"),
        (OtherFile, ContentError, r"names 'goods.csv' \(items\), which is not in"),
        (Changes, SeedError, "the same folder gives two different specs"),
        (3, DeclarationError, "3 is not a function or a subclass of PublishedLayout"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_a_planted_defect_of_a_layout_is_caught(layout, error, words, folder):
    with pytest.raises(error, match=words):
        check_layout(layout, folder=folder)


class Letters(RawEncoder):
    name: ClassVar[str] = "letters"
    kind: ClassVar = "text"

    def __init__(self, *, alphabet="abcdefghijklmnopqrstuvwxyz"):
        self.alphabet = alphabet

    def encode(self, inputs):
        return [[text.count(letter) for letter in self.alphabet] for text in inputs]


class Colours(RawEncoder):
    name: ClassVar[str] = "colours"
    kind: ClassVar = "image"

    def encode(self, inputs):
        return [image.mean((0, 1)) for image in inputs]


class OtherKind(Letters):
    kind: ClassVar = "sound"


class NeedsWords(Letters):
    def __init__(self, words):
        self.words = words


class OneVector(Letters):
    def encode(self, inputs):
        return [[1.0, 2.0]] * len(inputs)


class Centred(Letters):
    def encode(self, inputs):
        vectors = np.array(super().encode(inputs), float)
        return vectors - vectors.mean(0)


class RoundedByBatch(Letters):
    """As a model in float32: sums of a batch differ in the fifth digit."""

    def encode(self, inputs):
        return 1000.0 * np.array(super().encode(inputs), float) + 1e-3 * len(inputs)


class OneLess(Letters):
    def encode(self, inputs):
        return super().encode(inputs)[1:]


class WidthOfBatch(Letters):
    def encode(self, inputs):
        return np.ones((len(inputs), len(inputs)))


class Random(Letters):
    def encode(self, inputs):
        return np.random.default_rng().random((len(inputs), 3))


class NotFinite(Letters):
    def encode(self, inputs):
        return np.array([[1.0, len(text), np.inf] for text in inputs])  # one number in three


def lengths(texts, *, scale=1.0):
    return [[scale * len(text), 1.0] for text in texts]


def brightness(images):
    return [[float(image.mean()), image.shape[0]] for image in images]


@pytest.mark.parametrize("encoder", [Letters, RoundedByBatch, Colours, lengths, brightness])
def test_an_encoder_that_keeps_the_contract_passes(encoder):
    check_encoder(encoder)


def test_an_encoder_is_checked_with_settings_and_kind():
    check_encoder(Letters, settings={"alphabet": "ro"})
    check_encoder(lengths, settings={"scale": 2.0}, kind="text")
    with pytest.raises(CrashError, match="unexpected keyword argument 'weight'"):
        check_encoder(lengths, settings={"weight": 2.0}, kind="text")
    with pytest.raises(DeclarationError, match="cannot be built: TypeError"):
        check_encoder(Letters, settings={"words": 2})


@pytest.mark.parametrize(
    ("encoder", "error", "words"),
    [
        (OtherKind, DeclarationError, "kind is 'sound'; expected 'text' or 'image'"),
        (NeedsWords, DeclarationError, "cannot be built: TypeError"),
        (OneVector, ContentError, "every input gets the same vector"),
        (Centred, BatchError, "another vector alone than among others"),
        (OneLess, ShapeError, r"7 inputs give shape \(6, 26\); expected \(7, width\)"),
        (WidthOfBatch, ShapeError, r"the width depends on the batch: \[1, 2, 7\]"),
        (Random, SeedError, "the same inputs twice give different vectors"),
        (NotFinite, FiniteError, "not finite"),
        (dict, DeclarationError, "dict is not a function or a subclass of RawEncoder"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_a_planted_defect_of_an_encoder_is_caught(encoder, error, words):
    with pytest.raises(error, match=words):
        check_encoder(encoder)


@pytest.mark.parametrize(
    ("promises", "part"),
    [
        (backend_promises, Flat),
        (backend_promises, NoWord),
        (backend_promises, Lacks),
        (backend_promises, FarOff),
        (layout_promises, 3),
        (encoder_promises, OtherKind),
        (encoder_promises, OneLess),
        (encoder_promises, Centred),
    ],
)
def test_what_cannot_be_judged_after_a_breach_is_not(promises, part):
    assert len(list(breaches("it", promises(part)))) == 1


def test_a_layout_of_a_wrong_spec_is_said_once(folder):
    assert len(list(breaches("it", layout_promises(Misspelt, folder=folder)))) == 1
