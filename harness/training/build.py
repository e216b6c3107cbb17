"""Builds a model from its spec, and reads it back from a run folder; weights are safetensors, never
pickle."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from fusefront.baselines.contract import Baseline, Parts
from fusefront.baselines.frozen import unfitted
from fusefront.datasets.durable import replacing
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import item_table, schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.cure import cure
from fusefront.harness.runs.files import digest, read_json, write_json
from fusefront.harness.runs.hashes import MARK, SUMMARY, WEIGHTS, check_format, checked
from fusefront.harness.runs.records import RunSummary, SpecRecord, read_record
from fusefront.harness.runs.spec import RunSpec


def build_model(spec: RunSpec, store: PreparedDataset, parts: Parts) -> Baseline:
    """The untrained model of a spec: frozen parts are fitted, the other weights are drawn by its
    seed.

    Raises:
        UsageError: the baseline is unknown, or it has no such settings.
    """
    if spec.baseline not in parts.baselines:
        known = ", ".join(parts.baselines)
        raise UsageError(f"baseline {spec.baseline!r} is not known; known: {known}")
    items = item_table(store, shuffle=spec.shuffle, randomize=spec.randomize, seed=spec.seed)
    try:
        return parts.baselines[spec.baseline].build(
            schema_of(store), items, spec.settings, parts, spec.seed
        )
    except ValueError as error:
        raise UsageError(f"{spec.baseline}: {error}") from error


def save_model(model: Baseline, spec: RunSpec, folder: Path) -> None:
    """Write model/weights.safetensors, frozen tables included, and model/spec.json into
    `folder`."""
    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
    }
    with replacing(folder / "weights.safetensors") as written:
        save_file(state, written, metadata=MARK)
    write_json(folder / "spec.json", spec.to_json())


def read_spec(run: Path) -> RunSpec:
    """The spec that a run folder recorded."""
    return spec_of(read_record(run / "model" / "spec.json", SpecRecord))


def spec_of(raw: SpecRecord) -> RunSpec:
    """The spec of a record; keys that older records lack get the value they implied then."""
    return RunSpec(
        raw["dataset"],
        raw["fingerprint"],
        raw["baseline"],
        raw["settings"],
        raw["training"],
        raw["seed"],
        raw.get("threads", 1),
        tuple(raw.get("shuffle", ())),
        raw["code"],
        raw.get("plugins", ""),
        tuple(raw.get("randomize", ())),
    )


def load_model(run: Path, store: PreparedDataset, parts: Parts) -> Baseline:
    """The trained model of a run folder, in eval mode.

    Raises:
        DataContractError: weights or spec are not those of the run's record.
    """
    path, record = run / "model" / "spec.json", run / SUMMARY
    written = digest(read_json(path))
    if record.exists() and (recorded := read_record(record, RunSummary)["run_id"]) != written:
        raise DataContractError(
            f"{path}: describes run {written}, the record is of run {recorded}; {cure(path)}"
        )
    spec = read_spec(run)
    with unfitted():  # the fit of frozen parts is in the weights
        model = build_model(spec, store, parts)
    weights = checked(run, WEIGHTS)
    try:
        with safe_open(weights, "pt") as file:
            check_format(weights, file.metadata() or {})
        model.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataContractError(f"{weights}: unreadable ({reason}); {cure(weights)}") from None
    return model.eval()
