"""Every placement row by row: slots by a loop, poolers on one history, the operator on one
candidate.

Parts (operator, pooler, head, norm) are called on one row alone and without padding; what is held
here is what the placements make of them.
"""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from fusefront.baselines.contract import Context, Request, Rows, gather
from fusefront.baselines.heads.norm import affine
from fusefront.baselines.packed import Packed
from fusefront.baselines.placements.stream import (
    Streams,
    any_history,
    features,
    features_width,
    fuse,
    masks_by_stream,
    select,
    spread,
    tokens_out,
)
from fusefront.baselines.poolers.mean import MeanPooler

SMALL = {"token_width": 6, "id_width": 3, "side_width": 2, "head": {"name": "mlp", "hidden": (5,)}}
SMALL |= {"compressor": {"name": "pca", "k": 5}, "context_width": 2}
CASES = {
    "item": {"operator": "gmu"},
    "item, two tokens": {"operator": {"name": "senet", "readout": "tokens"}, "pooler": "mean"},
    "item, no operator": {"operator": "none", "products": False},
    "item, no pooler": {"operator": "concat", "pooler": "none"},
    "item, no context": {"operator": "sum", "context_width": 0},
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


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_a_loop_over_the_rows(scene, name, rows):
    model = seasoned(scene.build("composed", SMALL | CASES[name]))
    batch = scene.batch
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        request = gather(codes, batch, batch.items)
        scored = model.score(request, batch.rows if rows else None)
        for (r, k), row in rows_of(model, scene).items():
            torch.testing.assert_close(
                scored.logits[r, k], logit_of(model, row), rtol=1e-8, atol=1e-10
            )
    if rows:
        assert not scored.logits[~batch.candidate_mask].any()


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


# the parts of all placements


def test_features_hold_a_product_where_the_widths_agree():
    target, pooled = torch.tensor([[2.0, 3.0]]), torch.tensor([[5.0, 7.0]])
    assert [x.tolist() for x in features(target, pooled, True)] == [[[5, 7]], [[2, 3]], [[10, 21]]]
    assert [x.tolist() for x in features(target, pooled, False)] == [[[5, 7]], [[2, 3]]]
    assert [x.tolist() for x in features(target, None, True)] == [[[2, 3]]]
    wide = torch.ones(1, 3)
    assert len(features(target, wide, True)) == 2
    for products in (True, False):
        for other in (None, pooled, wide):
            width = sum(x.shape[-1] for x in features(target, other, products))
            assert (
                features_width([1, 1], [] if other is None else [other.shape[-1]], products)
                == width
            )


def test_rows_are_selected_and_spread_back():
    x = torch.arange(12.0).view(2, 3, 2)
    rows = torch.tensor([0, 4, 5])
    assert select(x, rows).tolist() == [[0, 1], [8, 9], [10, 11]]
    assert select(x, None).tolist() == x.flatten(0, 1).tolist()
    assert spread(torch.tensor([7.0, 8.0, 9.0]), rows, x).tolist() == [[7, 0, 0], [0, 8, 9]]
    assert spread(torch.arange(6.0), None, x).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_masks_are_those_of_streams_and_tell_who_has_a_history():
    mask = torch.tensor([[True, True, False], [False, False, False]])
    present = torch.tensor([[[1, 0], [1, 0], [1, 1]], [[1, 1], [1, 1], [1, 1]]]).bool()
    nothing = Context(torch.zeros(2, 0).long(), torch.zeros(2, 0))
    candidates = Rows(torch.zeros(2, 1, 1), torch.ones(2, 1, 1).bool())
    history = Rows(torch.zeros(2, 3, 1), present)
    request = Request(history, mask, candidates, nothing, nothing)
    masks = masks_by_stream(request)
    assert masks.int().tolist() == [[[1, 0], [1, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]]
    assert any_history(masks, request).tolist() == [[[True, False]], [[False, False]]]
    codes = Rows(torch.zeros(6, 1), present.flatten(0, 1))
    packed = Packed(torch.arange(6).view(2, 3), mask, torch.tensor([1, 0]), 1)
    request = Request(codes, mask, candidates, nothing, nothing, packed)
    assert torch.equal(masks_by_stream(request), codes.present)
    some = any_history(masks_by_stream(request), request)
    assert some.tolist() == [[[False, False]], [[True, False]]]


def test_without_an_operator_slots_stand_side_by_side():
    x = torch.arange(12.0).view(2, 3, 2)
    vector, loss = fuse(None, x, torch.ones(2, 3, dtype=torch.bool))
    assert vector.tolist() == x.flatten(1).tolist()
    assert (float(loss), loss.shape) == (0, ())
    assert tokens_out(None, 3) == 3


def test_streams_of_unequal_poolers_are_pooled_one_by_one():
    """Streams of widths 2 and 3: codes and queries are split where each begins."""
    streams = Streams([2, 3], MeanPooler)
    assert streams.together is False
    assert (streams.history_widths, streams.query_widths) == ([2, 3], [0, 0])
    assert (streams.query_width, streams.pooled_widths) == (0, [2, 3])
    history = [torch.randn(4, 2), torch.randn(4, 3)]
    code = streams.history(history)
    assert torch.equal(code, torch.cat(history, -1))
    target, queries = streams.split(streams.candidate([x[:1] for x in history])[None])
    assert torch.equal(target[0, 0], code[0])
    masks = torch.tensor([[[1, 0], [1, 1], [0, 1], [0, 0]]]).bool()
    pooled = streams.pool(queries, code[None], masks)
    expected = torch.cat([history[0][:2].mean(0), history[1][1:3].mean(0)])
    torch.testing.assert_close(pooled[0, 0], expected)
    bare = Streams([2, 3], None)
    assert bare.pool(queries, code[None], masks) is None
    assert bare.history(history).shape == (4, 0)
    assert torch.equal(bare.split(code[None])[0], code[None])
    assert bare.split(code[None])[1].shape == (1, 4, 0)
