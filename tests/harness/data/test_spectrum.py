"""Random vectors with the spectrum of given ones, against the covariance's eigenvalues."""

import numpy as np
import pytest

from fusefront.harness.data.spectrum import same_spectrum


@pytest.mark.parametrize(("count", "width"), [(4, 9), (9, 4), (5, 5)])
def test_the_mean_and_every_eigenvalue_stay_and_the_content_goes(count: int, width: int) -> None:
    """Also the smallest, where there are fewer vectors than numbers."""
    rng = np.random.default_rng(count)
    rows = (rng.normal(size=(count, width)) * np.arange(1, width + 1) + 3).astype(np.float32)
    drawn = same_spectrum(rows, [5, width])
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), rows.mean(0), atol=1e-5)
    own, theirs = (np.linalg.eigvalsh(np.cov(each.T)) for each in (drawn, rows))
    np.testing.assert_allclose(own, theirs, atol=1e-4)
    assert (theirs > 0.1).sum() == min(count - 1, width)
    assert np.abs(drawn - rows).max() > 1
    assert not np.allclose(drawn, same_spectrum(rows, [6, width]), atol=0.1)
