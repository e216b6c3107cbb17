"""Exact AUC of float32 scores and the influence of each row on it; ties count half.

DeLong, DeLong & Clarke-Pearson 1988 (structural components), Sun & Xu 2014 (by sorting).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Labels = NDArray[np.uint8]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

_ALL_BITS = np.uint32(0x80000000)


class TieGroups(NamedTuple):
    """Rows sorted by score and cut where the score changes: G groups of equal scores."""

    order: NDArray[np.intp]  # [N] rows, lowest score first
    label: NDArray[np.bool_]  # [N] labels in that order
    size: NDArray[np.int64]  # [G] rows in the group
    positive: NDArray[np.int64]  # [G] positives in the group


class RowInfluence(NamedTuple):
    """A metric and the influence of each row on it; the influences sum to 0."""

    value: float
    rows: Floats  # [N], in the rows' own order


def ordered_bits(scores: Scores) -> NDArray[np.uint32]:
    """Unsigned integers that sort as the floats [n] do; -0.0 and +0.0 get the same value.

    >>> ordered_bits(np.float32([-1.0, -0.0, 0.0, 2.0])).tolist() == sorted(
    ...     ordered_bits(np.float32([-1.0, -0.0, 0.0, 2.0])).tolist()
    ... )
    True
    """
    bits = (np.asarray(scores, np.float32) + np.float32(0.0)).view(np.uint32)
    flip = (bits.view(np.int32) >> 31).view(np.uint32) | _ALL_BITS
    return bits ^ flip


def tie_groups(scores: Scores, label: Labels) -> TieGroups:
    """Sort scores [n] with labels [n] once, by 64-bit keys of score and row, which needs no second
    array."""
    key = ordered_bits(scores).astype(np.uint64) << np.uint64(32)
    key |= np.arange(len(key), dtype=np.uint64)
    key.sort()
    order = key.astype(np.uint32).astype(np.intp)
    key >>= np.uint64(32)
    ends = np.append(np.flatnonzero(key[1:] != key[:-1]), len(key) - 1)
    sorted_label = label[order] > 0
    positive = np.cumsum(sorted_label, dtype=np.int64)[ends]
    return TieGroups(order, sorted_label, np.diff(ends, prepend=-1), np.diff(positive, prepend=0))


def auc_influence(groups: TieGroups) -> RowInfluence:
    """The AUC and the influence of every row [N]; nan and zeros if all labels are equal."""
    positive, negative = groups.positive, groups.size - groups.positive
    n1, n0 = int(positive.sum()), int(negative.sum())
    if n1 == 0 or n0 == 0:
        return RowInfluence(float("nan"), np.zeros(n1 + n0))
    below = 2 * (np.cumsum(negative) - negative) + negative  # twice: lower + half of tied
    above = 2 * (n1 - np.cumsum(positive)) + positive
    value = int(np.dot(positive, below)) / (2 * n1 * n0)
    # influence of a positive and of a negative row of each group
    of_positive = (below / (2 * n0) - value) / n1
    of_negative = (above / (2 * n1) - value) / n0
    return RowInfluence(value, spread(groups, of_positive, of_negative))


def spread(groups: TieGroups, of_positive: Floats, of_negative: Floats) -> Floats:
    """Values a tie group of positives and of negatives, [G] each -> values of the rows [N], in row
    order."""
    each = (np.repeat(of_group, groups.size) for of_group in (of_positive, of_negative))
    rows = np.empty(len(groups.order))
    rows[groups.order] = np.where(groups.label, *each)
    return rows


def exact_auc(scores: Scores, label: Labels) -> float:
    """The AUC alone, of float32 scores [n]: two sorts of 32-bit keys and a search; nan if all
    labels are equal.

    >>> exact_auc(np.float32([0.1, 0.4, 0.35, 0.8]), np.uint8([0, 0, 1, 1]))
    0.75
    """
    bits = ordered_bits(scores)
    chosen = np.asarray(label, bool)
    high, low = np.sort(bits[chosen]), np.sort(bits[~chosen])
    if not len(high) or not len(low):
        return float("nan")
    won = np.searchsorted(low, high, side="left").sum(dtype=np.int64)
    tied_or_won = np.searchsorted(low, high, side="right").sum(dtype=np.int64)
    return (int(won) + int(tied_or_won)) / (2 * len(high) * len(low))


class GroupAuc(NamedTuple):
    """The AUC within each of the U groups that have both classes."""

    group: Codes  # [U] codes of the groups with both classes
    auc: Floats  # [U]
    weight: Floats  # [U] rows in the group


def auc_by_group(scores: Scores, label: Labels, group: Codes) -> GroupAuc:
    """The AUC of every group that has both classes; scores, labels and groups are [n], sorted
    once."""
    key = group.astype(np.uint64) << np.uint64(33)
    key |= ordered_bits(scores).astype(np.uint64) << np.uint64(1)
    key |= (label > 0).astype(np.uint64)
    key.sort()
    positive = (key & np.uint64(1)).astype(np.int64)
    key >>= np.uint64(1)
    ends = np.append(np.flatnonzero(key[1:] != key[:-1]), len(key) - 1)  # of tie groups
    of_group = (key[ends] >> np.uint64(32)).astype(np.int64)
    tied_positive = np.diff(np.cumsum(positive)[ends], prepend=0)
    tied_negative = np.diff(ends, prepend=-1) - tied_positive
    starts = np.flatnonzero(np.diff(of_group, prepend=-1))
    below = np.cumsum(tied_negative) - tied_negative
    below -= np.repeat(below[starts], np.diff(starts, append=len(of_group)))
    wins = np.add.reduceat(tied_positive * (2 * below + tied_negative), starts)
    n1, n0 = np.add.reduceat(tied_positive, starts), np.add.reduceat(tied_negative, starts)
    both = (n1 > 0) & (n0 > 0)
    n1, n0 = n1[both], n0[both]
    auc = wins[both] / (2 * n1 * n0)
    return GroupAuc(of_group[starts][both].astype(np.int32), auc, (n1 + n0).astype(np.float64))
