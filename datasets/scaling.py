"""Scales numbers by train: mean and deviation, or median and spread if a few values are huge.

Standard scores are (x - mean) / deviation. If the deviation is not finite, or so large that most
values would be equal in float32, the median and 1.4826 times the median absolute deviation (Hampel
1974) are used instead, and values beyond ten of these are cut.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Tally
from fusefront.datasets.manifest import Scaling

SAMPLE = 1 << 16  # train rows that median and spread are taken from, evenly spaced
APART = 1e6  # largest deviation over spread: beyond it most values are equal in float32
CUT = 10.0  # spreads
_NORMAL = 1.4826  # deviations a median absolute deviation, where values are normal

Floats = NDArray[np.float64]


def fit(blocks: Iterable[Floats], names: Sequence[str], rows: int) -> list[Scaling]:
    """The scaling of every column of `rows` rows [*, len(names)] in blocks; NaN is left out."""
    count, total, sample = np.zeros(len(names)), np.zeros(len(names)), []
    every, rows_read = max(1, rows // SAMPLE), 0
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks:
            count += (~np.isnan(block)).sum(0)
            total += np.nansum(block, 0)
            sample.append(np.array(block[-rows_read % every :: every]))
            rows_read += len(block)
        mean = total / np.maximum(count, 1)
        square = np.zeros(len(names))
        for block in blocks:
            square += np.nansum((block - mean) ** 2, 0)
        deviation = np.sqrt(square / np.maximum(count, 1))
        constant = np.isfinite(mean) & (deviation <= 1e-12 * (1 + np.abs(mean)))
    deviation[constant] = 1.0
    scalings = []
    for k, name in enumerate(names):
        values = np.concatenate([part[:, k] for part in sample]) if sample else np.zeros(0)
        usual = Scaling(mean=float(mean[k]), deviation=float(deviation[k]))
        scalings.append(usual if constant[k] else _sane(usual, values[~np.isnan(values)], name))
    return scalings


def _sane(usual: Scaling, values: Floats, name: str) -> Scaling:
    """The usual scaling, or the robust one if the usual one would make most values equal."""
    finite = bool(np.isfinite([usual.mean, usual.deviation]).all())
    if not len(values):
        return usual if finite else Scaling(mean=0.0, deviation=1.0, limit=CUT)
    middle = _median(values)
    with np.errstate(over="ignore"):
        apart = np.abs(values - middle)
        width = _NORMAL * (_median(apart) or _median(apart[apart > 0]))
    if finite and usual.deviation <= APART * (width or usual.deviation):
        return usual
    if not np.isfinite(width):
        raise DataContractError(
            f"number field {name!r}: half of its values are about {abs(values).max():.2g}, more "
            "than can be scaled; divide them, or give null for what is absent"
        )
    return Scaling(mean=middle, deviation=width or 1.0, limit=CUT)


def _median(values: Floats) -> float:
    """The lower of the two middle values, because their mean may overflow."""
    if not len(values):
        return 0.0
    half = (len(values) - 1) // 2
    return float(np.partition(values, half)[half])


def scaled(numbers: Floats, scalings: Sequence[Scaling]) -> NDArray[np.float32]:
    """Numbers [n, columns] scaled for a model; absent ones (NaN) become 0, the centre."""
    mean, deviation, limit = (
        np.array([getattr(scaling, part) for scaling in scalings], np.float64)
        for part in ("mean", "deviation", "limit")
    )
    with np.errstate(over="ignore"):
        scores = np.clip((numbers - mean) / deviation, -limit, limit)
    return np.nan_to_num(scores, nan=0.0).astype(np.float32)


def count_cut(
    tally: Tally, names: Sequence[str], scalings: Sequence[Scaling], scores: NDArray[np.float32]
) -> None:
    """Count the scores [n, names] that are cut at the limit of their scaling (in deviations)."""
    for k, (name, scaling) in enumerate(zip(names, scalings, strict=True)):
        cut = int((np.abs(scores[:, k]) >= np.float32(scaling.limit)).sum())
        what = f"numbers of {name} are beyond {scaling.limit:g} deviations and are cut there"
        tally.add(f"{name}.cut", cut, len(scores), what)
