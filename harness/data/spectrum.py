"""Random vectors that have the spectrum of given ones: content without meaning."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def same_spectrum(rows: Vectors, seed: int | Sequence[int]) -> Vectors:
    """Random vectors [n, D] with the mean of `rows` [n, D] and the eigenvalues of their covariance,
    in random directions."""
    count, width = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    spread = np.linalg.svd(rows - mean, compute_uv=False)
    spread = spread[: min(count - 1, width)]
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((count, len(spread)))
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0]  # of mean 0 and uncorrelated
    turned, upper = np.linalg.qr(rng.standard_normal((width, width)))
    directions = turned * np.sign(np.diag(upper))  # every turn as likely as any other
    drawn: Vectors = (mean + scores * spread @ directions[:, : len(spread)].T).astype(np.float32)
    return drawn
