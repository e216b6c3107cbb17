"""Controls of a modality: their spectrum by numpy, what a model reads, and what is said of it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fusefront.baselines.contract import Baseline, Parts
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.spectrum import same_spectrum
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness import controls as module
from fusefront.harness.robustness.condition import Hidden
from fusefront.harness.robustness.controls import (
    ControlChanges,
    ControlScores,
    control_scores,
    controls_in_words,
    random_vectors,
)
from fusefront.harness.robustness.vectors import (
    changed_vectors,
    other_vectors,
    raw_tables,
    takes_vectors,
)
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.training.build import build_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


@pytest.mark.parametrize(("count", "width", "rank"), [(300, 12, 12), (300, 12, 5), (8, 20, 20)])
def test_random_vectors_have_the_mean_and_the_eigenvalues_of_the_covariance(
    count: int, width: int, rank: int
) -> None:
    """By numpy's eigvalsh; of fewer rows than columns and of a low rank, too."""
    rng = np.random.default_rng(count + rank)
    factors = rng.normal(size=(count, rank)) * np.linspace(4, 0.5, rank)
    rows = (3 + factors @ rng.normal(size=(rank, width))).astype(np.float32)
    drawn = same_spectrum(rows, 5)
    np.testing.assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=1e-4)
    own, other = (np.linalg.eigvalsh(np.cov(x.astype(float).T)) for x in (rows, drawn))
    np.testing.assert_allclose(other, own, rtol=1e-4, atol=1e-4 * own.max())
    first, second = (np.linalg.eigh(np.cov(x.astype(float).T))[1][:, -1] for x in (rows, drawn))
    assert abs(first @ second) < 0.8  # in another direction
    assert not np.allclose(drawn, rows, atol=0.1)
    np.testing.assert_array_equal(drawn, same_spectrum(rows, 5))
    assert not np.allclose(drawn, same_spectrum(rows, 6), atol=0.1)


def test_every_direction_is_as_likely_as_any_other() -> None:
    """The long axis of 400 draws in three dimensions: its second moment is that of the sphere."""
    rows = np.zeros((9, 3), np.float32)
    rows[:, 0] = np.arange(9)
    axes = np.array([np.ptp(same_spectrum(rows, seed), axis=0) for seed in range(400)])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    np.testing.assert_allclose((axes**2).mean(axis=0), 1 / 3, atol=0.05)


def test_absent_vectors_stay_absent(ragged: PreparedDataset) -> None:
    own, drawn = np.array(ragged.vectors("image")), random_vectors(ragged, "image")
    present = np.asarray(ragged.items.present)[:, 1]
    np.testing.assert_array_equal(drawn[~present], own[~present])
    assert (np.abs(drawn - own)[present].max(axis=1) > 1e-3).all()


def test_random_vectors_are_those_of_a_draw_by_modality(ragged: PreparedDataset) -> None:
    """The third name of a draw is the modality's column, so that two of them differ."""
    for column, name in enumerate(("text", "image")):
        own = np.array(ragged.vectors(name), np.float32)
        present = np.asarray(ragged.items.present)[:, column]
        for seed in (0, 3):
            expected = same_spectrum(own[present], [seed, 6, column])
            drawn = random_vectors(ragged, name, seed)
            np.testing.assert_array_equal(drawn[present], expected)
        expected = same_spectrum(own[present], [0, 6, column])
        np.testing.assert_array_equal(random_vectors(ragged, name)[present], expected)


def model_of(store: PreparedDataset, parts: Parts, baseline: str, **settings: Any) -> Baseline:
    spec = RunSpec(store.name, store.fingerprint, baseline, settings, {}, 3)
    model = build_model(spec, store, parts).eval()
    generator = torch.Generator().manual_seed(1)  # trained weights move everything
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def test_each_control_is_read_by_the_model(ragged: PreparedDataset, parts: Parts) -> None:
    model = model_of(ragged, parts, "late_fusion")
    result = list(control_scores(model, ragged))
    assert [(each.modality, each.control) for each in result] == [
        ("", ""),
        *((m, c) for m in ("text", "image") for c in ("removed", "shuffled", "random")),
    ]
    logits = {(each.modality, each.control): each.logits for each in result}
    items = ragged.manifest.schema_.items
    for at, modality in enumerate(("text", "image")):
        keep = torch.ones((items + 1, 2), dtype=torch.bool)
        keep[:, at] = False
        expected = predict(model, encode_table(model, items, keep), ragged, "test")
        np.testing.assert_allclose(logits[modality, "removed"], expected, atol=1e-6)
        vectors = {
            "shuffled": changed_vectors(ragged, Hidden(modality, 1.0, "stale")),
            "random": random_vectors(ragged, modality),
        }
        for control, rows in vectors.items():
            with other_vectors(model, ragged, modality, rows):
                expected = predict(model, encode_table(model, items), ragged, "test")
            np.testing.assert_allclose(logits[modality, control], expected, atol=1e-6)
            assert not np.allclose(expected, logits["", ""], atol=1e-4)
    np.testing.assert_array_equal(
        predict(model, encode_table(model, items), ragged, "test"), logits["", ""]
    )


def test_a_model_without_vectors_scores_the_same_under_every_control(
    ragged: PreparedDataset, parts: Parts
) -> None:
    whole, *others = control_scores(model_of(ragged, parts, "id_only"), ragged)
    assert len(others) == 6
    for each in others:
        np.testing.assert_array_equal(each.logits, whole.logits)


def test_a_joint_table_is_only_removed(ragged: PreparedDataset, parts: Parts) -> None:
    model = model_of(ragged, parts, "late_fusion", compressor={"name": "pca_joint", "k": 4})
    controls = [(each.modality, each.control) for each in control_scores(model, ragged)]
    assert controls == [("", ""), ("text", "removed"), ("image", "removed")]


def test_vectors_that_are_read_as_they_are_can_be_changed(
    ragged: PreparedDataset, parts: Parts
) -> None:
    """A published model without compressors: as if it had been built on the other vectors."""
    model = model_of(ragged, parts, "din")
    assert raw_tables(model, 0)
    assert takes_vectors(model, ragged, "text")
    rows = changed_vectors(ragged, Hidden("text", 1.0, "stale"))
    items = ragged.manifest.schema_.items
    before = encode_table(model, items)
    with other_vectors(model, ragged, "text", rows):
        changed = encode_table(model, items)
        for tokens, name in raw_tables(model, 0):
            np.testing.assert_array_equal(tokens.get_buffer(name)[1:], rows[1:])
    assert not torch.allclose(changed.candidate.values, before.candidate.values)
    after = encode_table(model, items)
    assert torch.equal(after.candidate.values, before.candidate.values)


REQUESTS, WIDTH = 100, 4
LABEL = (np.random.default_rng(4).random(REQUESTS * WIDTH) < 0.4).astype(np.uint8)
USER = np.repeat(np.random.default_rng(5).integers(0, 40, REQUESTS), WIDTH)


def planted(seed: int, _: Any) -> Iterator[ControlScores]:
    """Text tells what it shows, image only that it is there, audio nothing."""
    rng = np.random.default_rng(seed)
    base, other = rng.normal(size=(2, len(LABEL)))
    strength = {"text": (0.3, 0.2, 0.1), "image": (0.6, 1.5, 1.5), "audio": (1.5, 1.5, 1.5)}
    yield ControlScores("", "", (base + 1.5 * LABEL).astype(np.float32))
    for modality, values in strength.items():
        for control, value in zip(("removed", "shuffled", "random"), values, strict=True):
            moved = 0.2 * other * (modality != "audio")
            yield ControlScores(
                modality, control, (base + moved + value * LABEL).astype(np.float32)
            )


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(module, "control_scores", planted)
    request = np.repeat(np.arange(REQUESTS), WIDTH)
    table = RowTable(LABEL, USER, request, np.zeros(len(LABEL), np.int32), np.arange(len(LABEL)))
    changes = ControlChanges.empty(Layout(table, "user"))
    assert changes.rows("mine") == []
    for seed in (1, 2, 3):
        changes.add(seed, None)  # type: ignore[arg-type]
    return changes.rows("mine")


def test_changes_are_within_each_trained_model(rows: list[Any]) -> None:
    by_seed = [
        {(e.modality, e.control): roc_auc_score(LABEL, e.logits) for e in planted(seed, None)}
        for seed in (1, 2, 3)
    ]
    wider = []
    for row in rows:
        place = (row["modality"], row["control"])
        expected = np.mean([auc[place] - auc["", ""] for auc in by_seed])
        assert row["auc"]["value"] == pytest.approx(expected, abs=1e-9)
        wide, alone = (row[key]["high"] - row[key]["low"] for key in ("auc", "single"))
        if row["modality"] == "audio":
            assert row["auc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        else:
            assert wide >= alone * (1 - 1e-9) > 0
            wider.append(wide > 1.1 * alone)
    assert any(wider)  # where seeds are few a single interval is the wider one


def test_it_is_said_whether_a_modality_is_used(rows: list[Any]) -> None:
    text, image, audio = controls_in_words(rows)
    assert text.startswith("mine: text is used: removed -0.")
    assert "with the vectors of other items -0." in text
    assert "with random vectors of the same spectrum -0." in text
    assert image.startswith("mine: image is not shown to be used: removed -0.")
    assert audio == (
        "mine: audio contributes nothing: no score changes without it or with other vectors."
    )


def row_of(control: str, low: float | None, high: float | None) -> Any:
    ends = {"value": -0.02, "low": low, "high": high}
    return {"strategy": "s", "modality": "m", "control": control, "auc": ends}


def test_what_is_half_known_is_said() -> None:
    removed = row_of("removed", -0.03, -0.01)
    (alone,) = controls_in_words([removed])
    assert alone == (
        "s: m is used: removed -0.0200 AUC [-0.0300, -0.0100]; it has no table of its own that "
        "other vectors could be in."
    )
    mixed = [removed, row_of("shuffled", -0.03, -0.01), row_of("random", -0.03, 0.01)]
    assert controls_in_words(mixed)[0].startswith("s: m is used by some controls alone: removed")
    unknown = [removed, row_of("shuffled", None, None), row_of("random", -0.03, -0.01)]
    (sentence,) = controls_in_words(unknown)
    assert sentence.endswith(
        "with the vectors of other items -0.0200 AUC, with random vectors of the same spectrum "
        "-0.0200 AUC [-0.0300, -0.0100], without an interval."
    )


BELOW, ACROSS, ZERO, EDGE = (-0.03, -0.01), (-0.03, 0.01), (0.0, 0.0), (-0.03, 0.0)


@pytest.mark.parametrize(
    ("removed", "shuffled", "random", "words"),
    [
        (BELOW, BELOW, BELOW, "is used: "),
        (ACROSS, BELOW, BELOW, "is used: "),  # other vectors decide
        (BELOW, ACROSS, ACROSS, "is not shown to be used: "),
        (BELOW, EDGE, EDGE, "is not shown to be used: "),
        (BELOW, BELOW, EDGE, "is used by some controls alone: "),
        (ZERO, ZERO, ZERO, "contributes nothing: no score changes without it"),
        (ZERO, ZERO, ACROSS, "is not shown to be used: "),
        (EDGE, ZERO, ZERO, "is not shown to be used: "),
        (BELOW, None, None, "is used: "),
        (ACROSS, None, None, "is not shown to be used: "),
        (EDGE, None, None, "is not shown to be used: "),
        (ZERO, None, None, "contributes nothing: no score changes without it"),
    ],
)
def test_what_is_said_follows_from_the_ends(
    removed: Any, shuffled: Any, random: Any, words: str
) -> None:
    ends = {"removed": removed, "shuffled": shuffled, "random": random}
    rows = [row_of(control, *pair) for control, pair in ends.items() if pair]
    (sentence,) = controls_in_words(rows)
    assert sentence.startswith(f"s: m {words}")
    lacks = "it has no table of its own that other vectors could be in" in sentence
    assert lacks == (len(rows) == 1 and removed != ZERO)


@pytest.mark.parametrize(("low", "high"), [(None, 0.01), (-0.01, None), (None, None)])
def test_an_end_that_is_not_known_leaves_no_interval(low: Any, high: Any) -> None:
    (sentence,) = controls_in_words([row_of("removed", low, high)])
    assert sentence == "s: m: removed -0.0200 AUC, without an interval."
