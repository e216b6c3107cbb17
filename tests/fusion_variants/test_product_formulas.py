"""Products between slots against their formulas as plain loops in float64."""

from itertools import combinations, product

import numpy as np
import pytest

from fusefront.fusion_variants.zoo import OPERATORS

D = 4


@pytest.mark.parametrize("sharing", ["all", "each", "interaction"])
@pytest.mark.parametrize("rank", [0, 2])
def test_bilinear_multiplies_every_pair_that_is_there(compare, loops, sharing, rank):
    operator = OPERATORS["bilinear"](4, D, sharing=sharing, rank=rank)

    def turned(vector, index):
        for layer in operator.turn:
            if sharing == "all":
                vector = loops.flat(layer, vector)
            else:
                vector = loops.slot(layer, index, vector)
        return vector

    def formula(x, there, query):
        fields = [x[m] if m in there else np.zeros(D) for m in range(4)]
        for index, (i, j) in enumerate(combinations(range(4), 2)):
            both = i in there and j in there
            matrix = {"all": 0, "each": i, "interaction": index}[sharing]
            fields.append(turned(x[i], matrix) * x[j] if both else np.zeros(D))
        return loops.flat(operator.mix, np.concatenate(fields))

    compare(operator, formula)


@pytest.mark.parametrize("rank", [1, 3])
def test_lmf_is_a_weighted_sum_of_products_of_factors(compare, loops, rank):
    operator = OPERATORS["lmf"](3, D, rank=rank)

    def formula(x, there, query):
        weight, out = loops.numbers(operator.weight)[0], loops.numbers(operator.bias).copy()
        factors = {m: loops.slot(operator.factor, m, x[m]) for m in there}
        for r in range(rank):
            for k in range(D):
                term = weight[r]
                for m in there:
                    term *= factors[m][r * D + k]
                out[k] += term
        return out

    compare(operator, formula)


def test_tfn_weighs_every_product_of_every_subset(compare, loops):
    k, slots = 2, 3
    operator = OPERATORS["tfn"](slots, D, k=k)

    def formula(x, there, query):
        narrow = {m: loops.slot(operator.narrow, m, x[m]) for m in there}
        terms = []
        for index in product(range(k + 1), repeat=slots):
            term = 1.0
            for m, position in enumerate(index):
                if position < k:  # position k is the constant 1
                    term *= narrow[m][position] if m in there else 0.0
            terms.append(term)
        return loops.flat(operator.mix, np.array(terms))

    compare(operator, formula)


@pytest.mark.parametrize("bias", [False, True])
def test_mtfn_adds_rank_one_products(compare, loops, bias):
    rank, hidden = 3, 2
    operator = OPERATORS["mtfn"](3, D, rank=rank, hidden=hidden, bias=bias)

    def formula(x, there, query):
        factors = {m: loops.slot(operator.factor, m, x[m]) for m in there}
        total = np.zeros(hidden)
        for r in range(rank):
            for h in range(hidden):
                term = 1.0
                for m in there:
                    term *= factors[m][r * hidden + h]
                total[h] += term
        return loops.flat(operator.mix, total)

    compare(operator, formula)


def test_mutan_multiplies_squashed_projections(compare, loops):
    rank, hidden = 3, 2
    operator = OPERATORS["mutan"](3, D, rank=rank, inner=3, hidden=hidden)

    def formula(x, there, query):
        inner = {m: np.tanh(loops.slot(operator.squash, m, x[m])) for m in there}
        factors = {m: loops.slot(operator.factor, m, inner[m]) for m in there}
        total = np.zeros(hidden)
        for r in range(rank):
            for h in range(hidden):
                total[h] += np.prod([factors[m][r * hidden + h] for m in there])
        return loops.flat(operator.mix, total)

    compare(operator, formula)


@pytest.mark.parametrize("name", ["mtfn", "mutan"])
def test_products_start_around_one_and_minus_one_in_turn(name):
    bias = OPERATORS[name](3, D, rank=4, hidden=2).factor.bias.detach().squeeze(1)
    assert bias[0].tolist() == [-1, -1, 1, 1, -1, -1, 1, 1]
    assert (bias[1:] == 1).all()


@pytest.mark.parametrize("readout", ["linear", "tokens"])
@pytest.mark.parametrize("rank", [0, 2])
def test_dcnv2_multiplies_the_start_into_every_layer(compare, loops, readout, rank):
    operator = OPERATORS["dcnv2"](3, D, layers=2, rank=rank, readout=readout)

    def formula(x, there, query):
        start = loops.side_by_side(x, there)
        h = start
        for layer in operator.cross:
            turned = h
            for part in layer if rank else [layer]:
                turned = loops.flat(part, turned)
            h = start * turned + h
        if readout == "tokens":
            return h.reshape(3, D)
        return loops.flat(operator.mix, h)

    compare(operator, formula)


@pytest.mark.parametrize("readout", ["linear", "tokens"])
def test_quadratic_multiplies_the_slots_with_a_map_of_themselves(compare, loops, readout):
    operator = OPERATORS["quadratic"](3, D, layers=2, readout=readout)

    def formula(x, there, query):
        parts = {m: x[m] for m in there}
        for turn, norm, bend in zip(operator.turns, operator.norms, operator.bends, strict=True):
            everything = np.concatenate([parts.get(m, np.zeros(D)) for m in range(3)])
            turned = loops.flat(turn, everything).reshape(3, D)
            slope = float(loops.numbers(bend.weight)[0])
            for m in there:
                inner = loops.norm(norm, parts[m] * turned[m])
                parts[m] = parts[m] + np.array([v if v > 0 else slope * v for v in inner])
        everything = np.concatenate([parts.get(m, np.zeros(D)) for m in range(3)])
        return (
            everything.reshape(3, D)
            if readout == "tokens"
            else loops.flat(operator.mix, everything)
        )

    compare(operator, formula)
