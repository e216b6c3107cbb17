"""Attention operators against hand loops over queries, heads and slots in float64."""

import numpy as np
import pytest
import torch

from fusefront.fusion_variants.zoo import OPERATORS

D = 4


@pytest.mark.parametrize("readout", ["mean", "tokens"])
def test_self_attention_over_the_slots_that_are_there(compare, loops, readout):
    operator = OPERATORS["self_attention"](3, D, layers=2, heads=2, readout=readout)

    def formula(x, there, query):
        tokens = [x[m] + loops.numbers(operator.slot)[m] for m in there]
        for layer in operator.layers:
            tokens = loops.encoder(layer, tokens)
        if readout == "mean":
            return sum(tokens) / len(tokens)
        out = np.zeros((3, D))
        out[there] = tokens
        return out

    compare(operator, formula)


def test_cross_attention_adds_to_the_id_what_it_reads_in_the_content(compare, loops):
    operator = OPERATORS["cross_attention"](4, D, heads=2)

    def formula(x, there, query):
        item = x[0] if 0 in there else np.zeros(D)
        slots = [x[m] + loops.numbers(operator.slot)[m - 1] for m in there if m > 0]
        return item + (loops.attention(operator.attention, item, slots) if slots else 0.0)

    compare(operator, formula)


def test_cross_attention_with_a_query_reads_all_slots(compare, loops):
    operator = OPERATORS["cross_attention"](3, D, heads=2, query_width=5)

    def formula(x, there, query):
        slots = [x[m] + loops.numbers(operator.slot)[m] for m in there]
        return loops.attention(operator.attention, query, slots)

    compare(operator, formula, query_width=5)


def test_mbt_lets_slots_talk_through_the_bottleneck_only(compare, loops):
    operator = OPERATORS["mbt"](3, D, bottleneck=2, layers=2, heads=2)

    def formula(x, there, query):
        own = {m: x[m] for m in there}
        shared = list(loops.numbers(operator.bottleneck))
        for layer in operator.layers:
            encoded = {m: loops.encoder(layer[m], [own[m], *shared]) for m in there}
            own = {m: encoded[m][0] for m in there}
            shared = [sum(encoded[m][1 + b] for m in there) / len(there) for b in range(2)]
        return sum(own.values()) / len(there) + sum(shared) / 2

    compare(operator, formula)


def test_perceiver_latents_read_the_slots_then_one_another(compare, loops):
    operator = OPERATORS["perceiver"](3, D, latents=2, heads=2)

    def formula(x, there, query):
        slots = [x[m] + loops.numbers(operator.slot)[m] for m in there]
        latents = [
            loops.norm(operator.norm, latent + loops.attention(operator.read, latent, slots))
            for latent in loops.numbers(operator.latents)
        ]
        return sum(loops.encoder(operator.think, latents)) / 2

    compare(operator, formula)


def test_fq_former_keeps_what_the_queries_become(compare, loops):
    operator = OPERATORS["fq_former"](3, D, queries=2, layers=2, heads=2)

    def formula(x, there, query):
        return query_encoder(loops, operator.encode, x, there)

    compare(operator, formula)


def query_encoder(loops, encode, x, there):
    slots = [x[m] + loops.numbers(encode.slot)[m] for m in there]
    tokens = [*loops.numbers(encode.queries), *slots]
    for layer in encode.layers:
        tokens = loops.encoder(layer, tokens)
    return loops.flat(encode.mix, np.concatenate(tokens[: len(encode.queries)]))


def test_em3_mixes_the_id_with_content_read_by_queries(compare, loops):
    operator = OPERATORS["em3"](3, D, queries=2, layers=2, heads=2)

    def formula(x, there, query):
        item = x[0] if 0 in there else np.zeros(D)
        content_slots = [m - 1 for m in there if m > 0]
        content = (
            query_encoder(loops, operator.encode, x[1:], content_slots)
            if content_slots
            else np.zeros(D)
        )
        return loops.flat(operator.mix, np.concatenate([item, content]))

    compare(operator, formula)


def reverse_steps(loops, operator, start, there):
    steps, noise = len(operator.step), operator.noise
    own = dict(start)
    for t in range(steps, 0, -1):
        before = dict(own)
        for m in there:
            others = [n for n in there if n != m]
            context = np.zeros(D)
            if others:
                scores = [
                    float(before[m] @ loops.flat(operator.turn, before[n])) / D**0.5 for n in others
                ]
                for weight, n in zip(loops.softmax(scores), others, strict=True):
                    context += weight * before[n]
            both = np.concatenate([before[m], context])
            guess = loops.flat(operator.predict, both) + loops.numbers(operator.step)[t - 1]
            signal = (1.0 - noise) ** t
            own[m] = (before[m] - noise / (1.0 - signal) ** 0.5 * guess) / (1.0 - noise) ** 0.5
    parts = [loops.norm(operator.norm, own[m]) if m in there else np.zeros(D) for m in range(3)]
    return loops.flat(operator.mix, np.concatenate(parts))


def test_src_denoises_each_slot_by_what_the_others_say(compare, loops):
    operator = OPERATORS["src"](3, D, steps=3, noise=0.1)
    compare(
        operator,
        lambda x, there, q: reverse_steps(loops, operator, {m: x[m] for m in there}, there),
    )


def test_src_of_two_slots_has_nothing_to_choose():
    """The one other slot is what each sees, whatever its score."""
    sizes = {
        slots: sum(p.numel() for p in OPERATORS["src"](slots, D, steps=3).parameters())
        for slots in (2, 3, 4)
    }
    one_more = sizes[4] - sizes[3]  # of the network that mixes them
    assert sizes[3] - sizes[2] == one_more + D * D  # and who is asked


def test_src_starts_training_from_noisy_slots(loops):
    operator = OPERATORS["src"](3, D, steps=2, noise=0.3).double().train()
    x = torch.randn(1, 3, D, dtype=torch.float64)
    torch.manual_seed(11)
    token = operator(x, torch.ones(1, 3, dtype=torch.bool)).tokens[0, 0].detach()
    torch.manual_seed(11)
    drawn = torch.randn(1, 3, D, dtype=torch.float64)
    signal = 0.7**2
    noisy = (signal**0.5 * x + (1.0 - signal) ** 0.5 * drawn)[0].numpy()
    expected = reverse_steps(loops, operator, dict(enumerate(noisy)), [0, 1, 2])
    np.testing.assert_allclose(token.numpy(), expected, rtol=1e-9)


def read_weights(loops, operator, x, there):
    """Mean over heads and readers, slot by slot; what is absent weighs nothing."""
    if operator.name == "self_attention":
        slots = {m: x[m] + loops.numbers(operator.slot)[m] for m in there}
        layer, readers = operator.layers[0].attention, list(slots.values())
    elif operator.name == "perceiver":
        slots = {m: x[m] + loops.numbers(operator.slot)[m] for m in there}
        layer, readers = operator.read, list(loops.numbers(operator.latents))
    else:
        encode = operator.encode
        slots = {m: x[m] + loops.numbers(encode.slot)[m] for m in there}
        layer, readers = encode.layers[0].attention, list(loops.numbers(encode.queries))
    among = list(slots.values()) if operator.name != "fq_former" else [*readers, *slots.values()]
    weights = np.zeros(len(x))
    for reader in readers:
        for head in loops.read(layer, reader, among):
            for m, weight in zip(slots, head[len(among) - len(slots) :], strict=True):
                weights[m] += weight / len(readers) / layer.heads
    return weights


@pytest.mark.parametrize("name", ["self_attention", "perceiver", "fq_former"])
def test_attention_tells_how_its_slots_are_read(loops, name):
    """In the first layer, absent slots neither read nor are read."""
    torch.manual_seed(5)
    operator = OPERATORS[name](3, D, heads=2).double().eval()
    for parameter in operator.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(4, 3, D, dtype=torch.float64)
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.bool)
    broken = x.masked_fill(~present.unsqueeze(-1), float("nan"))
    weights = operator.weights(broken, present).detach().numpy()
    for row in range(3):
        there = np.flatnonzero(present[row].numpy()).tolist()
        expected = read_weights(loops, operator, x[row].numpy(), there)
        np.testing.assert_allclose(weights[row], expected, rtol=1e-9)
    assert weights[3].tolist() == [0.0, 0.0, 0.0]
