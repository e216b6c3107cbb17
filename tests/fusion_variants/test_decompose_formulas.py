"""Decompositions, and the losses that operators add in training, against plain loops in float64."""

from itertools import combinations

import numpy as np
import pytest
import torch

from fusefront.fusion_variants.zoo import OPERATORS

D, N = 4, 12


def training_rows(slots):
    torch.manual_seed(5)
    x = torch.randn(N, slots, D, dtype=torch.float64)
    present = torch.rand(N, slots) < 0.7
    present[0] = False
    return x, present


def training_loss(operator, x, present):
    hidden = x.masked_fill(~present.unsqueeze(-1), torch.nan)
    return float(operator.double().train()(hidden, present).loss.detach())


def there(present, row):
    return [m for m in range(present.shape[1]) if present[row, m]]


def test_shared_specific_joins_the_common_mean_and_each_rest(compare, loops):
    operator = OPERATORS["shared_specific"](3, D)

    def formula(x, slots, query):
        common = sum(loops.flat(operator.shared, x[m]) for m in slots) / len(slots)
        rest = [
            loops.slot(operator.specific, m, x[m]) if m in slots else np.zeros(D) for m in range(3)
        ]
        return loops.flat(operator.mix, np.concatenate([common, *rest]))

    compare(operator, formula)


def test_shared_specific_loss_aligns_the_shared_and_parts_the_specific(loops):
    operator = OPERATORS["shared_specific"](3, D, weight=0.3)
    x, present = training_rows(3)
    loss = training_loss(operator, x, present)
    apart, overlap = [], []
    for row in range(N):
        slots = there(present, row)
        shared = {m: loops.flat(operator.shared, x[row, m].numpy()) for m in slots}
        for m in slots:
            own = loops.slot(operator.specific, m, x[row, m].numpy())
            overlap.append(loops.cosine(shared[m], own) ** 2)
        apart += [1.0 - loops.cosine(shared[a], shared[b]) for a, b in combinations(slots, 2)]
    assert loss == pytest.approx(0.3 * (np.mean(apart) + np.mean(overlap)), rel=1e-7)


def test_shared_specific_learns_what_two_modalities_repeat():
    """Planted: both slots carry z in 4 of 8 numbers, each its own noise in the others."""
    torch.manual_seed(0)
    operator = OPERATORS["shared_specific"](2, 8, weight=1.0)
    optimiser = torch.optim.Adam(operator.parameters(), lr=1e-2)
    present = torch.ones(256, 2, dtype=torch.bool)

    def rows():
        common, own = torch.randn(256, 1, 4).expand(-1, 2, -1), torch.randn(256, 2, 4)
        return torch.cat([common, own], -1)

    for _ in range(300):
        optimiser.zero_grad()
        operator(rows(), present).loss.backward()
        optimiser.step()
    strength = operator.shared.layers[0].weight.detach().square().sum(0)  # of each input number
    assert strength[:4].mean() > 20.0 * strength[4:].mean()


def pamd_parts(loops, operator, x, slots):
    common = {
        m: loops.slot(operator.leave, m - 1, loops.slot(operator.enter, m - 1, x[m]).clip(min=0.0))
        for m in slots
        if m > 0
    }
    return common, {m: x[m] - common[m] for m in common}


def test_pamd_lets_the_id_read_common_and_specific_parts(compare, loops):
    operator = OPERATORS["pamd"](3, D)

    def formula(x, slots, query):
        item = x[0] if 0 in slots else np.zeros(D)
        common, rest = pamd_parts(loops, operator, x, slots)
        parts = [*common.values(), *rest.values()]
        if not parts:
            return item
        scores = [float(item @ loops.flat(operator.keys, part)) / D**0.5 for part in parts]
        return item + sum(w * part for w, part in zip(loops.softmax(scores), parts, strict=True))

    compare(operator, formula)


def test_pamd_loss_compares_parts_and_rebuilds_across_modalities(loops):
    operator = OPERATORS["pamd"](4, D, weight=0.2)
    x, present = training_rows(4)
    loss = training_loss(operator, x, present)

    def error(m, common, rest, content):
        rebuilt = loops.slot(operator.rebuild, m - 1, np.concatenate([common, rest]))
        return float(((rebuilt - content) ** 2).mean())

    losses = []
    for a, b in combinations((1, 2, 3), 2):
        rows = []
        for row in range(N):
            slots = there(present, row)
            if a not in slots or b not in slots:
                continue
            content = x[row].numpy()
            common, rest = pamd_parts(loops, operator, content, slots)
            total = ((common[a] - common[b]) ** 2).mean() + loops.cosine(rest[a], rest[b]) ** 2
            for own, other in ((a, b), (b, a)):
                good = error(own, common[other], rest[own], content[own])
                bad = error(own, common[own], rest[other], content[own])
                total += np.log1p(np.exp(good - bad))
            rows.append(total)
        losses.append(np.mean(rows))
    assert loss == pytest.approx(0.2 * np.mean(losses), rel=1e-7)


def test_marn_adds_specific_views_and_the_largest_trusted_shared_part(compare, loops):
    operator = OPERATORS["marn"](3, D)

    def formula(x, slots, query):
        shared = {m: loops.flat(operator.shared, x[m]) for m in slots}
        views = sum(
            np.tanh(loops.slot(operator.view, m, loops.slot(operator.specific, m, x[m])))
            for m in slots
        )
        trusted = []
        for m in slots:
            guess = loops.softmax(loops.flat(operator.tell_weight, shared[m]))
            trusted.append((1.0 - guess[m]) * shared[m])
        return views + np.max(trusted, axis=0)

    compare(operator, formula)


def test_marn_loss_is_three_classifiers_of_the_modality(loops):
    operator = OPERATORS["marn"](3, D, weight=0.5, adversary=0.2)
    x, present = training_rows(3)
    loss = training_loss(operator, x, present)
    losses = {"tell_weight": [], "tell_shared": [], "tell_specific": []}
    for row in range(N):
        for m in there(present, row):
            vector = x[row, m].numpy()
            shared = loops.flat(operator.shared, vector)
            own = loops.slot(operator.specific, m, vector)
            for name, view in (
                ("tell_weight", shared),
                ("tell_shared", shared),
                ("tell_specific", own),
            ):
                guess = loops.softmax(loops.flat(getattr(operator, name), view))
                losses[name].append(-np.log(guess[m]))
    tells, fooled, identified = (np.mean(part) for part in losses.values())
    assert loss == pytest.approx(0.5 * (tells + 0.2 * (fooled + identified)), rel=1e-7)


def test_marn_adversary_pushes_modality_out_of_the_shared_part():
    operator = OPERATORS["marn"](3, D).double().train()
    x, present = training_rows(3)
    operator(x, present).loss.backward()
    pushed = operator.shared.layers[0].weight.grad.clone()
    operator.zero_grad()
    shared = operator.shared(x[present])
    slot = torch.arange(3).expand(present.shape)[present]
    torch.nn.functional.cross_entropy(operator.tell_shared(shared), slot).backward()
    torch.testing.assert_close(pushed, -0.05 * operator.shared.layers[0].weight.grad)


def simcen_views(loops, operator, x, slots):
    gram = np.zeros((3, 3))
    for i in slots:
        for j in slots:
            gram[i, j] = float(loops.flat(operator.turn, x[i]) @ x[j])
    above = [gram[i, j] for i in range(3) for j in range(3) if j >= i]
    below = [gram[i, j] for i in range(3) for j in range(3) if j <= i]
    views = [
        loops.side_by_side(x, slots),
        loops.flat(operator.above, np.array(above)),
        loops.flat(operator.below, np.array(below)),
    ]
    for layer, expert in enumerate(operator.experts):
        ego, *both = np.split(
            loops.matrix(
                loops.numbers(expert.mix.weight),
                np.concatenate(views),
                loops.numbers(expert.mix.bias),
            ),
            3,
        )
        gate = loops.sigmoid(
            loops.matrix(loops.numbers(expert.gate.weight), ego, loops.numbers(expert.gate.bias))
        ) / loops.numbers(expert.scale)
        both = [gate * view + view for view in both]
        if layer:
            shifts = loops.numbers(operator.shifts[layer - 1])
            both = [v + n + b for v, n, b in zip(both, shifts, views[1:], strict=True)]
        views = [ego.clip(min=0.0), np.where(both[0] > 0, both[0], 0.01 * both[0])]
        views.append(both[1].clip(min=0.0))
    return [views[0], views[0] + views[1], views[0] + views[2]]


@pytest.mark.parametrize(("layers", "hidden"), [(1, 0), (3, 5)])
def test_simcen_gates_three_views_of_the_gram_matrix(compare, loops, layers, hidden):
    operator = OPERATORS["simcen"](3, D, layers=layers, hidden=hidden)

    def formula(x, slots, query):
        views = simcen_views(loops, operator, x, slots)
        return loops.flat(operator.mix, np.concatenate(views))

    compare(operator, formula)


def test_simcen_gives_its_three_outputs_as_tokens(loops):
    operator = OPERATORS["simcen"](3, D, readout="tokens", hidden=2 * D).eval()
    x, present = torch.randn(4, 3, D), torch.ones(4, 3, dtype=torch.bool)
    with torch.no_grad():
        tokens = operator(x, present).tokens
    assert tokens.shape == (4, operator.tokens_out, D) == (4, 6, D)
    views = [np.concatenate(simcen_views(loops, operator, row.numpy(), [0, 1, 2])) for row in x]
    np.testing.assert_allclose(tokens.flatten(1), views, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=f"hidden is {D + 1}; tokens of {D} need a multiple"):
        OPERATORS["simcen"](3, D, readout="tokens", hidden=D + 1)


def test_simcen_loss_contrasts_the_views(loops):
    operator = OPERATORS["simcen"](3, D, weight=0.4, temperature=0.5, dropout=0.0)
    x, present = training_rows(3)
    loss = training_loss(operator, x, present)
    rows = [row for row in range(N) if there(present, row)]
    views = [simcen_views(loops, operator, x[row].numpy(), there(present, row)) for row in rows]
    total = 0.0
    for item, above, below in views:
        shown = item if item.any() else np.full(D, 1e-9)  # of no length: at no angle to any
        together = (loops.cosine(shown, above) + loops.cosine(shown, below)) / (2 * 0.5)
        together *= bool(item.any())
        apart = sum(np.exp(loops.cosine(above, other[2]) / 0.5) for other in views)
        total -= np.log(np.exp(together) / apart + 1e-5)
    assert loss == pytest.approx(0.4 * total / len(rows), rel=1e-5)


@pytest.mark.parametrize("twins", [0, 8])
def test_em3_loss_is_infonce_between_content_and_id(loops, twins):
    """Rows of the same id are not each other's negatives."""
    operator = OPERATORS["em3"](3, D, queries=2, heads=2, weight=0.3, temperature=0.5)
    x, present = training_rows(3)
    x[1 : 1 + twins, 0] = x[1, 0]
    loss = training_loss(operator, x, present)
    contents, items = [], []
    for row in range(N):
        slots = there(present, row)
        content_slots = [m for m in slots if m > 0]
        if 0 not in slots or not content_slots:
            continue
        tokens = [*loops.numbers(operator.encode.queries)]
        tokens += [
            x[row, m].numpy() + loops.numbers(operator.encode.slot)[m - 1] for m in content_slots
        ]
        for layer in operator.encode.layers:
            tokens = loops.encoder(layer, tokens)
        contents.append(loops.flat(operator.encode.mix, np.concatenate(tokens[:2])))
        items.append(x[row, 0].numpy())
    score = [[loops.cosine(c, i) / 0.5 for i in items] for c in contents]
    across, down = [], []
    for i, own in enumerate(items):
        rivals = [j for j, other in enumerate(items) if j == i or not (other == own).all()]
        place = rivals.index(i)
        across.append(-np.log(loops.softmax([score[i][j] for j in rivals])[place]))
        down.append(-np.log(loops.softmax([score[j][i] for j in rivals])[place]))
    assert not twins or len({item.tobytes() for item in items}) < len(items)
    assert loss == pytest.approx(0.3 * 0.5 * (np.mean(across) + np.mean(down)), rel=1e-5)


@pytest.mark.parametrize("name", ["shared_specific", "pamd", "marn", "em3", "simcen", "moe"])
def test_a_batch_in_which_every_slot_is_absent_has_loss_zero(name):
    operator = OPERATORS[name](3, D).train()
    x, present = torch.full((5, 3, D), torch.nan), torch.zeros(5, 3, dtype=torch.bool)
    assert float(operator(x, present).loss.detach()) == 0.0


@pytest.mark.parametrize("name", ["em3", "simcen"])
def test_losses_over_pairs_of_items_take_at_most_1024_rows(name, monkeypatch):
    from fusefront.fusion_variants import contrast

    sizes = []
    draw = torch.randperm
    monkeypatch.setattr(contrast.torch, "randperm", lambda n: sizes.append(n) or draw(n))
    operator = OPERATORS[name](3, D).train()
    operator(torch.randn(1500, 3, D), torch.ones(1500, 3, dtype=torch.bool))
    assert sizes == [1500]
    assert len(contrast.sampled(1500, torch.device("cpu"))) == 1024
