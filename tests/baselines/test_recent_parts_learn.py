"""What recent parts are for, they find: products of features, likeness of content, counts."""

import pytest
import torch
from torch import nn

from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS

D, L = 4, 24
VALUE = nn.functional.normalize(torch.randn(D, generator=torch.Generator().manual_seed(5)), dim=0)


def explained(parameters, error, steps):
    """Train by the error; its value on fresh rows once more."""
    optimiser = torch.optim.Adam(parameters, lr=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-2, total_steps=steps)
    for _ in range(steps):
        optimiser.zero_grad()
        error().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return 1.0 - sum(float(error()) for _ in range(20)) / 20


def product_of_two(name):
    torch.manual_seed(0)
    head = HEADS[name](6)

    def error():
        x = torch.randn(256, 6)
        return (head(x) - x[:, 0] * x[:, 1]).square().mean()  # variance 1

    return explained(head.parameters(), error, 250)


@pytest.mark.parametrize("name", ["final_mlp", "gdcn", "mask_net", "ppnet", "rank_mixer"])
def test_a_head_finds_a_product_of_two_features(name):
    assert product_of_two(name) > 0.75


def test_a_linear_head_finds_no_product():
    assert product_of_two("linear") < 0.05


def alike_and_weighed(name, **settings):
    """The value of the item whose content is the candidate's, ids saying nothing of likeness."""
    torch.manual_seed(0)
    pooler = POOLERS[name](D, **settings)
    head = nn.Linear(D, 1)
    content = getattr(pooler, "content", 0)

    def error():
        x, g = torch.randn(64, L, D), torch.randn(64, L, 8)
        twin = torch.randint(0, L, (64,))
        toward = g[torch.arange(64), twin].unsqueeze(1)
        truth = x[torch.arange(64), twin] @ VALUE
        t, mask = torch.randn(64, 1, D), torch.ones(64, L, dtype=torch.bool)
        if content:
            u = pooler(pooler.target_code(t, toward), pooler.history_code(x, g), mask)
        else:
            u = pooler(pooler.prepare_target(t), pooler.prepare_history(x), mask)
        return (head(u)[:, 0, 0] - truth).square().mean()

    return explained([*pooler.parameters(), *head.parameters()], error, 150)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("semantic_attention", {"content": 8}),
        ("content_search", {"content": 8, "nearest": 3}),
        ("content_search", {"content": 8, "nearest": 6, "bits": 64}),
    ],
)
def test_attention_by_content_reads_the_item_that_is_meant(name, settings):
    assert alike_and_weighed(name, **settings) > 0.8


def test_attention_by_ids_alone_reads_none():
    assert alike_and_weighed("target_attention") < 0.2


def test_hstu_reads_how_often_something_occurs():
    """The share of the history that is of the candidate's kind, which softmax would normalise."""
    torch.manual_seed(0)
    kinds = nn.functional.one_hot(torch.arange(4), 4).float()
    pooler, head = POOLERS["hstu"](D), nn.Linear(D, 1)

    def error():
        kind = torch.randint(0, 4, (128, L))
        asked_kind = torch.randint(0, 4, (128, 1))
        share = (kind == asked_kind).float().mean(-1)
        u = pooler(kinds[asked_kind], kinds[kind], torch.ones(128, L, dtype=torch.bool))
        return (head(u)[:, 0, 0] - (share - 0.25) / 0.088).square().mean()  # variance 1

    assert explained([*pooler.parameters(), *head.parameters()], error, 250) > 0.75
