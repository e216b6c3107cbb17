"""Models without their numbers: shapes on the meta device, to count parameters and products of."""

from collections.abc import Mapping

import torch

from fusefront.baselines.contract import Baseline, Field, ItemTable, Parts, Schema
from fusefront.harness.testing.scene import make_items

FEW = 200  # items that are enough to build any model on
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

    Run it under `torch.device("meta")`, so that what it makes on the way has no numbers either.
    """
    with torch.device("meta"):
        return kind.build(schema, _catalogue(schema), settings or {}, parts, 0).eval()


def filled(
    kind: type[Baseline],
    parts: Parts,
    settings: Mapping[str, object] | None = None,
    schema: Schema = SCHEMA,
) -> Baseline:
    """The model in eval mode on random items, for one that cannot be built without numbers."""
    items = make_items(schema, torch.Generator().manual_seed(0))
    return kind.build(schema, items, settings or {}, parts, 0).eval()


def built_of(
    kind: type[Baseline], parts: Parts, settings: Mapping[str, object], schema: Schema
) -> Baseline:
    """The model to see which modules it is built of: without numbers, or on a few random items."""
    try:
        return shapes_of(kind, parts, settings, schema)
    except (NotImplementedError, RuntimeError):  # a person's part may look at numbers
        return filled(kind, parts, settings, schema._replace(items=min(schema.items, FEW)))


def parameters_of(model: Baseline) -> dict[str, int]:
    """Numbers to train, by role."""
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
