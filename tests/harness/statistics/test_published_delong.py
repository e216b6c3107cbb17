"""DeLong's variance and test against published worked examples, to every printed digit.

The library keeps the plain influence values (divisor n); DeLong, DeLong & Clarke-Pearson (1988)
divide by n - 1 within each class, which is put back here.
"""

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics.auc import auc_influence, tie_groups

# 43 patients with all three screening tests, from DeLong, DeLong & Clarke-Pearson (1988):
# albumin, total protein, K-G score, whether surgery helped
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""
# ratings 1 to 5 of CT images: 58 normal, 51 abnormal (Hanley & McNeil 1982, table I)
NORMAL, ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)


def delong(columns, label):
    """AUC of each column and DeLong's covariance of them."""
    aucs = [auc_influence(tie_groups(c.astype(np.float32), label)) for c in columns]
    n1 = int(label.sum())
    n0 = len(label) - n1
    unbiased = np.where(label > 0, n1 / (n1 - 1), n0 / (n0 - 1))
    rows = np.array([auc.rows for auc in aucs])
    return np.array([auc.value for auc in aucs]), (rows * unbiased) @ rows.T


def test_the_three_screening_tests_of_delong_1988():
    """Areas, errors and contrasts as printed for them in SAS/STAT's documentation of PROC
    LOGISTIC."""
    albumin, protein, score, label = np.array(PATIENTS.split(), float).reshape(-1, 4).T
    area, covariance = delong((albumin, protein, -score), label.astype(np.uint8))
    np.testing.assert_array_equal(area.round(4), [0.7366, 0.6478, 0.7258])
    np.testing.assert_array_equal(np.sqrt(np.diag(covariance)).round(4), [0.0927, 0.1, 0.1028])
    against_score = np.array([[1, 0, -1], [0, 1, -1]])
    contrast = against_score @ area
    of_contrast = against_score @ covariance @ against_score.T
    error = np.sqrt(np.diag(of_contrast))
    np.testing.assert_array_equal(contrast.round(4), [0.0108, -0.0780])
    np.testing.assert_array_equal(error.round(4), [0.0953, 0.1046])
    p = 2 * stats.norm.sf(np.abs(contrast / error))
    np.testing.assert_array_equal(p.round(4), [0.9102, 0.4561])
    square = contrast @ np.linalg.solve(of_contrast, contrast)
    assert round(square, 4) == 2.5340
    assert round(stats.chi2.sf(square, 2), 4) == 0.2817


def test_the_ct_ratings_of_hanley_and_mcneil_1982():
    """Area, error and interval as printed for them in Stata's manual entry of roctab: half of all
    pairs tie."""
    rating = np.concatenate([np.repeat(np.arange(5.0), n) for n in (NORMAL, ABNORMAL)])
    label = np.repeat([0, 1], [58, 51]).astype(np.uint8)
    area, variance = delong((rating,), label)
    error = float(np.sqrt(variance[0, 0]))
    assert round(float(area[0]), 4) == 0.8932
    assert round(error, 4) == 0.0307
    ends = area[0] + stats.norm.ppf([0.025, 0.975]) * error
    assert ends.round(5).tolist() == pytest.approx([0.83295, 0.95339], abs=1e-9)
