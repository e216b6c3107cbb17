"""Alignment losses against scipy, plain loops and what their gradients should do."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.special import softmax as scipy_softmax
from scipy.stats import entropy

from fusefront.fusion_variants.zoo import ALIGNMENTS
from fusefront.harness.testing import check_alignment

D = 6


def views(n=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, D, generator=generator, dtype=torch.float64).float()
    return a, b, torch.arange(n)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_kl_is_the_mean_of_both_directions(temperature):
    a, b, ids = views()
    expected = 0.0
    for x, y in zip(a.double().numpy(), b.double().numpy(), strict=True):
        p, q = scipy_softmax(x / temperature), scipy_softmax(y / temperature)
        expected += 0.5 * (entropy(p, q) + entropy(q, p)) / len(a)
    actual = ALIGNMENTS["kl"](D, temperature=temperature)(a, b, ids)
    assert float(actual) == pytest.approx(expected, rel=1e-5)


def test_infonce_leaves_out_the_twins_of_an_item():
    a, b, _ = views()
    ids = np.array([0, 1, 2, 2, 3, 4, 4, 4, 5])
    x, y = a.double().numpy(), b.double().numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    score = x @ y.T / 0.2
    expected = 0.0
    for i in range(9):
        rivals = [j for j in range(9) if j == i or ids[j] != ids[i]]
        expected += logsumexp(score[i, rivals]) - score[i, i]
        expected += logsumexp(score[rivals, i]) - score[i, i]
    actual = ALIGNMENTS["infonce"](D, temperature=0.2)(a, b, torch.from_numpy(ids))
    assert float(actual) == pytest.approx(expected / 18, rel=1e-5)


def test_infonce_of_one_item_only_is_zero():
    a, b, _ = views(4)
    assert float(ALIGNMENTS["infonce"](D)(a, b, torch.zeros(4, dtype=torch.int64))) == 0.0


def test_cosine_is_one_minus_the_mean_cosine():
    a, b, ids = views()
    x, y = a.double().numpy(), b.double().numpy()
    expected = np.mean([1 - p @ q / np.sqrt(p @ p * (q @ q)) for p, q in zip(x, y, strict=True)])
    assert float(ALIGNMENTS["cosine"](D)(a, b, ids)) == pytest.approx(expected, rel=1e-5)


def test_mmd_is_the_kernel_mean_difference():
    a, b, ids = views()
    b = b + 1.0
    x, y = a.double().numpy(), b.double().numpy()
    both = np.concatenate([x, y])
    width = cdist(both, both, "sqeuclidean").mean()

    def kernel(p, q):
        distance = cdist(p, q, "sqeuclidean")
        return np.mean([np.exp(-distance / (s * width)) for s in (0.25, 0.5, 1, 2, 4)])

    expected = kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)
    assert float(ALIGNMENTS["mmd"](D)(a, b, ids)) == pytest.approx(expected, rel=1e-5)


def test_mmd_tells_two_distributions_from_one():
    generator = torch.Generator().manual_seed(1)
    a, same, other = torch.randn(3, 400, D, generator=generator)
    loss, ids = ALIGNMENTS["mmd"](D), torch.arange(400)
    assert float(loss(a, other + 1.0, ids)) > 10 * float(loss(a, same, ids)) > 0


def test_adversarial_loss_falls_for_the_network_and_rises_for_the_views():
    torch.manual_seed(0)
    a, b, ids = views(64)
    a, b = a.requires_grad_(), (b + 0.5).requires_grad_()
    loss = ALIGNMENTS["adversarial"](D)
    before = loss(a, b, ids)
    assert float(before.detach()) == pytest.approx(math.log(2), abs=0.1)
    before.backward()
    with torch.no_grad():
        views_moved = loss(a - 0.5 * a.grad, b - 0.5 * b.grad, ids)
        for parameter in loss.parameters():
            parameter -= 0.5 * parameter.grad
        network_moved = loss(a, b, ids)
    assert float(network_moved) < float(before.detach()) < float(views_moved)


@pytest.mark.parametrize("name", ["kl", "infonce", "cosine", "mmd"])
def test_descent_on_the_loss_aligns_two_views(name):
    a, b, ids = views(64)
    b = b.clone().requires_grad_()
    loss = ALIGNMENTS[name](D)
    optimiser = torch.optim.Adam([b], lr=0.05)
    first = float(loss(a, b, ids).detach())
    for _ in range(100):
        optimiser.zero_grad()
        loss(a, b, ids).backward()
        optimiser.step()
    assert float(loss(a, b, ids).detach()) < 0.5 * first


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_every_loss_keeps_the_contract(name):
    check_alignment(ALIGNMENTS[name], d=D)


@pytest.mark.parametrize("name", ["infonce", "mmd"])
def test_quadratic_losses_see_at_most_1024_rows(name):
    a, b, ids = views(3000)
    loss = ALIGNMENTS[name](D)
    b = b.requires_grad_()
    torch.manual_seed(0)
    loss(a, b, ids).backward()
    assert int(b.grad.abs().sum(-1).count_nonzero()) == 1024
