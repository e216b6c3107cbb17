"""Promises kept in simulation: coverage, false winners, power, the winner's interval, two ways.

Bounds leave three to four Monte Carlo errors around what docs/statistics.md states.
"""

import numpy as np
import pytest

from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.planner import plan
from fusefront.harness.statistics.score_source import MemorySource

pytestmark = pytest.mark.slow


def small(world, **changes):
    """A world of 1,600 to 4,000 rows, so that a thousand draws take seconds."""
    users = {4: 400, 50: 80}[world.per_user]
    return world._replace(users=users, **changes)


def source_of(data):
    names = [f"s{s}" for s in range(len(data.scores))]
    vectors = {n: dict(enumerate(of)) for n, of in zip(names, data.scores, strict=True)}
    return MemorySource(data.rows, vectors)


@pytest.mark.parametrize(
    ("number", "low", "high"),
    [(0, 0.93, 0.98), (2, 0.93, 0.98), (3, 0.93, 0.985), (4, 0.925, 0.98)],
)
def test_intervals_of_differences_cover_what_they_promise(simulation, number, low, high):
    world = small(simulation.WORLDS[number])
    simulation.SEEDS = (3, 5)
    result = simulation.difference_coverage(world, 700, seed=number)
    for seeds in (3, 5):
        row = simulation.Methods(*result[seeds])
        assert low <= row.ours <= high
        assert low <= row.paired <= high
        assert 0.915 <= row.alone <= 0.985


def test_ignoring_seeds_covers_far_less(simulation):
    """The simulation can tell a wrong interval from a right one."""
    simulation.SEEDS = (3,)
    result = simulation.difference_coverage(small(simulation.WORLDS[3]), 300, seed=9)
    assert simulation.Methods(*result[3]).clusters < 0.8


@pytest.fixture(scope="module")
def null_studies(simulation):
    """200 comparisons of five strategies that are all equal, three seeds each."""
    world = small(simulation.WORLDS[2], quality=(0.09,) * 5)
    rng = np.random.default_rng(4)
    options = Options("s0", metrics=("auc",), workers=1)
    return [compare(source_of(simulation.draw(world, rng, 3)), options) for _ in range(200)]


def test_at_most_16_of_200_null_studies_name_a_false_winner(null_studies):
    false = [
        comparison
        for comparison in null_studies
        if any(row.verdict in ("better", "worse") for row in comparison.strategies)
    ]
    assert len(false) <= 16


def test_the_best_set_keeps_strategies_that_are_all_equal(null_studies):
    assert sum(len(comparison.best_set) < 5 for comparison in null_studies) <= 20


def test_the_picked_winners_interval_holds_the_truth(null_studies):
    led = [comparison.winner for comparison in null_studies if np.isfinite(comparison.winner.low)]
    missed = [lead for lead in led if not lead.low <= 0 <= lead.high]
    assert len(led) > 100
    assert len(missed) <= 16


def test_false_equivalence_at_the_margin_stays_below_its_error(simulation):
    """A true difference of just the margin is called equivalent in at most 5 % of studies."""
    world = small(simulation.WORLDS[0])
    signal = (1.0, 1.1)
    auc = simulation.truth(world, rows=400_000, signal=signal)[0]
    margin = float(auc[1] - auc[0])
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(200):
        data = simulation.draw(world, rng, 5, signal=signal)
        options = Options("s0", metrics=("auc",), margin=margin, workers=1)
        comparison = compare(source_of(data), options)
        wrong += comparison.row("s1").verdict == "equivalent"
    assert wrong <= 16


def test_an_effect_above_the_stated_minimum_is_found_as_often_as_promised(simulation):
    world = small(simulation.WORLDS[0])
    signal = (1.0, 1.6)
    auc = simulation.truth(world, rows=400_000, signal=signal)[0]
    effect = float(auc[1] - auc[0])
    rng = np.random.default_rng(6)
    options = Options("s0", metrics=("auc",), workers=1)
    results = []
    for _ in range(200):
        comparison = compare(source_of(simulation.draw(world, rng, 5, signal=signal)), options)
        row = comparison.row("s1")
        if row.mde <= effect:
            results.append(row.verdict == "better")
    assert len(results) >= 50
    assert np.mean(results) >= 0.80 - 3 * np.sqrt(0.16 / len(results))


def test_a_plan_made_from_a_pilot_reaches_its_power(simulation):
    """Pilots of 1,600 rows and 5 seeds plan for a true effect; then studies of the planned size."""
    world = small(simulation.WORLDS[0])
    signal = (1.0, 1.7)
    auc = simulation.truth(world, rows=400_000, signal=signal)[0]
    effect = float(auc[1] - auc[0])
    rng = np.random.default_rng(7)
    options = Options("s0", metrics=("auc",), workers=1)
    results = []
    for _ in range(8):
        pilot = compare(source_of(simulation.draw(world, rng, 5)), options)
        result = plan(effect, pilot.model, pilot_rows=pilot.rows, baseline="s0")
        line = next(line for line in result.lines if line.seeds >= 8 and line.rows)
        large = world._replace(users=-(-line.rows // world.per_user))
        for _ in range(8):
            study = simulation.draw(large, rng, line.seeds, signal=signal)
            results.append(compare(source_of(study), options).row("s1").verdict == "better")
    assert np.mean(results) >= 0.80 - 3 * np.sqrt(0.16 / len(results))


def test_two_way_clustering_covers_where_users_alone_do_not(simulation):
    world = simulation.CROSSED._replace(users=100, items=40, item_sd=1.0, own_item=0.7)
    first = simulation.metric_coverage(world, 150, 2, 3)["auc"]
    two = simulation.metric_coverage(world, 150, 2, 3, two_way=True)["auc"]
    assert max(first) < 0.88
    assert min(two) > 0.88
