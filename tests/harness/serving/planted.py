"""A small planted data set's schema and items, and models on them."""

import torch

from fusefront.baselines.contract import Baseline, Field, ItemCodes, ItemTable, Parts, Schema
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)


def planted(
    items: int = 300, history: int = 64, *, context: bool = True
) -> tuple[Schema, ItemTable]:
    """Two modalities, one of them often absent; cold items; a field and a number an item."""
    g = torch.Generator().manual_seed(0)
    widths = {"text": 24, "image": 16}
    present = torch.rand(items + 1, 2, generator=g) < torch.tensor([1.0, 0.8])
    present[0] = False
    vectors = {
        name: torch.randn(items + 1, width, generator=g) * present[:, m : m + 1]
        for m, (name, width) in enumerate(widths.items())
    }
    fields = torch.randint(0, 9, (items + 1, 1), generator=g)
    fields[0] = 0
    observed = torch.rand(items + 1, generator=g) < 0.9
    observed[0] = False
    shown = torch.randint(0, 50, (items + 1,), generator=g)
    numbers = torch.randn(items + 1, 1, generator=g)
    table = ItemTable(vectors, present, fields, numbers, observed, shown, shown // 3)
    schema = Schema(
        items,
        widths,
        (Field("genre", 9),),
        1,
        (Field("device", 5), Field("tags", 7, 3)) if context else (),
        1 if context else 0,
        (Field("position", 10),) if context else (),
        2 if context else 0,
        history,
    )
    return schema, table


def trained(
    name: str,
    settings: dict[str, object] | None = None,
    *,
    context: bool = True,
    items: int = 300,
    kinds: int = 0,
) -> tuple[Baseline, ItemCodes, Schema]:
    """A model whose weights are all drawn anew, so that nothing in it is zero, and its codes."""
    schema, table = planted(items, context=context)
    schema = schema._replace(history_kinds=kinds)
    model = BASELINES[name].build(schema, table, settings or {}, PARTS, 0).eval()
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            # wider layers get smaller numbers, so that logits keep a size that training could give
            wide = max(1.0, parameter.shape[-1] / 16) ** 0.5 if parameter.dim() > 1 else 1.0
            parameter += 0.2 / wide * torch.randn(parameter.shape, generator=g)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(generator=g)
                module.running_var.uniform_(0.5, 2.0, generator=g)
        codes = model.encode_items(torch.arange(schema.items + 1))
    return model, codes, schema
