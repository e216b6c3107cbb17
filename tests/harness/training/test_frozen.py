"""Compressions that several trainings share: fitted once, mapped, equal to unshared ones."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Baseline, Parts
from fusefront.baselines.frozen import Fit, FitVectors, Frozen, frozen_tables, kept_by
from fusefront.datasets.store import PreparedDataset
from fusefront.fusion_variants.compressors.pca import Pca
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.training import frozen as module
from fusefront.harness.training.build import build_model, load_model
from fusefront.harness.training.frozen import FrozenTables

PCA = {"compressor": {"name": "pca", "k": 4}}
CODES = {"compressor": {"name": "rq", "codes": 8}}
JOINT = {"compressor": {"name": "pca_joint", "k": 4}}


@pytest.fixture
def build(
    tmp_path: Path, ragged: PreparedDataset, parts: Parts
) -> Callable[[RunSpec], tuple[Baseline, list[tuple[str, ...]]]]:
    """Build a model with the compressions of one folder: the model, and what was fitted for it."""

    def built(spec: RunSpec) -> tuple[Baseline, list[tuple[str, ...]]]:
        tables, fitted = FrozenTables(tmp_path, spec), []

        def keeper(compressor: nn.Module, source: FitVectors, seed: int | None, fit: Fit) -> Frozen:
            def counted() -> Frozen:
                fitted.append(source.modalities)
                return fit()

            return tables(compressor, source, seed, counted)

        torch.manual_seed(spec.seed)
        with kept_by(keeper):
            return build_model(spec, ragged, parts), fitted

    return built


def unshared(spec: RunSpec, store: PreparedDataset, parts: Parts) -> dict[str, Tensor]:
    torch.manual_seed(spec.seed)
    return build_model(spec, store, parts).state_dict()


@pytest.mark.parametrize("settings", [PCA, CODES, JOINT, {"compressor": "bottleneck_pretrained"}])
def test_shared_compressions_are_those_of_a_model_by_itself(
    settings: dict[str, object], build: Any, make_cell: Any, ragged: PreparedDataset, parts: Parts
) -> None:
    spec = make_cell("early_fusion", settings, 3).spec
    alone = unshared(spec, ragged, parts)
    for fits in (True, False):  # the first fits them, the second reads them
        model, fitted = build(spec)
        assert bool(fitted) == fits
        state = model.state_dict()
        assert state.keys() == alone.keys()
        for name, value in state.items():
            assert torch.equal(value, alone[name]), name
        assert model.report() == build_model(spec, ragged, parts).report()


@pytest.mark.parametrize(("settings", "anew"), [(PCA, []), (CODES, [("text",), ("image",)])])
def test_another_seed_shares_what_its_fit_does_not_use(
    settings: dict[str, object], anew: list[object], build: Any, make_cell: Any
) -> None:
    _, fitted = build(make_cell("early_fusion", settings, 3).spec)
    assert fitted == [("text",), ("image",)]
    other, fitted = build(make_cell("early_fusion", settings, 4).spec)
    assert fitted == anew
    first, _ = build(make_cell("early_fusion", settings, 3).spec)
    ids = {name for name in other.state_dict() if name.endswith("ids.weight")}
    assert ids  # and the weights are drawn by each seed
    assert not any(torch.equal(first.state_dict()[n], other.state_dict()[n]) for n in ids)


def test_other_strategies_share_what_they_compress_alike(build: Any, make_cell: Any) -> None:
    build(make_cell("early_fusion", PCA, 3).spec)
    assert build(make_cell("late_fusion", PCA, 3).spec)[1] == []
    assert build(make_cell("unimodal", {**PCA, "modality": "text"}, 3).spec)[1] == []
    wider = {"compressor": {"name": "pca", "k": 5}}
    assert build(make_cell("early_fusion", wider, 3).spec)[1] == [("text",), ("image",)]
    assert build(make_cell("early_fusion", JOINT, 3).spec)[1] == [("text", "image")]


def test_codes_that_start_at_the_models_own_weights_are_not_shared(
    tmp_path: Path, build: Any, make_cell: Any, ragged: PreparedDataset, parts: Parts
) -> None:
    settings = {"compressor": {"name": "vq", "k": 4, "parts": 2, "codes": 8}}
    spec = make_cell("early_fusion", settings, 3).spec
    model, _ = build(spec)
    assert not list(tmp_path.rglob("*.safetensors"))
    alone = unshared(spec, ragged, parts)
    assert all(torch.equal(value, alone[name]) for name, value in model.state_dict().items())


def test_what_was_done_to_a_modality_changes_its_table_alone(build: Any, make_cell: Any) -> None:
    def spec(seed: int = 3, **changed: tuple[str, ...]) -> RunSpec:
        of_cell: RunSpec = make_cell("early_fusion", PCA, seed, **changed).spec
        return of_cell

    build(spec())
    assert build(spec(shuffle=("image",)))[1] == [("image",)]
    assert build(spec(shuffle=("image",)))[1] == []
    assert build(spec(4, shuffle=("image",)))[1] == [("image",)]  # dealt anew
    assert build(spec(randomize=("text",)))[1] == [("text",)]
    assert build(spec(shuffle=("image",), randomize=("image",)))[1] == [("image",)]


def test_whatever_a_fit_depends_on_has_another_file(
    tmp_path: Path, make_cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_cell("early_fusion", PCA, 3).spec
    source = FitVectors(
        ("text",), {"name": "pca", "k": 4}, lambda: torch.zeros(2, 8), torch.ones(2)
    )

    def key(seed: int | None = None, **changed: Any) -> str:
        return FrozenTables(tmp_path, replace(spec, **changed)).key(Pca(8, k=4), source, seed)

    keys = [key(), key(1), key(2), key(fingerprint="f"), key(threads=2)]
    monkeypatch.setattr(module.torch, "__version__", "0.0")
    keys.append(key())
    monkeypatch.setattr(module, "code_of_fit", lambda _: "another")
    keys.append(key())
    source = source._replace(modalities=("image",))
    keys.append(key())
    source = source._replace(part={"name": "pca", "k": 5})
    keys.append(key())
    assert len({*keys}) == len(keys)
    assert key(baseline="late_fusion", training={}, settings={}) == keys[-1]


def test_a_damaged_file_is_made_again(tmp_path: Path, build: Any, make_cell: Any) -> None:
    spec = make_cell("unimodal", {**PCA, "modality": "text"}, 3).spec
    model, _ = build(spec)
    (path,) = tmp_path.rglob("*.safetensors")
    assert path.parent == tmp_path / "frozen" / spec.dataset / spec.fingerprint
    whole = path.read_bytes()
    flipped = whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]
    for damaged in (whole[:-40], flipped, b"", b"no such format"):
        path.unlink()  # the first model still reads the old file
        path.write_bytes(damaged)
        again, fitted = build(spec)
        assert fitted == [("text",)]
        assert build(spec)[1] == []
        for name, value in again.state_dict().items():
            assert torch.equal(value, model.state_dict()[name])


def test_tables_are_pages_of_files_that_a_training_does_not_write(
    tmp_path: Path, train: Any, ragged: PreparedDataset, parts: Parts, make_cell: Any, build: Any
) -> None:
    spec = make_cell("early_fusion", PCA, 3).spec
    model, _ = build(spec)
    (text, _) = (value for name, value in model.named_buffers() if name.endswith(".frozen"))
    maps = Path("/proc/self/maps")
    if maps.exists():
        of = next(
            line
            for line in maps.read_text().splitlines()
            if int(line.split("-")[0], 16)
            <= text.data_ptr()
            < int(line.split()[0].split("-")[1], 16)
        )
        assert of.endswith(".safetensors")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    record = train(tmp_path, "early_fusion", PCA, 3, epochs=2)
    assert {p: p.read_bytes() for p in (tmp_path / "frozen").rglob("*.safetensors")} == before
    loaded = load_model(record.path, ragged, parts)
    assert torch.equal(dict(loaded.named_buffers())["slots.modalities.0.frozen"], text)


def test_runs_that_share_give_the_numbers_of_a_run_alone(tmp_path: Path, train: Any) -> None:
    train(tmp_path / "both", "late_fusion", PCA, 3, epochs=1)  # fits
    shared = train(tmp_path / "both", "early_fusion", PCA, 3, epochs=2).path
    alone = train(tmp_path / "alone", "early_fusion", PCA, 3, epochs=2).path
    lines = [
        [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        for path in (shared, alone)
    ]
    for line in (*lines[0], *lines[1]):
        del line["seconds"], line["rows_per_second"]
    assert lines[0] == lines[1]
    weights = [(path / "model" / "weights.safetensors").read_bytes() for path in (shared, alone)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("baseline", "settings", "tables"),
    [
        ("early_fusion", PCA, ["slots.modalities.0.frozen", "slots.modalities.1.frozen"]),
        ("din", {}, ["tokens.vector_0", "tokens.vector_1"]),
        ("deepfm", {}, ["tokens.vector_0", "tokens.vector_1"]),
        ("id_only", {}, []),
    ],
)
def test_the_tables_that_no_training_changes_are_named(
    baseline: str,
    settings: dict[str, object],
    tables: list[str],
    make_cell: Any,
    ragged: PreparedDataset,
    parts: Parts,
) -> None:
    model = build_model(make_cell(baseline, settings).spec, ragged, parts)
    assert sorted(frozen_tables(model)) == tables
    assert {*tables} <= model.state_dict().keys()
