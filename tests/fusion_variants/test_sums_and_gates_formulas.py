"""Sums, gates and logit fusion against their formulas as plain loops in float64."""

import numpy as np
import pytest
import torch

from fusefront.fusion_variants.zoo import OPERATORS

D = 4


def test_concat_is_one_matrix_over_all_slots(compare, loops):
    operator = OPERATORS["concat"](3, D)
    compare(operator, lambda x, there, q: loops.flat(operator.mix, loops.side_by_side(x, there)))


def test_sum_adds_the_slots_that_are_there(compare):
    compare(OPERATORS["sum"](3, D), lambda x, there, q: sum(x[m] for m in there))


def test_mean_divides_by_the_slots_that_are_there(compare):
    compare(OPERATORS["mean"](3, D), lambda x, there, q: sum(x[m] for m in there) / len(there))


def test_maf_adds_a_tanh_view_of_each_slot(compare, loops):
    operator = OPERATORS["maf"](3, D)
    compare(
        operator,
        lambda x, there, q: sum(np.tanh(loops.slot(operator.view, m, x[m])) for m in there),
    )


@pytest.mark.parametrize("query_width", [0, 3])
def test_scalar_gate_is_a_softmax_over_the_slots_that_are_there(compare, loops, query_width):
    operator = OPERATORS["scalar_gate"](3, D, hidden=6, query_width=query_width)

    def formula(x, there, query):
        features = loops.side_by_side(x, there)
        if query_width:
            features = np.concatenate([features, query])
        score = loops.flat(operator.score, features)
        weights = loops.softmax([score[m] for m in there])
        return sum(w * x[m] for w, m in zip(weights, there, strict=True))

    compare(operator, formula, query_width=query_width)


def test_scalar_gate_on_logits_takes_its_features_from_the_query(compare, loops):
    operator = OPERATORS["scalar_gate"](3, 1, hidden=6, query_width=5)

    def formula(x, there, query):
        score = loops.flat(operator.score, np.concatenate([loops.side_by_side(x, there), query]))
        weights = loops.softmax([score[m] for m in there])
        return sum(w * x[m] for w, m in zip(weights, there, strict=True))

    compare(operator, formula, d=1, query_width=5)


def test_scalar_gate_tells_its_weights():
    operator = OPERATORS["scalar_gate"](3, D)
    present = torch.tensor([[True, False, True]])
    weights = operator.weights(torch.randn(1, 3, D), present)
    assert weights[0, 1] == 0.0
    torch.testing.assert_close(weights.sum(-1), torch.ones(1))


def test_a_query_of_the_wrong_width_is_refused():
    operator = OPERATORS["scalar_gate"](3, D, query_width=5)
    x, present = torch.randn(2, 3, D), torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="built with query_width=5 but got no query"):
        operator(x, present)
    with pytest.raises(ValueError, match="built with query_width=5 but got a query of width 2"):
        operator(x, present, torch.randn(2, 2))


def test_gmu_gates_every_number_by_all_slots(compare, loops):
    operator = OPERATORS["gmu"](3, D)

    def formula(x, there, query):
        gate = loops.sigmoid(loops.flat(operator.gate, loops.side_by_side(x, there)))
        return sum(
            gate[m * D : (m + 1) * D] * np.tanh(loops.slot(operator.view, m, x[m])) for m in there
        )

    compare(operator, formula)


def test_film_scales_and_shifts_the_id_by_the_content(compare, loops):
    operator = OPERATORS["film"](3, D)

    def formula(x, there, query):
        item = x[0] if 0 in there else np.zeros(D)
        turn = loops.flat(operator.turn, loops.side_by_side(x, there, (1, 2)))
        return (1.0 + turn[:D]) * item + turn[D:]

    compare(operator, formula)


def test_film_with_a_query_scales_and_shifts_all_slots_by_it(compare, loops):
    operator = OPERATORS["film"](3, D, query_width=5)

    def formula(x, there, query):
        turn = loops.flat(operator.turn, query)
        base = loops.flat(operator.base, loops.side_by_side(x, there))
        return (1.0 + turn[:D]) * base + turn[D:]

    compare(operator, formula, query_width=5)


@pytest.mark.parametrize("readout", ["linear", "tokens"])
def test_senet_weighs_slots_by_their_means(compare, loops, readout):
    operator = OPERATORS["senet"](3, D, reduction=2, readout=readout)

    def formula(x, there, query):
        squeezed = [x[m].sum() / D if m in there else 0.0 for m in range(3)]
        weight = loops.sigmoid(loops.flat(operator.excite, np.array(squeezed)))
        weighed = np.array([weight[m] * x[m] for m in range(3)])
        if readout == "tokens":
            return loops.side_by_side(weighed, there).reshape(3, D)
        return loops.flat(operator.mix, loops.side_by_side(weighed, there))

    compare(operator, formula)


@pytest.mark.parametrize("top_k", [0, 1, 2])
@pytest.mark.parametrize("query_width", [0, 3])
def test_moe_adds_the_chosen_experts_by_their_weights(compare, loops, top_k, query_width):
    operator = OPERATORS["moe"](3, D, experts=3, hidden=5, top_k=top_k, query_width=query_width)

    def formula(x, there, query):
        features = loops.side_by_side(x, there)
        if query_width:
            features = np.concatenate([features, query])
        weights = loops.softmax(loops.flat(operator.route, features))
        inner = loops.flat(operator.enter, features).reshape(3, 5).clip(min=0.0)
        chosen = sorted(range(3), key=lambda e: -weights[e])[: top_k or 3]
        total = sum(weights[e] for e in chosen) if top_k > 1 else 1.0
        return sum(weights[e] / total * loops.slot(operator.leave, e, inner[e]) for e in chosen)

    compare(operator, formula, query_width=query_width)


def test_moe_takes_no_more_than_k_of_experts_that_tie(loops):
    """At bfloat16, or before it has learned, the router often ties."""
    operator = OPERATORS["moe"](3, D, experts=4, hidden=5, top_k=1).double().eval()
    with torch.no_grad():
        for parameter in operator.route.parameters():
            parameter.zero_()
    x = torch.randn(1, 3, D, dtype=torch.float64)
    token = operator(x, torch.ones(1, 3, dtype=torch.bool)).tokens[0, 0].detach().numpy()
    inner = loops.flat(operator.enter, x[0].flatten().numpy()).reshape(4, 5).clip(min=0.0)
    alone = [0.25 * loops.slot(operator.leave, e, inner[e]) for e in range(4)]
    assert sum(np.allclose(token, expert) for expert in alone) == 1


@pytest.mark.parametrize("top_k", [0, 1, 2])
def test_moe_balance_loss_counts_choices_times_probabilities(loops, top_k):
    torch.manual_seed(3)
    operator = OPERATORS["moe"](3, D, experts=4, hidden=5, top_k=top_k, balance=0.5).double()
    x = torch.randn(20, 3, D, dtype=torch.float64)
    present = torch.ones(20, 3, dtype=torch.bool)
    present[4] = False  # an item with nothing counts for nothing
    loss = operator.train()(x, present).loss
    chosen, weight = np.zeros(4), np.zeros(4)
    for row in range(20):
        if row == 4:
            continue
        p = loops.softmax(loops.flat(operator.route, x[row].flatten().numpy()))
        for expert in sorted(range(4), key=lambda e: -p[e])[: max(top_k, 1)]:
            chosen[expert] += 1.0 / max(top_k, 1) / 19
        weight += np.array(p) / 19
    assert float(loss.detach()) == pytest.approx(0.5 * 4 * float(chosen @ weight), rel=1e-6)


def test_logit_average_divides_by_the_towers_that_are_there(compare):
    compare(
        OPERATORS["logit_average"](3, 1),
        lambda x, there, q: sum(x[m] for m in there) / len(there),
        d=1,
    )


def test_logit_weighted_is_a_softmax_over_the_towers_that_are_there(compare, loops):
    operator = OPERATORS["logit_weighted"](3, 1)

    def formula(x, there, query):
        weights = loops.softmax([loops.numbers(operator.weight)[m] for m in there])
        return sum(w * x[m] for w, m in zip(weights, there, strict=True))

    compare(operator, formula, d=1)


@pytest.mark.parametrize("hidden", [0, 6])
def test_logit_stacked_reads_logits_and_presence(compare, loops, hidden):
    operator = OPERATORS["logit_stacked"](3, 1, hidden=hidden)

    def formula(x, there, query):
        presence = [1.0 if m in there else 0.0 for m in range(3)]
        return loops.flat(operator.stack, np.concatenate([loops.side_by_side(x, there), presence]))

    compare(operator, formula, d=1)


def test_logit_stacked_starts_as_the_average_and_teaches_no_tower():
    operator = OPERATORS["logit_stacked"](4, 1)
    logits = torch.randn(5, 4, 1, requires_grad=True)
    out = operator(logits, torch.ones(5, 4, dtype=torch.bool)).tokens
    torch.testing.assert_close(out[:, 0], logits.mean(1))
    out.sum().backward()
    assert logits.grad is None
