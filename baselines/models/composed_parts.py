"""The composed model's placement, operator, pooler and head, from its settings."""

from functools import partial
from typing import cast

import torch
from torch import nn

from fusefront.baselines.contract import Parts, Schema
from fusefront.baselines.models.composed_settings import ComposedSettings, slots_of
from fusefront.baselines.placements.interaction import FIELDS_PER_SLOT, InteractionPlacement
from fusefront.baselines.placements.item import ItemPlacement
from fusefront.baselines.placements.logit import LogitPlacement
from fusefront.baselines.placements.pooled import PooledPlacement
from fusefront.baselines.placements.stream import MakePooler, tokens_out
from fusefront.baselines.settings import find_part, make_part
from fusefront.baselines.slots import fit_width, is_joint


def make_placement(
    made: ComposedSettings, slots: int, context_width: int, parts: Parts
) -> nn.Module:
    """The placement with its operator, poolers and, at `logit`, towers."""
    width, products = made.token_width, made.products
    pooler = make_pooler(made, parts)
    operator = make_operator(made, slots, context_width, parts)
    aware = made.conditioning == "target_aware"
    if made.placement == "item":
        return ItemPlacement(slots, width, operator, pooler, products=products, target_aware=aware)
    if made.placement == "pooled":
        assert pooler is not None
        return PooledPlacement(
            slots, width, operator, pooler, products=products, target_aware=aware
        )
    if made.placement == "interaction":
        return InteractionPlacement(
            slots,
            width,
            operator,
            pooler,
            products=products,
            fields=made.interaction_fields,
            skip=made.skip,
        )
    head = partial(make_part, "head", parts.heads, made.head)
    return LogitPlacement(slots, width, operator, pooler, head, products=products)


def try_parts(name: str, made: ComposedSettings, schema: Schema, parts: Parts) -> None:
    """Build every part for nothing: what they refuse is known before any data is."""
    slots = len(slots_of(made, schema, parts))
    widths = [schema.modalities[modality] for modality in made.modalities]
    if is_joint(parts, made.compressor):
        widths = [sum(widths)] if widths else []
    with torch.random.fork_rng(devices=[]):
        try:
            operator = make_operator(made, slots, 1, parts)
            tokens = tokens_out(operator, slots) if made.placement == "item" else 1
            if (pooler := make_pooler(made, parts)) is not None:
                pooler(tokens * made.token_width)
            make_part("head", parts.heads, made.head, 4)
            for width in widths:
                spec = fit_width(made.compressor, width)
                make_part("compressor", parts.compressors, spec, width)
            if made.alignment is not None:
                make_part("alignment", parts.alignments, made.alignment, made.token_width)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def make_pooler(made: ComposedSettings, parts: Parts) -> MakePooler | None:
    """Width to pooler, or None where the settings name none."""
    if made.pooler is None:
        return None
    return cast(MakePooler, partial(make_part, "pooler", parts.poolers, made.pooler))


def make_operator(
    made: ComposedSettings, slots: int, context_width: int, parts: Parts
) -> nn.Module | None:
    """The operator for its slots: what it asks with is context at `logit`, else the candidate."""
    if made.operator is None:
        return None
    operator, _ = find_part("operator", parts.operators, made.operator)
    spec, width = dict(made.operator), made.token_width
    if made.placement == "logit":
        width, query_width = 1, context_width
    else:
        query_width = width if made.conditioning == "target_aware" else 0
    if made.placement == "interaction" and made.pooler is not None:
        slots *= FIELDS_PER_SLOT[made.interaction_fields]
    if getattr(operator, "uses_query", False) and query_width:
        spec["query_width"] = query_width
    return make_part("operator", parts.operators, spec, slots, width)
