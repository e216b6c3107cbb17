"""The trained model of a bundle, from the bundle alone: spec, weights and the facts of the data.

What a model holds of the items (codes, presence, fields) lies in its weights. So it is built over
items that hold nothing and its state is put in; the export tries that and says where it fails.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from typing_extensions import TypedDict

from fusefront.baselines.contract import Baseline, ItemCodes, ItemTable, Parts, Schema
from fusefront.baselines.frozen import unfitted
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import StoredSchema
from fusefront.harness.data.tables import schema_from
from fusefront.harness.parts.included import FILE as INCLUDE
from fusefront.harness.parts.included import included
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.files import Json, read_json, write_json
from fusefront.harness.runs.records import Record, SpecRecord, read_record
from fusefront.harness.serving.export.online import feed_shape
from fusefront.harness.serving.export.request import FeedShape
from fusefront.harness.training.build import spec_of
from fusefront.harness.training.module import encode_table

FILE = "model.json"


class BuildRecord(Record):
    """model.json of a bundle."""

    spec: SpecRecord
    modalities: list[str]  # in the order of the data: dataset.json has them by name
    reason: str  # why it cannot be built from the bundle; "" = it can


class Rebuilt(TypedDict):
    """A bundle's trained model, or why it cannot be built from the bundle."""

    model: Baseline | None
    reason: str


def write_model(
    folder: Path, run: Path, schema: Schema, codes: ItemCodes, include: Sequence[Path] = ()
) -> None:
    """model.json, with include.json where the run has parts of its own; says whether the model of
    the bundle makes the codes [n + 1] that the run's makes."""
    if (run / INCLUDE).exists():
        shutil.copyfile(run / INCLUDE, folder / INCLUDE)
    record: dict[str, Json] = {
        "format": 1,
        "spec": read_json(run / "model" / "spec.json"),
        "modalities": list(schema.modalities),
        "reason": "",
    }
    write_json(folder / FILE, record)
    try:
        model = open_model(folder, feed_shape(schema), include)[0]["model"]
        same = model is not None and same_codes(codes, encode_table(model, schema.items))
        reason = "" if same else "it holds more of the items than its weights"
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if reason:
        write_json(folder / FILE, record | {"reason": reason})


def built(folder: Path, spec: SpecRecord, schema: Schema, parts: Parts) -> Baseline:
    """The model of a spec over items that hold nothing, with the weights of the bundle.

    Raises:
        ValueError, RuntimeError: the spec or the weights do not fit.
    """
    described = spec_of(spec)
    with unfitted():
        kind = parts.baselines[described.baseline]
        model = kind.build(schema, empty_items(schema), described.settings, parts, described.seed)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    return model.eval()


def open_model(
    folder: Path, shape: FeedShape, include: Sequence[Path] = ()
) -> tuple[Rebuilt, Schema]:
    """The trained model of a verified bundle, and the data it was trained on.

    Raises:
        DataContractError: dataset.json cannot be read.
    """
    path = folder / "dataset.json"
    content = read_json(path)
    if not isinstance(content, dict) or "schema" not in content:
        raise DataContractError(f"{path}: says nothing of 'schema'; export again")
    schema = schema_from(StoredSchema.model_validate(content["schema"]), shape.history_kinds)
    if not (folder / FILE).exists():
        return {"model": None, "reason": "it was exported by an earlier version"}, schema
    record = read_record(folder / FILE, BuildRecord)
    widths = {name: schema.modalities[name] for name in record["modalities"]}
    schema = schema._replace(modalities=widths)
    if record["reason"]:
        return {"model": None, "reason": record["reason"]}, schema
    parts = load_parts(included(folder, include))
    return {"model": built(folder, record["spec"], schema, parts), "reason": ""}, schema


def empty_items(schema: Schema) -> ItemTable:
    """Items of the schema's shape that hold zeros, every modality there."""
    count = schema.items + 1
    real = torch.ones(count, dtype=torch.bool)
    real[0] = False
    columns = sum(field.columns for field in schema.item_fields)
    return ItemTable(
        {name: torch.zeros(count, width) for name, width in schema.modalities.items()},
        real.unsqueeze(-1).expand(count, len(schema.modalities)).clone(),
        torch.zeros(count, columns, dtype=torch.int64),
        torch.zeros(count, schema.item_numbers),
        real,
        torch.zeros(count, dtype=torch.int64),
        torch.zeros(count, dtype=torch.int64),
    )


def same_codes(codes: ItemCodes, others: ItemCodes) -> bool:
    """Whether two models make the same codes [n + 1] of both roles, to the bit."""
    return all(
        torch.equal(own, other)
        for role, theirs in zip(codes, others, strict=True)
        for own, other in zip(role, theirs, strict=True)
    )
