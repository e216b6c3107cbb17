"""A modality hidden at serving time: who loses it, what the model sees, what is written."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from scipy import stats
from sklearn.metrics import roc_auc_score

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness.chosen import chosen_strategies, runs_with_weights
from fusefront.harness.robustness.cold import cold_items, cold_users
from fusefront.harness.robustness.condition import Hidden
from fusefront.harness.robustness.hide import scores, shown_modalities
from fusefront.harness.robustness.study import HidingOptions, measure
from fusefront.harness.robustness.vectors import other_vectors
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.seal import openings
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.harness.training.build import load_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict
from fusefront.harness.training.run import run

RECIPE = {**Training().model_dump(mode="json"), "epochs": 1, "batch_rows": 512}
NAMES = ("early_fusion", "late_fusion")
SHARES = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def study(world: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Two strategies with three seeds and two, trained for an epoch."""
    root: Path = world.path.parents[2]
    cells = [
        Cell(name, "strategy", RunSpec(world.name, world.fingerprint, name, {}, RECIPE, seed))
        for name in NAMES
        for seed in ((0, 1, 2) if name == "early_fusion" else (0, 1))
    ]
    for cell in cells:
        run(cell, root, world, load_parts([]))
    folder = root / "studies" / "hidden"
    shutil.rmtree(folder, ignore_errors=True)  # the module may be set up twice on one worker
    folder.mkdir(parents=True)
    spec = {
        "name": "hidden",
        "dataset": {"synthetic": "tour"},
        "strategies": {name: {"baseline": name} for name in NAMES},
        "baseline": "late_fusion",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(spec))
    matrix = {
        "format": 1,
        "dataset": world.name,
        "fingerprint": world.fingerprint,
        "store": world.path.relative_to(root).as_posix(),
        "cells": [cell.to_json() for cell in cells],
    }
    (folder / "matrix.json").write_text(json.dumps(matrix))
    return find_study("hidden", root)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What is said while it is measured."""
    return []


@pytest.fixture(scope="module")
def curves(study: StudyFolder, lines: list[str]) -> list[dict]:
    return measure(
        study, HidingOptions(shares=(1.0, 0.5)), lines.append
    )  # 0 comes by itself, in order


def test_shares_are_nested_and_touch_one_modality_alone(world: PreparedDataset) -> None:
    half, most = (shown_modalities(world, Hidden("image", share)) for share in (0.5, 0.8))
    column = list(world.manifest.schema_.modalities).index("image")
    assert half[:, column].mean() == pytest.approx(0.5, abs=0.05)
    assert (most <= half).all()
    others = np.arange(half.shape[1]) != column
    assert half[:, others].all()


def test_hidden_for_all_items_is_what_a_model_scores_without_the_vectors(
    study: StudyFolder, world: PreparedDataset
) -> None:
    entry, parts = study.completed()[0], load_parts([])
    model = load_model(entry.path, world, parts)
    by_condition = dict(scores(model, world, (Hidden("text", 0.0), Hidden("text", 1.0))))
    items = world.manifest.schema_.items
    whole = predict(model, encode_table(model, items), world, "test")
    np.testing.assert_array_equal(by_condition[Hidden("text", 0.0)], whole)
    blind = load_model(entry.path, world, parts)
    column = list(world.manifest.schema_.modalities).index("text")
    with torch.no_grad():
        blind.slots.present[:, column] = False
    expected = predict(blind, encode_table(blind, items), world, "test")
    np.testing.assert_allclose(by_condition[Hidden("text", 1.0)], expected, atol=1e-6)
    assert not np.allclose(expected, whole)


def test_cold_items_are_scored_as_if_train_had_never_shown_them(
    study: StudyFolder, world: PreparedDataset
) -> None:
    entry, parts = study.completed()[0], load_parts([])
    model = load_model(entry.path, world, parts)
    hidden = Hidden("", 0.5, "cold_items")
    by_condition = dict(scores(model, world, (Hidden("", 0.0), hidden)))
    cold = cold_items(world, 0.5)
    assert (cold <= cold_items(world, 0.8)).all()
    assert cold.float().mean() == pytest.approx(0.5, abs=0.05)
    blind = load_model(entry.path, world, parts)
    with torch.no_grad():
        blind.slots.in_train[cold] = False
    items = world.manifest.schema_.items
    expected = predict(blind, encode_table(blind, items), world, "test")
    np.testing.assert_allclose(by_condition[hidden], expected, atol=1e-6)
    whole = by_condition[Hidden("", 0.0)]
    assert not np.allclose(expected, whole)
    again = predict(model, encode_table(model, items), world, "test")
    np.testing.assert_array_equal(again, whole)  # the model has its ids back


@pytest.mark.parametrize("seed", [0, 7])
def test_cold_items_and_users_are_drawn_one_by_one(world: PreparedDataset, seed: int) -> None:
    """A uniform draw below the share; a share that is a draw itself takes that one not."""
    draw = np.random.default_rng([seed, 4]).random(world.manifest.schema_.items + 1)
    split = world.split("test")
    users, place = np.unique(np.asarray(split.group), return_inverse=True)
    of_user = np.random.default_rng([seed, 5]).random(len(users))
    rows = np.diff(np.asarray(split.row_start))
    for share in (0.3, draw[7]):
        assert cold_items(world, float(share), seed).tolist() == [bool(v < share) for v in draw]
    for share in (0.3, of_user[1]):
        expected = [
            bool(of_user[u] < share) for u, n in zip(place, rows, strict=True) for _ in range(n)
        ]
        assert cold_users(world, float(share), seed).tolist() == expected
    if not seed:
        assert torch.equal(cold_items(world, 0.3), cold_items(world, 0.3, 0))
        np.testing.assert_array_equal(cold_users(world, 0.3), cold_users(world, 0.3, 0))


def test_cold_users_have_no_history_and_the_others_keep_theirs(
    study: StudyFolder, world: PreparedDataset, tmp_path: Path
) -> None:
    """By a store on disk whose histories are empty."""
    entry, parts = study.completed()[0], load_parts([])
    model = load_model(entry.path, world, parts)
    kinds = tuple(Hidden("", share, "cold_users") for share in (0.4, 0.8, 1.0))
    some, most, every = (logits for _, logits in scores(model, world, kinds))
    bare = tmp_path / "bare"
    shutil.copytree(world.path, bare)
    (path,) = bare.glob("test/**/history_length.npy")
    np.load(path, mmap_mode="r+")[:] = 0
    codes = encode_table(model, world.manifest.schema_.items)
    whole = predict(model, codes, world, "test")
    expected = predict(model, codes, PreparedDataset.open(bare), "test")
    np.testing.assert_allclose(every, expected, atol=1e-6)
    assert not np.allclose(every, whole, atol=1e-3)
    split = world.split("test")
    user = np.repeat(np.asarray(split.group), np.diff(np.asarray(split.row_start)))
    cold = cold_users(world, 0.4)
    np.testing.assert_array_equal(some, np.where(cold, every, whole))
    for key in np.unique(user):
        assert len(set(cold[user == key].tolist())) == 1
    share = np.mean([cold[user == key].all() for key in np.unique(user)])
    assert share == pytest.approx(0.4, abs=0.15)
    assert (cold <= cold_users(world, 0.8)).all()
    np.testing.assert_array_equal(most, np.where(cold_users(world, 0.8), every, whole))


def test_a_second_file_is_read_by_the_models_that_were_trained_on_the_first(
    study: StudyFolder, world: PreparedDataset, tmp_path: Path
) -> None:
    """Its vectors for all items: as if the store had held them when codes were made."""
    items = world.manifest.schema_.items
    own = np.array(world.vectors("text"), np.float32)
    other = np.roll(own, 1, axis=1) * 1.5
    keys = world.item_keys().sort("row")["key"]
    path = tmp_path / "old.parquet"
    pl.DataFrame({"sku": keys, "embedding": other[1:].tolist()}).sample(
        fraction=1.0, shuffle=True, seed=1
    ).write_parquet(path)
    options = HidingOptions(("early_fusion",), (1.0,), (), ("other",), {"text": path})
    curves = measure(study, options, lambda _: None)
    assert [(c["strategy"], c["modality"], c["kind"]) for c in curves] == [
        (name, "text", "other") for name in NAMES
    ]
    parts, label, values = load_parts([]), np.asarray(world.split("test").label), {}
    for name in NAMES:
        auc = []
        for entry in (e for e in study.completed() if e.strategy == name):
            model = load_model(entry.path, world, parts)
            with other_vectors(model, world, "text", other):
                logits = predict(model, encode_table(model, items), world, "test")
            auc.append(roc_auc_score(label, logits))
        values[name] = float(np.mean(auc))
    lead = curves[0]["lead"][-1]
    assert lead["value"] == pytest.approx(values["early_fusion"] - values["late_fusion"], abs=1e-9)
    assert lead["low"] < lead["value"] < lead["high"]


def test_gains_are_differences_of_the_auc_that_scikit_learn_finds(
    study: StudyFolder, world: PreparedDataset, curves: list[dict]
) -> None:
    label, parts = np.asarray(world.split("test").label), load_parts([])

    def auc(name: str, hidden: Hidden) -> float:
        runs = [entry for entry in study.completed() if entry.strategy == name]
        by_run = [
            dict(scores(load_model(entry.path, world, parts), world, (hidden,)))[hidden]
            for entry in runs
        ]
        return float(np.mean([roc_auc_score(label, logits) for logits in by_run]))

    today = auc("late_fusion", Hidden("audio", 0.0))
    for curve in (c for c in curves if c["modality"] == "audio"):
        own = auc(curve["strategy"], Hidden("audio", 1.0))
        assert curve["gain"][-1]["value"] == pytest.approx(own - today, abs=1e-9)
    lead = next(c for c in curves if c["strategy"] == "early_fusion" and c["modality"] == "audio")
    both = [auc(name, Hidden("audio", 1.0)) for name in NAMES]
    assert lead["lead"][-1]["value"] == pytest.approx(both[0] - both[1], abs=1e-9)


def test_the_reference_starts_at_nothing_and_every_other_point_has_its_interval(
    study: StudyFolder, curves: list[dict]
) -> None:
    own = [c for c in curves if c["strategy"] == "late_fusion"]
    assert [c["gain"][0]["value"] for c in own] == [0.0] * len(own)
    for curve in curves:
        for point in curve["gain"][1:]:
            assert point["low"] < point["value"] < point["high"]
    written = json.loads((study.path / "robustness.json").read_text())
    assert (written["format"], written["reference"]) == (1, "late_fusion")
    ids = {name: [e.run_id for e in study.completed() if e.strategy == name] for name in NAMES}
    assert written["runs"] == ids
    assert written["curves"] == curves
    assert [curve["shares"] for curve in curves] == [list(SHARES)] * 6
    assert len(written["curves"]) == len(NAMES) * 3
    assert {look.purpose for look in openings(study.path)} == {"robustness"}


def test_the_report_reads_what_was_written(study: StudyFolder, curves: list[dict]) -> None:
    from fusefront.harness.dossier.sections import missing

    section = missing(study)
    assert section is not None
    assert [c.shares for c in section.curves] == [SHARES] * len(curves)
    assert section.curves[0].lead[-1].value == curves[0]["lead"][-1]["value"]


def test_what_cannot_be_hidden_is_refused_in_a_sentence(study: StudyFolder) -> None:
    with pytest.raises(
        UsageError, match=r"got share 1\.5, expected shares of the items from 0 to 1"
    ):
        measure(study, HidingOptions(shares=(1.5,)), lambda _: None)
    with pytest.raises(NothingToDoError, match="no completed run of 'nobody' with its weights"):
        measure(study, HidingOptions(("nobody",)), lambda _: None)


def test_every_run_is_said_with_its_conditions(curves: list[dict], lines: list[str]) -> None:
    """Two shares of three modalities, and nothing hidden once for all."""
    runs = [("early_fusion", 0), ("early_fusion", 1), ("early_fusion", 2)]
    runs += [("late_fusion", 0), ("late_fusion", 1)]
    assert lines == [f"{name}, seed {seed}: 7 conditions" for name, seed in runs]
    order = [(curve["strategy"], curve["modality"]) for curve in curves]
    assert order == [(name, modality) for name in NAMES for modality in ("text", "image", "audio")]


@pytest.mark.parametrize("column", [0, 2])
def test_who_loses_a_modality_is_drawn_item_by_item(world: PreparedDataset, column: int) -> None:
    name = list(world.manifest.schema_.modalities)[column]
    for seed in (0, 7):
        keep = shown_modalities(world, Hidden(name, 0.3), seed)
        draw = np.random.default_rng([seed, column]).random(world.manifest.schema_.items + 1)
        assert keep[:, column].tolist() == [bool(value >= 0.3) for value in draw]
        assert np.delete(keep, column, 1).all()
    np.testing.assert_array_equal(
        shown_modalities(world, Hidden(name, 0.3)), shown_modalities(world, Hidden(name, 0.3), 0)
    )


def by_request(store: PreparedDataset, logits: np.ndarray) -> tuple[float, np.ndarray]:
    """AUC and what leaving each request out takes off, by the double loop over pairs of rows."""
    split = store.split("test")
    label, s = np.asarray(split.label), logits.astype(np.float64)
    wins = (s[:, None] > s[None, :]) + 0.5 * (s[:, None] == s[None, :])
    clicked, other = label == 1, label == 0
    auc = wins[np.ix_(clicked, other)].mean()
    value = np.where(clicked, wins[:, other].mean(1), 1 - wins[:, clicked].mean(1))
    rows = (value - auc) / np.where(clicked, clicked.sum(), other.sum())
    start = np.asarray(split.row_start)
    changes = []
    for first, last in pairwise(start):
        places = np.arange(len(label))
        inside = (places >= first) & (places < last)
        a, b = clicked[inside].sum() / clicked.sum(), other[inside].sum() / other.sum()
        left = (1 - a) * (1 - b)
        own = wins[np.ix_(inside & clicked, inside & other)]
        within = a * b * (own.mean() - auc) if a * b > 1e-4 else 0.0
        changes.append((rows[inside].sum() - within) / left)
    count = len(changes)
    return float(auc), (count - 1) / count * np.array(changes)


def test_the_interval_of_today_is_of_its_own_trained_models(
    study: StudyFolder, world: PreparedDataset, curves: list[dict]
) -> None:
    """Each model with text hidden against itself: seeds differ in how much they lose."""
    parts, change, influence = load_parts([]), [], []
    for entry in study.completed():
        if entry.strategy == "late_fusion":
            model = load_model(entry.path, world, parts)
            pairs = scores(model, world, (Hidden("text", 0.0), Hidden("text", 1.0)))
            (whole, before), (hidden, after) = (by_request(world, part) for _, part in pairs)
            change.append(hidden - whole)
            influence.append(after - before)
    requests, (first, second) = len(influence[0]), influence
    scale = requests / (requests - 1)
    rows = max(scale * float(first @ second), 0.0)  # what two seeds have in common
    trained = scale * float(((first + second) / 2) @ ((first + second) / 2))
    seeds = float(np.var(change, ddof=1)) / 2
    total = max(rows + seeds, trained)
    label = world.split("test").label
    entries = np.add.reduceat(label, np.asarray(world.split("test").row_start)[:-1])
    mixed = min((entries > 0).sum(), (entries < np.diff(world.split("test").row_start)).sum())
    sizes = np.diff(world.split("test").row_start)
    share = (entries / entries.sum() + (sizes - entries) / (sizes - entries).sum()) / 2
    effective = min(mixed, 1 / (share**2).sum())
    df = total**2 / (rows**2 / (effective - 1) + seeds**2)
    half = stats.t.ppf(0.975, df) * np.sqrt(total)
    (curve,) = (c for c in curves if (c["strategy"], c["modality"]) == ("late_fusion", "text"))
    point = curve["gain"][-1]
    assert point["value"] == pytest.approx(np.mean(change), abs=1e-9)
    assert point["high"] - point["value"] == pytest.approx(half, rel=1e-4)
    assert point["value"] - point["low"] == pytest.approx(half, rel=1e-4)
    assert curve["gain"][0] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert curve["lead"] == [{"value": 0.0, "low": 0.0, "high": 0.0}] * 3


def test_the_lead_is_under_the_same_loss_and_the_gain_against_the_whole(
    study: StudyFolder, curves: list[dict]
) -> None:
    other = {c["modality"]: c for c in curves if c["strategy"] == "early_fusion"}
    today = {c["modality"]: c for c in curves if c["strategy"] == "late_fusion"}
    for modality, curve in other.items():
        assert curve["gain"][0] == curve["lead"][0]
        for own, lead, lost in zip(
            curve["gain"], curve["lead"], today[modality]["gain"], strict=True
        ):
            assert own["value"] - lead["value"] == pytest.approx(lost["value"], abs=1e-12)
        assert curve["lead"][2]["low"] < curve["lead"][2]["value"] < curve["lead"][2]["high"]


def test_few_clusters_have_values_and_no_ends(ragged: PreparedDataset) -> None:
    """Nine users are too few for an interval: the ends are none, and so they are written."""
    study = recorded(ragged, {"early_fusion": (0, 1), "late_fusion": (0, 1)}, train=True)
    for curve in measure(study, HidingOptions(shares=(0.0, 1.0)), lambda _: None):
        ends = [curve["gain"][1]] + [curve["lead"][0]] * (curve["strategy"] == "early_fusion")
        for point in ends:
            assert point["value"] != 0.0
            assert (point["low"], point["high"]) == (None, None)


def recorded(
    store: PreparedDataset,
    seeds: dict[str, tuple[int, ...]],
    *,
    auc: dict[str, tuple[float, ...]] | None = None,
    controls: tuple[str, ...] = (),
    train: bool = False,
) -> StudyFolder:
    """A study whose runs are trained, or have a summary and a file of weights alone."""
    name = "few" if train else "records"
    root = store.path.parents[2] / name
    shutil.rmtree(root, ignore_errors=True)
    cells = [
        Cell(
            strategy,
            "control" if strategy in controls else "strategy",
            RunSpec(
                store.name, store.fingerprint, strategy, {}, {**RECIPE, "batch_rows": 128}, seed
            ),
        )
        for strategy, listed in seeds.items()
        for seed in listed
    ]
    for cell in cells:
        if train:
            run(cell, root, store, load_parts([]))
            continue
        path = root / "runs" / store.name / cell.strategy / cell.spec.run_id
        (path / "model").mkdir(parents=True)
        (path / "model" / "weights.safetensors").touch()
        value = (auc or {})[cell.strategy][seeds[cell.strategy].index(cell.seed)]
        summary = {"run_id": cell.spec.run_id, "valid_auc": value}
        (path / "summary.json").write_text(json.dumps(summary))
    folder = root / "studies" / name
    folder.mkdir(parents=True)
    strategies = {strategy: {"baseline": strategy} for strategy in seeds}
    spec = {"name": name, "dataset": "d.yaml", "strategies": strategies, "baseline": "late_fusion"}
    (folder / "study.yaml").write_text(yaml.safe_dump(spec))
    matrix = {
        "dataset": store.name,
        "fingerprint": store.fingerprint,
        "store": f"../{store.path.relative_to(root.parent).as_posix()}",
        "cells": [cell.to_json() for cell in cells],
    }
    (folder / "matrix.json").write_text(json.dumps(matrix))
    return find_study(name, root)


@pytest.fixture
def records(ragged: PreparedDataset) -> StudyFolder:
    """`b` was best at its first seed, `c` at its second; a control beats all."""
    seeds = dict.fromkeys(("a", "b", "late_fusion", "c", "shuffled"), (0, 1))
    auc = {"a": (0.6, 0.6), "b": (0.7, 0.5), "late_fusion": (0.9, 0.9)}
    auc |= {"c": (0.65, 0.99), "shuffled": (1.0, 1.0)}
    return recorded(ragged, seeds, auc=auc, controls=("shuffled",))


def test_who_is_measured_is_asked_for_decided_or_best_on_validation(records: StudyFolder) -> None:
    assert chosen_strategies(records, ()) == ["b", "late_fusion"]
    assert chosen_strategies(records, ("c", "late_fusion", "a", "c")) == ["c", "a", "late_fusion"]
    path = records.path / "decision.json"
    for decision, expected in (
        ({"choice": "a", "subject": "c"}, ["a", "late_fusion"]),
        ({"choice": None, "subject": "c"}, ["c", "late_fusion"]),
        ({"choice": "late_fusion", "subject": "c"}, ["b", "late_fusion"]),
        ({}, ["b", "late_fusion"]),
    ):
        path.write_text(json.dumps({"format": 1, "decision": decision}))
        assert chosen_strategies(records, ()) == expected
    assert chosen_strategies(records, ("c",)) == ["c", "late_fusion"]


def test_runs_are_those_of_the_strategy_that_have_weights(records: StudyFolder) -> None:
    runs = runs_with_weights(records, "c", print)
    assert [(entry.strategy, entry.seed) for entry in runs] == [("c", 0), ("c", 1)]
    (runs[0].path / "model" / "weights.safetensors").unlink()
    assert [entry.seed for entry in runs_with_weights(records, "c", print)] == [1]


@pytest.mark.parametrize(("share", "shown"), [(-0.01, "-0.01"), (1.0001, "1.0001")])
def test_shares_end_at_nothing_and_all(share: float, shown: str) -> None:
    HidingOptions(shares=(0.0, 1.0)).check()
    with pytest.raises(UsageError, match=f"got share {shown}, expected"):
        HidingOptions(shares=(0.5, share)).check()
