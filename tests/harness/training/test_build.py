"""Models from specs, and back from run folders."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusefront.baselines.contract import Parts
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import item_table
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.training.build import (
    build_model,
    load_model,
    read_spec,
    save_model,
    spec_of,
)


def test_a_baseline_that_is_not_known_is_named_with_those_that_are(
    ragged: PreparedDataset, parts: Parts, make_cell: Any
) -> None:
    with pytest.raises(UsageError, match=r"^baseline 'turnip' is not known; known: .*, turning$"):
        build_model(make_cell("turnip").spec, ragged, parts)


def test_settings_that_are_wrong_name_the_baseline(
    ragged: PreparedDataset, parts: Parts, make_cell: Any
) -> None:
    with pytest.raises(UsageError, match=r"^turning: turning: unknown setting 'best'"):
        build_model(make_cell("turning", {"best": 1.0}).spec, ragged, parts)


def test_weights_and_shuffled_vectors_are_drawn_by_the_seed(
    ragged: PreparedDataset, parts: Parts, make_cell: Any
) -> None:
    settings = {"compressor": "none"}

    def state(seed: int, *shuffle: str) -> dict[str, torch.Tensor]:
        spec = make_cell("early_fusion", settings, seed, shuffle=shuffle).spec
        return build_model(spec, ragged, parts).state_dict()

    plain, again, other = state(3), state(3), state(4)
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)
    dealt = state(3, "image")
    changed = {name for name in plain if not torch.equal(plain[name], dealt[name])}
    assert len(changed) == 1  # the frozen vectors of the images
    (table,) = (dealt[name] for name in changed)
    expected = item_table(ragged, shuffle=("image",), seed=3).vectors["image"]
    torch.testing.assert_close(table.float(), expected, rtol=1e-3, atol=1e-3)


def test_random_vectors_are_drawn_by_the_seed(
    ragged: PreparedDataset, parts: Parts, make_cell: Any
) -> None:
    settings = {"compressor": "none"}

    def state(seed: int, *randomize: str) -> dict[str, torch.Tensor]:
        spec = make_cell("early_fusion", settings, seed, randomize=randomize).spec
        return build_model(spec, ragged, parts).state_dict()

    plain, drawn = state(3), state(3, "image")
    changed = {name for name in plain if not torch.equal(plain[name], drawn[name])}
    assert len(changed) == 1  # the frozen vectors of the images
    (table,) = (drawn[name] for name in changed)
    expected = item_table(ragged, randomize=("image",), seed=3).vectors["image"]
    torch.testing.assert_close(table.float(), expected, rtol=1e-3, atol=1e-3)


def test_runs_without_random_vectors_keep_the_identity_of_older_records(make_cell: Any) -> None:
    plain, drawn = (make_cell(seed=2, randomize=names).spec for names in ((), ("text",)))
    assert "randomize" not in plain.to_json()
    assert drawn.to_json() == {**plain.to_json(), "randomize": ["text"]}
    assert drawn.run_id != plain.run_id
    assert spec_of(drawn.to_json()) == drawn


def test_a_saved_model_comes_back_as_it_was(
    ragged: PreparedDataset, parts: Parts, make_cell: Any, tmp_path: Path
) -> None:
    spec = make_cell("early_fusion", {"compressor.k": 4}, 7, shuffle=("text",)).spec
    model = build_model(spec, ragged, parts)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5)
    for _ in range(2):  # over what is there
        save_model(model, spec, tmp_path / "run" / "model")
    assert sorted(path.name for path in (tmp_path / "run" / "model").iterdir()) == [
        "spec.json",
        "weights.safetensors",
    ]
    stored = load_file(tmp_path / "run" / "model" / "weights.safetensors")
    assert stored.keys() == model.state_dict().keys()
    assert read_spec(tmp_path / "run") == spec
    loaded = load_model(tmp_path / "run", ragged, parts)  # no record beside it: nothing to hold to
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_a_spec_without_what_older_records_lack_is_as_it_was_then(make_cell: Any) -> None:
    full = make_cell(seed=2).spec.to_json()
    assert full["plugins"] == ""
    old = {name: full[name] for name in full if name not in ("threads", "shuffle", "plugins")}
    assert spec_of(old) == RunSpec(**{**old, "threads": 1, "shuffle": (), "plugins": ""})  # type: ignore[arg-type]
    new = {**full, "threads": 3, "shuffle": ["text"], "plugins": "0123"}
    assert spec_of(new).to_json() == new  # type: ignore[arg-type]


def test_a_model_of_another_run_than_the_record_is_refused(
    ragged: PreparedDataset, parts: Parts, train: Any, tmp_path: Path
) -> None:
    record = train(tmp_path, epochs=1)
    path = record.path / "model" / "spec.json"
    spec = json.loads(path.read_text())
    write_json(path, {**spec, "seed": 9})
    with pytest.raises(
        DataContractError, match=f"describes run .{{12}}, .* of run {record.path.name};"
    ):
        load_model(record.path, ragged, parts)
    write_json(path, spec)
    assert load_model(record.path, ragged, parts).name == "turning"


def test_weights_of_a_later_format_are_refused(
    tmp_path: Path, ragged: PreparedDataset, parts: Parts, make_cell: Any
) -> None:
    spec = make_cell("early_fusion").spec
    save_model(build_model(spec, ragged, parts), spec, tmp_path / "model")
    load_model(tmp_path, ragged, parts)
    path = tmp_path / "model" / "weights.safetensors"
    save_file(load_file(path), path, metadata={"fusefront.format": "2"})
    with pytest.raises(DataContractError, match=r"got format '2', this program reads 1"):
        load_model(tmp_path, ragged, parts)
    save_file(load_file(path), path)  # as the first version wrote them
    load_model(tmp_path, ragged, parts)
