"""Words right together, planned power and calibration curves keep what they promise."""

import numpy as np
import pytest

from fusefront.harness.statistics import joint
from fusefront.harness.statistics.measures.calibration import Curve, share_intervals


@pytest.mark.parametrize(("equal", "different", "effect"), [(10, 0, 0.0), (8, 2, 0.004)])
def test_at_most_one_study_in_twenty_has_a_false_word(rates, monkeypatch, equal, different, effect):
    monkeypatch.setattr(joint, "DRAWS", 4000)
    simulated = rates.false_words(equal, different, effect, seeds=3, draws=400, seed=3)
    # each interval alone is far more often false, so the simulation can tell
    assert simulated.alone > 0.20
    assert simulated.together <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    if different:
        assert simulated.power > 0.4


@pytest.mark.parametrize("seed_sd", [0.0003, 0.001])
def test_plans_from_a_pilot_of_three_seeds_mostly_reach_80_percent(rates, seed_sd):
    simulated = rates.planned(0.002, seed_sd, seeds=3, draws=60, seed=5)
    assert simulated.power >= 0.85
    assert simulated.enough >= 0.75
    assert simulated.plain < simulated.power


@pytest.mark.parametrize(("per_user", "bias"), [(1, -1.0), (20, -1.0), (4, -4.0)])
def test_intervals_of_a_calibration_curve_cover(rates, per_user, bias):
    bins = rates.curve_coverage(per_user, bias, draws=300, seed=2, users=300)
    assert 0.93 <= bins.mean() <= 0.975
    assert bins.min() >= 0.88


def test_a_bin_without_a_positive_has_an_upper_end():
    curve = Curve(*(np.array([v]) for v in (100.0, 0.01, 0.0, 1e-6)))
    low, high = share_intervals(curve)
    assert low[0] == pytest.approx(0.0, abs=1e-12)
    assert high[0] == pytest.approx(1.959964**2 / (100 + 1.959964**2), rel=1e-6)


def test_dependent_rows_widen_the_interval():
    alone, dependent = (
        share_intervals(Curve(*(np.array([v]) for v in (400.0, 0.3, 0.3, se))))
        for se in (np.sqrt(0.21 / 400), 2 * np.sqrt(0.21 / 400))
    )
    assert (dependent[1] - dependent[0])[0] == pytest.approx(2 * (alone[1] - alone[0])[0], rel=0.02)
