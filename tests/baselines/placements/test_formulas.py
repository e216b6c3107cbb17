"""Every placement row by row: slots by a loop, poolers on one history, the operator on one
candidate.

Parts (operator, pooler, head, norm) are called on one row alone and without padding; what is held
here is what the placements make of them.
"""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from fusefront.baselines.contract import Events, gather
from fusefront.baselines.heads.norm import affine

SMALL = {"token_width": 6, "id_width": 3, "side_width": 2, "head": {"name": "mlp", "hidden": (5,)}}
SMALL |= {"compressor": {"name": "pca", "k": 5}, "context_width": 2}
CASES = {
    "item": {"operator": "gmu"},
    "item, two tokens": {"operator": {"name": "senet", "readout": "tokens"}, "pooler": "mean"},
    "item, no operator": {"operator": "none", "products": False},
    "item, no pooler": {"operator": "concat", "pooler": "none"},
    "item, no context": {"operator": "sum", "context_width": 0},
    "item, din": {"operator": "concat", "pooler": "din"},
    "item, target-aware": {"operator": "film", "conditioning": "target_aware"},
    "item, target-aware gate": {
        "operator": "scalar_gate",
        "conditioning": "target_aware",
        "pooler": "mean",
        "products": False,
    },
    "pooled": {"operator": "gmu", "placement": "pooled"},
    "pooled, no operator": {"operator": "none", "placement": "pooled", "pooler": "mean"},
    "pooled, target-aware": {
        "operator": "scalar_gate",
        "placement": "pooled",
        "conditioning": "target_aware",
        "products": False,
    },
    "interaction": {"operator": "senet", "placement": "interaction"},
    "interaction, all": {
        "operator": {"name": "senet", "readout": "tokens"},
        "placement": "interaction",
        "interaction_fields": "all",
        "skip": False,
        "presence_features": True,
    },
    "interaction, pairs": {
        "operator": "gmu",
        "placement": "interaction",
        "interaction_fields": "pair",
        "products": False,
        "pooler": "mean",
    },
    "interaction, products alone": {
        "operator": "concat",
        "placement": "interaction",
        "products": False,
    },
    "interaction, no pooler": {"operator": "gmu", "placement": "interaction", "pooler": "none"},
    "interaction, no operator": {"operator": "none", "placement": "interaction"},
    "logit": {"operator": "logit_average", "placement": "logit", "presence_features": True},
    "logit, moe": {"operator": "moe", "placement": "logit", "products": False, "pooler": "mean"},
    "logit, no context": {"operator": "logit_average", "placement": "logit", "context_width": 0},
    "logit, no pooler": {"operator": "logit_average", "placement": "logit", "pooler": "none"},
    "logit, one tower": {
        "operator": "none",
        "placement": "logit",
        "use_id": False,
        "side_width": 0,
        "modalities": ["image"],
    },
}


class Row(NamedTuple):
    """One candidate: its slots, those of its real history, and its context."""

    x: Tensor  # [S, d]
    there: Tensor  # [S]
    past: Tensor  # [L, S, d]
    past_there: Tensor  # [L, S]
    context: Tensor  # [C]


def seasoned(model):
    """Trained-looking: every parameter and running statistic is some number of its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.3 * noise)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return model.eval()


def rows_of(model, scene):
    """(request, candidate) -> Row, for every real candidate."""
    batch, rows = scene.batch, {}
    context = model.context(batch.request_context, batch.candidate_context, batch.labels[..., None])
    for r, mask in enumerate(batch.candidate_mask):
        past = batch.items[batch.history[r][batch.history_mask[r]]]
        encoded = model.slots(past, None)
        for k in mask.nonzero().flatten().tolist():
            x, there, _ = model.slots(batch.items[batch.candidates[r, [k]]], None)
            rows[r, k] = Row(x[0], there[0], encoded[0], encoded[1], context[r, k])
    return rows


def pool(pooler, target, past, there):
    """One pooler on the entries that are there; nothing where none is."""
    if not there.any():
        return torch.zeros(pooler.width_out, dtype=target.dtype)
    code = pooler.prepare_history(past[there])[None]
    query = pooler.prepare_target(target[None])[None]
    return pooler(query, code, torch.ones(1, len(code[0]), dtype=torch.bool))[0, 0]


def query_of(row, settings):
    """The mean of the candidate's present tokens, where the operator is asked with it."""
    if settings.conditioning != "target_aware":
        return None
    present = [token for token, there in zip(row.x, row.there, strict=True) if there]
    return sum(present) / len(present) if present else torch.zeros_like(row.x[0])


def fused(operator, x, there, query):
    """The operator on one row alone, as one vector."""
    if operator is None:
        return x.flatten()
    query = None if query is None else query[None]
    return operator(x[None], there[None], query).tokens[0].flatten()


def crossed(target, pooled, products):
    """What a head sees of a target and what was pooled for it."""
    if pooled is None:
        return [target]
    return [pooled, target, *([pooled * target] if products else [])]


def at_item(place, row, settings):
    query = query_of(row, settings)
    target = fused(place.operator, row.x, row.there, query)
    pooled = None
    if place.streams.poolers:
        vectors = [
            fused(place.operator, x, there, query)
            for x, there in zip(row.past, row.past_there, strict=True)
        ]
        past = torch.stack(vectors) if vectors else target.new_zeros(0, len(target))
        pooled = pool(place.streams.poolers[0], target, past, row.past_there.any(-1))
    return torch.cat(crossed(target, pooled, settings.products))


def pooled_slots(place, row):
    streams = place.streams.poolers
    return [
        pool(pooler, row.x[s], row.past[:, s], row.past_there[:, s])
        for s, pooler in enumerate(streams)
    ]


def at_pooled(place, row, settings):
    query = query_of(row, settings)
    target = fused(place.operator, row.x, row.there, query)
    slots = torch.stack(pooled_slots(place, row))
    pooled = fused(place.operator, slots, row.past_there.any(0), query)
    return torch.cat(crossed(target, pooled, settings.products))


def at_interaction(place, row, settings):
    target = row.x.flatten()
    slots = pooled_slots(place, row)
    pooled = torch.cat(slots) if slots else None
    pieces = crossed(target, pooled, settings.products)
    if place.operator is None:
        return torch.cat(pieces)
    some = row.past_there.any(0)
    kinds = {
        "product": [(pooled, target, some & row.there)],
        "pair": [(pooled, None, some), (None, target, row.there)],
        "all": [
            (pooled, None, some),
            (None, target, row.there),
            (pooled, target, some & row.there),
        ],
    }[settings.interaction_fields]
    if pooled is None:
        kinds = [(None, target, row.there)]
    vectors = [t if u is None else u if t is None else u * t for u, t, _ in kinds]
    scale, shift = affine(place.norm)
    fields = (torch.cat(vectors) * scale + shift).view(-1, row.x.shape[-1])
    result = fused(place.operator, fields, torch.cat([there for *_, there in kinds]), None)
    return torch.cat([*pieces, result]) if settings.skip else result


def at_logit(place, row, settings):
    slots = pooled_slots(place, row)
    towers = [
        tower(torch.cat(crossed(row.x[s], slots[s] if slots else None, settings.products))[None])[0]
        for s, tower in enumerate(place.towers)
    ]
    logits = torch.stack(towers)
    if place.operator is None:
        return logits[0]
    return fused(place.operator, logits[:, None], row.there, row.context).squeeze()


def logit_of(model, row):
    """The model's logit by hand."""
    settings, place = model.settings, model.placement
    if settings.placement == "logit":
        logit = at_logit(place, row, settings)
        if model.head is not None:
            logit = logit + model.head(row.context[None])[0]
    else:
        part = {"item": at_item, "pooled": at_pooled, "interaction": at_interaction}
        features = part[settings.placement](place, row, settings)
        logit = model.head(torch.cat([features, row.context])[None])[0]
    if model.presence is not None:
        modalities = [s for s, name in enumerate(model.slots.names) if name not in ("id", "side")]
        weights = model.presence.weight[0]
        for weight, s in zip(weights, modalities, strict=True):
            logit = logit + weight * (0.5 if row.there[s] else -0.5)
    return logit


def with_events(batch):
    """Histories of events, one an item, that stand in another order than the items."""
    count = len(batch.items)
    item = torch.cat([torch.zeros(1, dtype=torch.long), torch.arange(count - 1, 0, -1)])
    place = item.argsort()[batch.history]
    return batch._replace(events=Events(item, torch.zeros(count, dtype=torch.long), place))


@pytest.mark.parametrize("way", ["rows", "padded", "packed", "events"])
@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_a_loop_over_the_rows(scene, name, way):
    """Of real rows, of all of the grid, and packed by item codes or by a code for each event."""
    model = seasoned(scene.build("composed", SMALL | CASES[name]))
    batch = scene.batch
    with torch.no_grad():
        expected = [logit_of(model, row) for row in rows_of(model, scene).values()]
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        if way == "events":
            batch = with_events(batch)
            logits = model.score_rows(model.encode_batch(batch)[0], batch)[0]
        elif way == "packed":
            logits = model.score_rows(codes, batch, batch.items)[0]
        else:
            request = gather(codes, batch, batch.items)
            grid = model.score(request, batch.rows if way == "rows" else None).logits
            assert way == "padded" or not grid[~batch.candidate_mask].any()
            logits = grid.flatten()[batch.rows]
    torch.testing.assert_close(logits, torch.stack(expected), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "settings",
    [
        {"operator": "moe"},
        {"operator": "moe", "conditioning": "target_aware", "placement": "item"},
        {"operator": "moe", "placement": "pooled"},
        {"operator": "moe", "placement": "interaction"},
        {"operator": "moe", "placement": "logit"},
        {"operator": "concat"},
    ],
)
def test_the_losses_of_an_operator_reach_the_model(scene, settings):
    """In training the losses of every call of the operator are added up, and nothing else is."""
    model = seasoned(scene.build("composed", SMALL | settings)).train()
    losses, batch = [], scene.batch
    operator = model.placement.operator
    with torch.no_grad(), operator.register_forward_hook(lambda *a: losses.append(a[2].loss)):
        codes, encoding = model.encode_batch(batch)
        scored = model.score(gather(codes, batch), batch.rows)
    calls = {"item": 1, "pooled": 2, "interaction": 1, "logit": 1}[model.settings.placement]
    calls += model.settings.conditioning == "target_aware"
    assert len(losses) == calls
    assert float(encoding + scored.loss) == pytest.approx(float(sum(losses)), rel=1e-6)
    assert (float(sum(losses)) > 0) == (settings["operator"] == "moe")


def test_an_item_that_holds_nothing_is_no_history(scene):
    """Histories count their entries with a slot; an entry without any changes no mean."""
    settings = {"operator": "sum", "pooler": "mean", "use_id": False, "side_width": 0}
    model = seasoned(scene.build("composed", SMALL | settings))
    items = torch.arange(1, scene.schema.items + 1)
    _, there, _ = model.slots(items, None)
    bare, full = items[~there.any(-1)][0], items[there.all(-1)][:2]
    batch = scene.batch._replace(
        items=torch.cat([torch.zeros(1, dtype=torch.long), full, bare[None]]),
        history=torch.tensor([[0] * 13 + [1, 3, 2]] * 6),
        history_mask=torch.tensor([[False] * 13 + [True] * 3] * 6),
        candidates=scene.batch.candidate_mask.long(),
    )
    short = batch._replace(
        history=torch.tensor([[0] * 14 + [1, 2]] * 6),
        history_mask=torch.tensor([[False] * 14 + [True] * 2] * 6),
    )
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        long, right = (model.score(gather(codes, b, b.items)).logits for b in (batch, short))
    torch.testing.assert_close(long, right, rtol=1e-12, atol=1e-12)
