"""A model from its spec, and back from its run folder; weights as safetensors, never pickle."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from fusefront.baselines.contract import Baseline, Parts
from fusefront.baselines.slots import unfitted
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import item_table, schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import read_json, write_json
from fusefront.harness.runs.spec import RunSpec


def build_model(spec: RunSpec, store: PreparedDataset, parts: Parts) -> Baseline:
    """The untrained model of a spec: frozen parts fitted, weights drawn by its seed."""
    if spec.baseline not in parts.baselines:
        known = ", ".join(parts.baselines)
        raise UsageError(f"baseline {spec.baseline!r} is not known; known: {known}")
    items = item_table(store, shuffle=spec.shuffle, seed=spec.seed)
    try:
        return parts.baselines[spec.baseline].build(
            schema_of(store), items, spec.settings, parts, spec.seed
        )
    except ValueError as error:
        raise UsageError(f"{spec.baseline}: {error}") from error


def save_model(model: Baseline, spec: RunSpec, folder: Path) -> None:
    """model/weights.safetensors with the frozen tables, model/spec.json."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
    }
    beside = folder / ".weights.safetensors.tmp"
    save_file(state, beside)
    beside.replace(folder / "weights.safetensors")
    write_json(folder / "spec.json", spec.to_json())


def read_spec(run: Path) -> RunSpec:
    """What a run folder says was trained."""
    raw = read_json(run / "model" / "spec.json")
    return RunSpec(**{**raw, "shuffle": tuple(raw["shuffle"])})


def load_model(run: Path, store: PreparedDataset, parts: Parts) -> Baseline:
    """The trained model of a run folder, in eval mode."""
    spec = read_spec(run)
    with unfitted():  # the fit of frozen parts is in the weights
        model = build_model(spec, store, parts)
    model.load_state_dict(load_file(run / "model" / "weights.safetensors"))
    return model.eval()
