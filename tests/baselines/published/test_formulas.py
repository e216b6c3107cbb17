"""Every published model of its own, one candidate by hand as its docstring prints it."""

import pytest
import torch

from fusefront.baselines.contract import Context, gather
from fusefront.baselines.published.expert_reader import ExpertMixture

NEAR = {"rtol": 1e-6, "atol": 1e-9}
CASES = {
    "din": {"embedding": 3, "attention": (6, 4), "hidden": (5,)},
    "qin": {"embedding": 3, "layers": 2, "rank": 2},
    "momo": {"embedding": 3, "layers": 1, "feed": 5, "last": 2, "hidden": (6,), "head": (4,)},
    "autoint": {"embedding": 3, "layers": 2, "heads": 2, "attention": 4},
    "naml": {"width": 4, "id_width": 3, "attention": 5},
    "seed_reconstruction": {"embedding": 4, "heads": 2, "hidden": (5,)},
    "seed_reconstruction, din": {
        "embedding": 4,
        "heads": 2,
        "hidden": (5,),
        "attention": "din",
        "senet": False,
    },
}
ROWS = [(0, 0), (1, 2), (2, 1), (3, 0), (5, 4)]  # full, short and empty histories


def seasoned(model):
    """Every parameter and running statistic is some number of its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.2 * noise)
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding):
                module.weight[0] = 0.0
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return model.eval()


class Candidate:
    """One candidate of the scene: its item, the items of its history, its context."""

    def __init__(self, scene, r, k):
        batch = scene.batch
        self.item = int(batch.items[batch.candidates[r, k]])
        self.past = batch.items[batch.history[r][batch.history_mask[r]]].tolist()
        self.request = type(batch.request_context)(*(x[r] for x in batch.request_context))
        self.candidate = type(batch.request_context)(*(x[r, k] for x in batch.candidate_context))


def embedded(encoder, context):
    """Fields by a loop: the embedding, or the mean over the filled columns; then the numbers."""
    pieces, start = [], 0
    for table, columns in zip(encoder.tables, encoder.columns, strict=True):
        codes = context.ids[start : start + columns].tolist()
        start += columns
        filled = [table.weight[code] for code in codes if code > 0]
        zero = torch.zeros_like(table.weight[0])
        pieces.append(
            sum(filled, zero) / max(len(filled), 1) if columns > 1 else table.weight[codes[0]]
        )
    if encoder.numbers:
        pieces.append(context.numbers.to(pieces[0].dtype))
    return torch.cat(pieces)


def context_of(model, row):
    return torch.cat(
        [
            embedded(model.context.request, row.request),
            embedded(model.context.candidate, row.candidate),
        ]
    )


def numbers_of(scene):
    """Item numbers at mean 0 and deviation 1 over the items of train."""
    known = scene.items.numbers[scene.items.in_train].double()
    if not known.shape[1]:
        return known.new_zeros(len(scene.items.numbers), 0)
    return (scene.items.numbers.double() - known.mean(0)) / known.std(0)


def pieces_of(model, scene, item):
    """[id, fields with numbers, W x of each modality] of one item."""
    tokens, table = model.tokens, scene.items
    pieces = [tokens.ids.weight[item if table.in_train[item] else 0]]
    context = Context(table.fields[item], numbers_of(scene)[item])
    pieces.append(embedded(tokens.fields, context))
    for m, (name, project) in enumerate(zip(scene.schema.modalities, tokens.vectors, strict=True)):
        vector = table.vectors[name][item].double() * float(table.present[item, m])
        pieces.append(project.weight @ vector)
    return pieces


def din(model, scene, row):
    e = {item: torch.cat(pieces_of(model, scene, item)) for item in {row.item, *row.past}}
    t, first = e[row.item], model.pool.first
    u = torch.zeros_like(t)
    for h in (e[item] for item in row.past):
        inner = first.weight @ torch.cat([t, h, t - h, t * h]) + first.bias
        u = u + model.pool.rest(inner.relu()[None])[0, 0] * h
    return model.head(torch.cat([context_of(model, row), t, u])[None])[0]


def qin(model, scene, row):
    e = {item: torch.cat(pieces_of(model, scene, item)) for item in {row.item, *row.past}}
    t, pool = e[row.item], model.pool
    hidden = model.pool.hidden
    assert hidden == 2 * len(t)
    past = torch.stack([e[item] for item in row.past]) if row.past else t.new_zeros(0, len(t))
    target = pool.prepare_target(t[None])
    codes = pool.prepare_history(past)
    mask = torch.ones(1, len(past), dtype=torch.bool)
    u = pool(target[None], codes[None], mask)[0, 0]
    assert torch.equal(target[0, hidden:], t)
    return model.head(torch.cat([context_of(model, row), t, u])[None])[0]


def momo(model, scene, row):
    e = {item: torch.cat(pieces_of(model, scene, item)) for item in {row.item, *row.past}}
    t = e[row.item]
    length = scene.schema.max_history
    past = torch.zeros(1, length, len(t), dtype=t.dtype)
    mask = torch.zeros(1, length, dtype=torch.bool)
    for place, item in zip(range(length - len(row.past), length), row.past, strict=True):
        past[0, place], mask[0, place] = e[item], True
    s = model.pool(t[None, None], past, mask)[0, 0]
    assert len(s) == 3 * 2 * len(t)  # the last two outputs and the maximum
    z = torch.cat([context_of(model, row), t, s])
    h = z
    for layer in model.cross:
        h = layer(z[None], h[None])[0]
    return model.head(torch.cat([h, model.deep(z[None])[0]])[None])[0]


def autoint(model, scene, row):
    v = fields_of(model, scene, row)
    for layer in model.layers:
        heads, width = layer.heads, layer.residual.out_features // layer.heads
        mixed_rows = []
        for vector in v:
            mixed = []
            for h in range(heads):
                q, k, value = (
                    layer.project.weight[(part * heads + h) * width :][:width] for part in range(3)
                )
                score = torch.stack([(q @ vector) @ (k @ other) for other in v]).softmax(0)
                mixed.append(sum(s * (value @ other) for s, other in zip(score, v, strict=True)))
            mixed_rows.append((torch.cat(mixed) + layer.residual.weight @ vector).relu())
        v = mixed_rows
    return model.out.weight[0] @ torch.cat(v) + model.out.bias[0]


def item_fields(model, scene, item):
    tokens, table = model.tokens, scene.items
    fields = [tokens.ids.weight[item if table.in_train[item] else 0]]
    fields += names(tokens.side, table.fields[item], numbers_of(scene)[item])
    for m, (name, project) in enumerate(zip(scene.schema.modalities, tokens.vectors, strict=True)):
        vector = table.vectors[name][item].double() * float(table.present[item, m])
        fields.append(project.weight @ vector)
    return fields


def names(encoder, ids, numbers):
    """Fields of a `NamedFields`, the numbers as one more."""
    fields = []
    if encoder.fields.tables:
        width = encoder.fields.tables[0].embedding_dim
        fields += [*embedded(encoder.fields, Context(ids, numbers)).view(-1, width)]
    if len(numbers):
        fields.append(encoder.project.weight @ numbers.to(encoder.project.weight.dtype))
    return fields


def contexts(encoder, row):
    fields = names(encoder.request, row.request.ids, row.request.numbers)
    return fields + names(encoder.candidate, row.candidate.ids, row.candidate.numbers)


def fields_of(model, scene, row):
    """All fields of a row: the item's, the mean of the history's, the context's."""
    own = item_fields(model, scene, row.item)
    past = [item_fields(model, scene, item) for item in row.past]
    mean = [
        sum((fields[f] for fields in past), torch.zeros_like(own[f])) / max(len(past), 1)
        for f in range(len(own))
    ]
    assert model.tokens.count == 2 * len(own) + len(contexts(model.tokens.context, row))
    return own + mean + contexts(model.tokens.context, row)


def naml(model, scene, row):
    def vector(item):
        x, present, _ = model.slots(torch.tensor([item]), None)
        return model.operator(x, present, None).tokens[0].flatten(), bool(present.any())

    e, _ = vector(row.item)
    past = [vec for vec, there in map(vector, row.past) if there]
    user, pool = torch.zeros_like(e), model.pool
    if past:
        score = [
            pool.score.weight[0] @ (pool.inner.weight @ h + pool.inner.bias).tanh() for h in past
        ]
        user = torch.stack(score).softmax(0) @ torch.stack(past)
    context = context_of(model, row)
    user = user + model.user.weight @ context + model.user.bias
    return user @ e + model.bias


def seed(model, scene, row):
    def tokens(item):
        x, present, _ = model.slots(torch.tensor([item]), None)
        return x[0].flatten(), present[0]

    t, there = tokens(row.item)
    past = [tokens(item)[0] for item in row.past]
    u = torch.zeros_like(t)
    if past:
        codes = model.pool.prepare_history(torch.stack(past))[None]
        mask = torch.ones(1, len(past), dtype=torch.bool)
        u = model.pool(model.pool.prepare_target(t[None])[None], codes, mask)[0, 0]
    fields = torch.stack(
        [*contexts(model.context, row), *t.view(-1, model.width), *u.view(-1, model.width)]
    )
    entries = torch.full_like(there, bool(past))
    present = torch.cat([torch.ones(model.context.count, dtype=torch.bool), there, entries])
    if model.operator is not None:
        fields = model.operator(fields[None], present[None], None).tokens[0]
    return model.head(fields.flatten()[None])[0]


BY_HAND = {"din": din, "qin": qin, "momo": momo, "autoint": autoint, "naml": naml}


@pytest.mark.parametrize("case", CASES)
def test_a_logit_is_that_of_the_formula(scene, case):
    name = case.split(",")[0]
    model = seasoned(scene.build(name, CASES[case]))
    batch = scene.batch
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        logits = model.score(gather(codes, batch, batch.items), batch.rows).logits
        for r, k in ROWS:
            expected = BY_HAND.get(name, seed)(model, scene, Candidate(scene, r, k))
            torch.testing.assert_close(logits[r, k], expected, **NEAR)
    assert not logits[~batch.candidate_mask].any()


@pytest.mark.parametrize("name", ["din", "autoint", "deepfm", "dmf"])
def test_a_modality_that_is_let_out_is_absent(scene, name):
    """`keep` hides a modality of every item, or of one."""
    small = {"din": CASES["din"], "autoint": CASES["autoint"]}
    small |= {
        "deepfm": {"embedding": 3, "hidden": (4,)},
        "dmf": {"width": 4, "content": 5, "hidden": (4,)},
    }
    model = seasoned(scene.build(name, small[name]))
    ids = torch.arange(1, 60)
    there = scene.items.present[ids].all(-1).nonzero().flatten()
    with torch.no_grad():
        whole = model.encode(ids)[0].candidate.values
        keep = torch.ones(len(ids), 3, dtype=torch.bool)
        assert torch.equal(model.encode(ids, keep)[0].candidate.values, whole)
        keep[there[0], 1] = False
        some = model.encode(ids, keep)[0].candidate.values
        none = model.encode(ids, torch.tensor([True, False, True]))[0].candidate.values
    moved = (some != whole).any(-1)
    assert moved.nonzero().flatten().tolist() == [int(there[0])]
    assert (none != whole).any(-1).tolist() == scene.items.present[ids, 1].tolist()


def test_what_of_a_published_model_is_made_offline_is_said(scene):
    words_of = {
        "din": "yes",
        "qin": "yes",
        "momo": "no: the transformer runs for every candidate",
        "autoint": "part: fields attend to each other online",
        "naml": "yes",
        "seed_reconstruction": "part: SENet weighs the fields online",
        "seed_reconstruction, din": "yes",
    }
    for case, words in words_of.items():
        assert scene.build(case.split(",")[0], CASES[case]).cacheable() == words
    model = scene.build("deepfm", {"embedding": 3, "hidden": (4,)})
    assert model.cacheable() == "part: fields are multiplied online"
    assert model.report() == {}
    assert scene.build("naml", CASES["naml"] | {"compressor": {"name": "pca", "k": 5}}).report()


@pytest.mark.parametrize("longest", [0, 1, 2])
def test_a_history_of_one_is_a_history(scene_of, schema, longest):
    scene = scene_of(schema._replace(max_history=longest))
    model = seasoned(scene.build("autoint", CASES["autoint"]))
    own = 1 + 3 + len(schema.modalities)  # id, two fields and the numbers, the modalities
    context = 4  # a field and the number on either side
    assert model.tokens.has_history is (longest > 0)
    assert model.tokens.count == own * (1 + (longest > 0)) + context
    if longest:
        batch = scene.batch
        with torch.no_grad():
            codes = model.encode_items(torch.arange(scene.schema.items + 1))
            logits = model.score(gather(codes, batch, batch.items), batch.rows).logits
            for r, k in ROWS:
                expected = autoint(model, scene, Candidate(scene, r, k))
                torch.testing.assert_close(logits[r, k], expected, **NEAR)


def test_the_kind_of_an_event_is_told_in_histories_alone(scene_of, schema):
    scene = scene_of(schema._replace(history_kinds=2))
    for case in ("din", "naml", "autoint", "momo", "qin", "seed_reconstruction"):
        model = seasoned(scene.build(case, CASES[case]))
        with torch.no_grad():
            codes, _ = model.encode_batch(scene.batch)
            plain, _ = model.encode(scene.batch.items)
        events = scene.batch.events
        moved = (codes.history.values - plain.history.values[events.item]).abs().amax(-1) > 1e-9
        there = codes.history.present.any(-1)
        assert torch.equal(moved, (events.kind > 0) & there), case
        assert torch.equal(codes.history.present, plain.history.present[events.item])
        assert torch.equal(codes.candidate.values, plain.candidate.values)


def test_every_piece_of_the_seed_is_the_one_that_was_chosen(scene):
    small = CASES["seed_reconstruction"]
    model = scene.build("seed_reconstruction", {**small, "dropout": 0.25})
    assert "senet" in type(model.operator).__module__
    assert "target_attention" in type(model.pool).__module__
    assert model.pool.heads == 2
    assert (model.pieces, model.width) == (5, 4)  # id, three modalities, fields
    assert model.slots.ids.embedding_dim == 4
    assert model.slots.side_project.in_features == 2 * 4 + 2
    assert [layer.out_features for layer in model.head.layers] == [5]
    assert model.head.layers[0].in_features == (4 + 2 * 5) * 4
    assert model.head.dropout.p == 0.25
    plain = scene.build("seed_reconstruction", {**small, "attention": "din", "senet": False})
    assert plain.operator is None
    assert "din" in type(plain.pool).__module__
    assert scene.build("seed_reconstruction", {**small, "recipe": "V1"}).pieces == 3


def test_narrow_models_have_narrow_fields_and_wide_ones_no_wider_than_16(scene):
    for width, narrow in ((4, 4), (20, 16)):
        naml_model = scene.build("naml", {"width": width, "id_width": 3, "attention": 5})
        dmf_model = scene.build("dmf", {"width": width, "content": 5, "hidden": (4,)})
        for model in (naml_model, dmf_model):
            assert model.context.request.tables[0].embedding_dim == narrow
            assert model.slots.side.tables[0].embedding_dim == narrow
        assert naml_model.pool.inner.out_features == 5
        assert naml_model.slots.ids.embedding_dim == 3
        assert naml_model.bias.item() == 0
        assert dmf_model.slots.ids.embedding_dim == width
        assert dmf_model.head.layers[0].in_features == dmf_model.context.width_out + width
        assert [part.width_out for part in dmf_model.content.modalities] == [5, 5, 5]
    wide = scene.build("dmf", {"width": 4, "content": 22, "hidden": (4,)})
    assert [part.width_out for part in wide.content.modalities] == [20, 22, 16]  # at most their own


def test_layers_drop_and_normalise_where_they_were_published_to(scene):
    din_model = scene.build("din", {**CASES["din"], "attention_dropout": 0.15, "dropout": 0.25})
    assert (din_model.pool.dropout.p, din_model.head.dropout.p) == (0.15, 0.25)
    assert len(din_model.head.norms) == 1
    qin_model = scene.build("qin", {**CASES["qin"], "dropout": 0.35})
    assert [layer.dropout.p for layer in qin_model.head.layers] == [0.35, 0.35]
    assert [layer.rank for layer in qin_model.head.layers] == [2, 2]
    assert qin_model.head.norm is None
    momo_model = scene.build("momo", {**CASES["momo"], "transformer_dropout": 0.1, "dropout": 0.3})
    assert (len(momo_model.deep.norms), len(momo_model.head.norms)) == (0, 0)
    assert (momo_model.deep.dropout.p, momo_model.head.dropout.p) == (0.3, 0.0)
    drops = {m.p for m in momo_model.pool.modules() if isinstance(m, torch.nn.Dropout)}
    assert drops == {0.1}
    assert momo_model.deep.out is None
    assert len(momo_model.cross) == 3


BARE = {"request_fields": (), "request_numbers": 0, "candidate_fields": (), "candidate_numbers": 0}
SPARSE = {
    "no context": BARE,
    "numbers of candidates alone": {**BARE, "candidate_numbers": 1},
    "fields without numbers": {"request_numbers": 0, "candidate_numbers": 0, "item_numbers": 0},
    "no fields of items": {"item_fields": (), "request_fields": ()},
    "no item side": {"item_fields": (), "item_numbers": 0},
}


@pytest.mark.parametrize("case", SPARSE)
def test_fields_that_the_data_lacks_leave_nothing_behind(scene_of, schema, case):
    scene = scene_of(schema._replace(**SPARSE[case]))
    model = seasoned(scene.build("autoint", CASES["autoint"]))
    batch = scene.batch
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        logits = model.score(gather(codes, batch, batch.items), batch.rows).logits
        for r, k in ROWS:
            expected = autoint(model, scene, Candidate(scene, r, k))
            torch.testing.assert_close(logits[r, k], expected, **NEAR)


def test_what_a_compressor_loses_reaches_the_model(scene):
    codes = {"name": "vq", "k": 8, "parts": 2, "codes": 16}
    model = scene.build("naml", {**CASES["naml"], "compressor": codes}).train()
    ids = torch.arange(1, 60)
    with torch.no_grad():
        state = torch.random.get_rng_state()
        _, loss = model.encode(ids)
        torch.random.set_rng_state(state)
        _, _, lost = model.slots(ids, None)
    assert float(lost) > 0
    torch.testing.assert_close(loss, lost, rtol=1e-3, atol=0)


def test_an_experts_first_weights_lie_within_the_bound_of_its_hidden_width():
    torch.manual_seed(0)
    mixture = ExpertMixture(8, 16, 3, 0.0)
    for weights in (mixture.leave, mixture.shift):
        largest = float(weights.detach().abs().max())
        assert 0.8 * 16**-0.5 < largest <= 16**-0.5
