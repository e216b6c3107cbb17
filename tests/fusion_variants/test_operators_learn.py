"""On planted truth the right operators win: products, sums, a slot of noise."""

import pytest
import torch
from torch import nn

from fusefront.fusion_variants.zoo import OPERATORS

D, STEPS = 8, 400
PRODUCTS_FAST = ("bilinear", "tfn")
PRODUCTS_SLOW = ("lmf", "mtfn", "mutan", "dcnv2", "simcen")
ACROSS_SLOW = ("gmu", "moe", "quadratic", "mbt", "perceiver", "fq_former", "src")
SUMS = ("concat", "mean", "maf")
FIRST, SECOND = nn.functional.normalize(
    torch.randn(2, D, generator=torch.Generator().manual_seed(5))
)


def learned(operator, truth, width=1, make=lambda: torch.randn(256, 3, D)):
    """Share of the variance of `truth(x)` that operator and a linear head explain on fresh rows."""
    head = nn.Linear(operator.tokens_out * D, width)
    parameters = [*operator.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=STEPS)

    def error(x):
        fused = operator(x, torch.ones(x.shape[:-1], dtype=torch.bool))
        guess = head(fused.tokens.flatten(-2)).squeeze(-1)
        return (guess - truth(x)).square().mean() + fused.loss

    for _ in range(STEPS):
        optimiser.zero_grad()
        error(make()).backward()
        optimiser.step()
        schedule.step()
    operator.eval()
    with torch.no_grad():
        x = torch.cat([make() for _ in range(16)])
        return 1.0 - float(error(x) / truth(x).var())


def product_of_two(x):
    return (x[:, 0] @ FIRST) * (x[:, 1] @ SECOND)


def sum_of_two(x):
    return x[:, 0] @ FIRST + x[:, 1] @ SECOND


@pytest.mark.parametrize("name", PRODUCTS_FAST)
def test_operators_with_products_follow_a_product(name):
    torch.manual_seed(0)
    assert learned(OPERATORS[name](3, D), product_of_two) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", PRODUCTS_SLOW)
def test_more_operators_with_products_follow_a_product(name):
    torch.manual_seed(0)
    assert learned(OPERATORS[name](3, D), product_of_two) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ACROSS_SLOW)
def test_operators_that_look_across_slots_follow_a_product(name):
    torch.manual_seed(0)
    assert learned(OPERATORS[name](3, D), product_of_two) > 0.7


@pytest.mark.parametrize(("name", "specific"), [("mean", False), ("sum", False), ("concat", True)])
def test_one_map_for_all_slots_lies_below_one_for_each(name, specific):
    """Theory: w (x_0 + x_1 + x_2) explains at most |f - s|^2 / 6 of f x_0 - s x_1, whose slots are
    independent and of variance 1; a map for each slot explains all of it."""
    torch.manual_seed(0)
    share = learned(OPERATORS[name](3, D), lambda x: x[:, 0] @ FIRST - x[:, 1] @ SECOND)
    most = float((FIRST - SECOND).square().sum()) / 6
    assert share == pytest.approx(1.0 if specific else most, abs=0.03)


def repeated_and_own():
    """Two slots of 8 numbers: the first four of both are the same, the others each slot's own."""
    x = torch.randn(256, 2, D)
    x[:, 1, : D // 2] = x[:, 0, : D // 2]
    return x


def own_parts(x):
    """What each slot says alone, with opposite signs, so that one map for both knows nothing."""
    return (x[:, 0] - x[:, 1]) @ FIRST


@pytest.mark.parametrize(("part", "least", "most"), [("shared", -0.05, 0.05), ("specific", 0.9, 1)])
def test_the_shared_part_alone_lies_below_the_specific_where_slots_differ(part, least, most):
    """Either part of `shared_specific` alone, the other being zero: the mean of shared parts has
    no correlation with a difference of slots, the specific parts have it whole."""
    torch.manual_seed(0)
    operator = OPERATORS["shared_specific"](2, D, weight=0.0)
    other = operator.specific if part == "shared" else operator.shared
    for parameter in other.parameters():
        nn.init.zeros_(parameter).requires_grad_(False)
    assert least < learned(operator, own_parts, make=repeated_and_own) <= most


@pytest.mark.parametrize("part", ["shared", "specific"])
def test_either_part_alone_knows_what_slots_repeat(part):
    torch.manual_seed(0)
    operator = OPERATORS["shared_specific"](2, D, weight=0.0)
    other = operator.specific if part == "shared" else operator.shared
    for parameter in other.parameters():
        nn.init.zeros_(parameter).requires_grad_(False)
    assert learned(operator, lambda x: x[:, 0, 0], make=repeated_and_own) > 0.95


@pytest.mark.parametrize("name", SUMS)
def test_operators_that_add_cannot_follow_a_product(name):
    torch.manual_seed(0)
    assert learned(OPERATORS[name](3, D), product_of_two) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", ["concat", "maf", "bilinear", "lmf", "dcnv2", "cross_attention"])
def test_operators_with_maps_of_their_own_follow_a_sum(name):
    torch.manual_seed(0)
    assert learned(OPERATORS[name](3, D), sum_of_two) > 0.9


@pytest.mark.slow
def test_mtfn_as_published_follows_no_pair_of_three_slots():
    torch.manual_seed(0)
    assert learned(OPERATORS["mtfn"](3, D, bias=False), product_of_two) < 0.05


def test_a_gate_turns_a_slot_of_noise_down():
    """Slot 2 is noise; slots 0 and 1 both carry the truth."""
    torch.manual_seed(0)
    operator = OPERATORS["scalar_gate"](3, D)

    def make():
        signal = torch.randn(256, 1, D)
        return torch.cat([signal + 0.3 * torch.randn(256, 2, D), torch.randn(256, 1, D)], 1)

    assert learned(operator, lambda x: x[:, 0] @ FIRST, make=make) > 0.85
    weight = operator.weights(make(), torch.ones(256, 3, dtype=torch.bool)).mean(0)
    assert float(weight[2].detach()) < 0.05
