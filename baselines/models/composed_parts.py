"""The composed model's context, placement, operator, pooler and head, from its settings."""

from functools import partial
from typing import cast

import torch
from torch import nn

from fusefront.baselines.contract import Parts, Schema
from fusefront.baselines.fields import ContextEncoder, context_of
from fusefront.baselines.models.composed_settings import ComposedSettings, slots_of
from fusefront.baselines.placements.interaction import FIELDS_PER_SLOT, InteractionPlacement
from fusefront.baselines.placements.item import ItemPlacement
from fusefront.baselines.placements.logit import LogitPlacement, MakeHead
from fusefront.baselines.placements.pooled import PooledPlacement
from fusefront.baselines.placements.stream import MakePooler, tokens_out
from fusefront.baselines.settings import find_part, make_part
from fusefront.baselines.slots import fit_width, is_joint


def make_context(schema: Schema, settings: ComposedSettings) -> ContextEncoder:
    """The context's encoder, without its numbers, or of width 0, where the settings say so."""
    width = settings.context_width
    if not width:
        schema = schema._replace(request_fields=(), candidate_fields=())
    if not (width and settings.context_numbers):
        schema = schema._replace(request_numbers=0, candidate_numbers=0)
    return context_of(schema, width)


def make_placement(
    settings: ComposedSettings, slots: int, context_width: int, parts: Parts
) -> nn.Module:
    """The placement with its operator, poolers and, at `logit`, towers."""
    width, products = settings.token_width, settings.products
    pooler = make_pooler(settings, parts)
    operator = make_operator(settings, slots, context_width, parts)
    aware = settings.conditioning == "target_aware"
    if settings.placement == "item":
        return ItemPlacement(slots, width, operator, pooler, products=products, target_aware=aware)
    if settings.placement == "pooled":
        assert pooler is not None
        return PooledPlacement(
            slots, width, operator, pooler, products=products, target_aware=aware
        )
    if settings.placement == "interaction":
        return InteractionPlacement(
            slots,
            width,
            operator,
            pooler,
            products=products,
            fields=settings.interaction_fields,
            skip=settings.skip,
        )
    head = make_head(settings, parts)
    return LogitPlacement(slots, width, operator, pooler, head, products=products)


def try_parts(name: str, settings: ComposedSettings, schema: Schema, parts: Parts) -> None:
    """Build every part once, so that parts which refuse their settings are known before any data
    are read."""
    slots = len(slots_of(settings, schema, parts))
    widths = [schema.modalities[modality] for modality in settings.modalities]
    if is_joint(parts, settings.compressor):
        widths = [sum(widths)] if widths else []
    with torch.random.fork_rng(devices=[]):
        try:
            operator = make_operator(settings, slots, settings.context_width, parts)
            tokens = tokens_out(operator, slots) if settings.placement == "item" else 1
            if (pooler := make_pooler(settings, parts)) is not None:
                pooler(tokens * settings.token_width)
            make_head(settings, parts)(settings.token_width)
            for width in widths:
                spec = fit_width(settings.compressor, width)
                make_part("compressor", parts.compressors, spec, width)
            if settings.alignment is not None:
                make_part("alignment", parts.alignments, settings.alignment, settings.token_width)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def make_pooler(settings: ComposedSettings, parts: Parts) -> MakePooler | None:
    """Width to pooler, or None where the settings name none."""
    if settings.pooler is None:
        return None
    return cast(MakePooler, partial(make_part, "pooler", parts.poolers, settings.pooler))


def make_head(settings: ComposedSettings, parts: Parts) -> MakeHead:
    """Width to head."""
    return partial(make_part, "head", parts.heads, settings.head)


def make_operator(
    settings: ComposedSettings, slots: int, context_width: int, parts: Parts
) -> nn.Module | None:
    """The operator for its slots: what it asks with is context at `logit`, else the candidate."""
    if settings.operator is None:
        return None
    operator, _ = find_part("operator", parts.operators, settings.operator)
    spec, width = dict(settings.operator), settings.token_width
    if settings.placement == "logit":
        width, query_width = 1, context_width
    else:
        query_width = width if settings.conditioning == "target_aware" else 0
    if settings.placement == "interaction" and settings.pooler is not None:
        slots *= FIELDS_PER_SLOT[settings.interaction_fields]
    if getattr(operator, "uses_query", False) and query_width:
        spec["query_width"] = query_width
    return make_part("operator", parts.operators, spec, slots, width)


def cacheable_at(settings: ComposedSettings) -> str:
    """What of the fusion is a lookup online, by placement and conditioning."""
    if settings.conditioning == "target_aware":
        return "no: the operator reads the candidate"
    return {
        "item": "yes",
        "pooled": "part: the history is fused online",
        "interaction": "part: summaries are crossed online",
        "logit": "part: towers and their join run online",
    }[settings.placement]
