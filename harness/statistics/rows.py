"""The rows that every strategy is measured on, and the clusters that count as independent."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.auc import Codes, Floats, Labels


class RowTable(NamedTuple):
    """Rows of a split, the same for every strategy and seed; codes are any integers."""

    label: Labels  # [N] 0 or 1
    group: NDArray[np.integer]  # [N] user: the groups of the group AUC
    request: NDArray[np.integer]  # [N]
    item: NDArray[np.integer]  # [N]
    row_id: NDArray[np.int64]  # [N]

    def take(self, chosen: NDArray[np.bool_]) -> "RowTable":
        """The rows where `chosen` [n] is True, in order."""
        label, group, request, item, row_id = self
        return RowTable(label[chosen], group[chosen], request[chosen], item[chosen], row_id[chosen])


MOST_CELLS = 1 << 17  # most (user, item) clusters whose sums are kept; of more, a sample
LARGE = 1e-4  # a cluster is large if its shares of positives and negatives multiply to more


class Large(NamedTuple):
    """Clusters with so many rows of both classes that the AUC within them matters."""

    cluster: NDArray[np.intp]  # [L] codes of the axis
    rows: NDArray[np.intp]  # [R] the rows in them
    code: Codes  # [R] 0 .. L - 1


class Axis(NamedTuple):
    """The assignment of units (rows, groups or requests) to independent clusters."""

    code: Codes  # [units] 0 .. size - 1
    size: int
    mc: int  # clusters with a positive, or with a negative: the smaller number
    positive: Floats | None = None  # [size] rows with label 1; None for groups and requests
    rows: Floats | None = None  # [size]
    units: Floats | None = None  # [size] groups or requests
    large: Large | None = None
    chosen: NDArray[np.intp] | None = None  # units that `code` belongs to; None = all
    scale: float = 1.0  # factor on their influences, where a sample stands for all


def contiguous(values: NDArray[np.integer]) -> tuple[Codes, int]:
    """Codes 0 .. m - 1 in the order of the values, and m.

    >>> contiguous(np.array([7, 3, 7]))
    (array([1, 0, 1], dtype=int32), 2)
    """
    if not len(values):
        return np.zeros(0, np.int32), 0
    low = int(values.min())
    if int(values.max()) - low < len(values):  # else a table of all values could be large
        place = values.astype(np.int64) - low
        present = np.bincount(place) > 0
        code = np.cumsum(present, dtype=np.int32) - np.int32(1)
        return code[place], int(present.sum())
    distinct, inverse = np.unique(values, return_inverse=True)
    return inverse.astype(np.int32), len(distinct)


def crossed(a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.int64]:
    """One code [n] for each pair of codes a [n] and b [n] that occurs."""
    left, _ = contiguous(a)
    right, size = contiguous(b)
    return left.astype(np.int64) * size + right


def row_axis(values: NDArray[np.integer], label: Labels) -> Axis:
    """Rows in the clusters `values` [n]; mc is the smaller of clusters with a positive and with a
    negative."""
    code, size = contiguous(values)
    positive = np.asarray(np.bincount(code, label, size), np.float64)
    rows = np.bincount(code, minlength=size)
    mc = int(min((positive > 0).sum(), (rows > positive).sum()))
    return Axis(
        code, size, mc, positive, rows.astype(np.float64), large=_large(code, positive, rows)
    )


def cell_axis(a: NDArray[np.integer], b: NDArray[np.integer], label: Labels) -> Axis:
    """Rows clustered by pairs of codes a [n] and b [n]; of more than MOST_CELLS pairs a random
    sample stands for all."""
    code, size = contiguous(crossed(a, b))
    if size <= MOST_CELLS:
        return row_axis(code, label)._replace(large=None)
    present = np.zeros(size, bool)
    present[np.random.default_rng(0).choice(size, MOST_CELLS, replace=False)] = True
    chosen = np.flatnonzero(present[code])
    part = row_axis(code[chosen], label[chosen])
    scale = float(np.sqrt(size / MOST_CELLS))
    return part._replace(large=None, chosen=chosen, scale=scale)


def _large(code: Codes, positive: NDArray[np.float64], rows: NDArray[np.integer]) -> Large | None:
    negative = rows - positive
    n1, n0 = float(positive.sum()), float(negative.sum())
    large = positive * negative > LARGE * n1 * n0
    if not large.any():
        return None
    chosen = np.flatnonzero(large[code])
    place = np.cumsum(large, dtype=np.int32) - 1
    return Large(np.flatnonzero(large), chosen, place[code[chosen]])


@dataclass(frozen=True)
class Units:
    """Rows sorted into groups or requests, and which of these have both classes."""

    code: Codes  # [N] of each row
    order: NDArray[np.intp]  # [N] rows, unit by unit
    start: NDArray[np.intp]  # [U] first place in `order`
    both: NDArray[np.bool_]  # [U] has a positive and a negative
    size: NDArray[np.int64]  # [U] rows
    first: NDArray[np.intp]  # [U] one row of each unit


def units(values: NDArray[np.integer], label: Labels) -> Units:
    """Sort rows into units by `values` [n]; within a unit rows keep their order."""
    code, count = contiguous(values)
    order = np.argsort(code, kind="stable")  # which is fast where they are sorted already
    size = np.bincount(code, minlength=count)
    start = np.cumsum(size) - size
    positive = np.bincount(code, label, count)
    both = (positive > 0) & (positive < size)
    return Units(code, order, start, both, size, order[start] if count else start)


def unit_axis(of: Units, cluster: NDArray[np.integer]) -> Axis:
    """Informative units in clusters [n] if every unit lies in one cluster; else each unit is its
    own cluster."""
    code, _ = contiguous(cluster)
    own = code[of.first]
    if not bool((code == own[of.code]).all()):
        own = np.arange(len(of.size), dtype=np.int32)
    code, size = contiguous(own[of.both])
    rows = np.asarray(np.bincount(code, of.size[of.both], size), np.float64)
    count = np.bincount(code, minlength=size).astype(np.float64)
    return Axis(code, size, size, rows=rows, units=count)
