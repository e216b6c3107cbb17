"""Models on the meta device, which have shapes but no numbers, to count parameters and MACs."""

from collections.abc import Mapping

import torch

from fusefront.baselines.contract import Baseline, Field, ItemTable, Parts, Schema
from fusefront.harness.testing.scene import make_items

FEW = 200  # items, enough to build any model
# the demo's world: three modalities, one request field, one candidate field
SCHEMA = Schema(
    5_000,
    {"text": 64, "image": 64, "audio": 32},
    (),
    0,
    (Field("g", 5),),
    0,
    (Field("v", 9),),
    0,
    16,
)


def shapes_of(
    kind: type[Baseline],
    parts: Parts,
    settings: Mapping[str, object] | None = None,
    schema: Schema = SCHEMA,
) -> Baseline:
    """The model in eval mode on the meta device: no weight is drawn and nothing is fitted.

    Call it under `torch.device("meta")`, so that intermediate tensors have no numbers either.
    """
    with torch.device("meta"):
        return kind.build(schema, _catalogue(schema), settings or {}, parts, 0).eval()


def filled(
    kind: type[Baseline],
    parts: Parts,
    settings: Mapping[str, object] | None = None,
    schema: Schema = SCHEMA,
) -> Baseline:
    """The model in eval mode on random items, for models that cannot be built without numbers."""
    items = make_items(schema, torch.Generator().manual_seed(0))
    return kind.build(schema, items, settings or {}, parts, 0).eval()


def built_of(
    kind: type[Baseline], parts: Parts, settings: Mapping[str, object], schema: Schema
) -> Baseline:
    """The model, built to see its modules: on the meta device if possible, else on a few random
    items."""
    try:
        return shapes_of(kind, parts, settings, schema)
    except (NotImplementedError, RuntimeError):  # a plug-in may need numbers
        return filled(kind, parts, settings, schema._replace(items=min(schema.items, FEW)))


def parameters_of(model: Baseline) -> dict[str, int]:
    """The number of trained parameters, by role."""
    roles = model.parameter_roles()
    return {role: sum(p.numel() for p in parameters) for role, parameters in roles.items()}


def _catalogue(schema: Schema) -> ItemTable:
    n = schema.items + 1
    columns = sum(field.columns for field in schema.item_fields)
    return ItemTable(
        {name: torch.empty(n, width) for name, width in schema.modalities.items()},
        torch.empty(n, len(schema.modalities), dtype=torch.bool),
        torch.empty(n, columns, dtype=torch.long),
        torch.empty(n, schema.item_numbers),
        torch.empty(n, dtype=torch.bool),
        torch.empty(n, dtype=torch.long),
        torch.empty(n, dtype=torch.long),
    )
