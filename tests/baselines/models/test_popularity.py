"""Popularity against a plain loop over the items, and its two calibrated numbers."""

import math
import re

import pytest
import torch

from fusefront.baselines.contract import gather
from fusefront.baselines.models import popularity
from fusefront.baselines.models.popularity import PRIORS, standardised

SHOWN, CLICKED = [0, 10, 400, 3, 0, 50], [0, 9, 20, 0, 0, 25]


def table(scene, in_train, shown=SHOWN, clicked=CLICKED):
    return scene.items._replace(
        impressions=torch.tensor(shown),
        clicks=torch.tensor(clicked),
        in_train=torch.tensor(in_train),
    )


def right(statistic, prior, in_train, shown, clicked):
    """Mean 0 and deviation 1 over the items of train, by a loop."""
    rate = min(max(sum(clicked) / max(sum(shown), 1), 1e-6), 1 - 1e-6)
    values = []
    for n, k in zip(shown, clicked, strict=True):
        p = (k + prior * rate) / (n + prior)
        values.append(math.log(1 + n) if statistic == "impressions" else math.log(p / (1 - p)))
    known = [v for v, there in zip(values, in_train, strict=True) if there] or values
    mean = sum(known) / len(known)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in known) / len(known))
    return [(v - mean) / max(deviation, 1e-6) for v in values]


@pytest.mark.parametrize("statistic", ["click_rate", "impressions"])
@pytest.mark.parametrize("prior", [5.0, 20.0])
@pytest.mark.parametrize("train_items", [(1, 2, 3, 5), (1, 5), ()])
def test_the_statistic_is_that_of_a_loop(scene, statistic, prior, train_items):
    in_train = [item in train_items for item in range(6)]
    values = standardised(table(scene, in_train), statistic, prior)
    assert values.tolist() == pytest.approx(
        right(statistic, prior, in_train, SHOWN, CLICKED), abs=1e-5
    )


@pytest.mark.parametrize(
    ("shown", "clicked"), [([0, 4, 9], [0, 4, 9]), ([0, 0, 0], [0, 0, 0]), ([0, 1, 0], [0, 1, 0])]
)
def test_clicks_on_everything_or_nothing_are_finite(scene, shown, clicked):
    items = table(scene, [False, True, True], shown, clicked)
    values = standardised(items, "click_rate", 20.0).tolist()
    expected = right("click_rate", 20.0, [False, True, True], shown, clicked)
    assert values == pytest.approx(expected, rel=1e-3, abs=2e-3)


def test_before_it_is_solved_the_prior_is_the_setting_or_the_first(scene):
    for settings, prior in (({}, 20.0), ({"prior": 7.0}, 7.0)):
        model = scene.build("popularity", settings)
        assert model.report() == {"prior": prior}
        statistic = standardised(scene.items, "click_rate", prior)
        torch.testing.assert_close(model.statistic, statistic.to(model.statistic.dtype))


def test_validation_without_a_batch_leaves_the_first_prior(scene):
    model = scene.build("popularity")
    model.solve(lambda: iter([scene.batch]), lambda: iter(()))
    assert model.report() == {"prior": PRIORS[0]}


def test_the_logit_is_a_line_over_the_candidates_statistic(scene):
    model = scene.build("popularity").eval()
    with torch.no_grad():
        model.intercept.fill_(0.25)
        model.slope.fill_(-2.0)
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        batch = scene.batch
        scored = model.score(gather(codes, batch, batch.items), batch.rows)
        expected = 0.25 - 2.0 * model.statistic[batch.items[batch.candidates]]
    torch.testing.assert_close(scored.logits, expected)
    assert codes.history.values.shape == (scene.schema.items + 1, 0)
    assert codes.candidate.present.flatten().tolist() == [False] + [True] * scene.schema.items
    fresh = scene.build("popularity")
    assert (fresh.intercept.item(), fresh.slope.item()) == (0, 0)


@pytest.mark.parametrize("prior", [0.0, -1.0])
def test_a_prior_of_nothing_is_refused_and_any_above_is_taken(scene, prior):
    with pytest.raises(ValueError, match=r"popularity: setting 'prior' is .*, expected above 0"):
        scene.build("popularity", {"prior": prior})
    assert scene.build("popularity", {"prior": 0.5}).settings.prior == 0.5


def test_the_priors_are_those_of_the_formula():
    formula = " ".join((popularity.__doc__ or "").split())
    numbers = re.search(r"m is the one of (\d+), (\d+) and (\d+) with", formula)
    assert numbers
    assert sorted(PRIORS) == [float(number) for number in numbers.groups()] == [5.0, 20.0, 100.0]
    assert PRIORS[0] == 20.0  # where validation tells none apart


def test_several_priors_are_told_by_validation_and_the_choice_is_what_is_scored(scene):
    """Both scalars are those of maximum likelihood: their gradients vanish over the train rows."""
    model = scene.build("popularity")
    batch = scene.batch

    def batches():
        yield batch

    model.solve(batches, batches)
    prior = model.report()["prior"]
    assert prior in PRIORS
    statistic = standardised(scene.items, "click_rate", prior)
    torch.testing.assert_close(model.statistic, statistic.to(model.statistic.dtype))
    x = statistic.double()[batch.items[batch.candidates].flatten()[batch.rows]]
    y = batch.labels.flatten()[batch.rows].double()
    p = torch.sigmoid(model.intercept.double() + model.slope.double() * x)
    assert abs(float((p - y).sum().detach())) < 1e-3 * len(y)
    assert abs(float(((p - y) * x).sum().detach())) < 1e-3 * len(y)
