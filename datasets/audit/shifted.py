"""Checks for vectors that belong to the row before or after: a header counted as a row, a list cut
at one end.

There are two kinds of evidence, each computed for the vectors as they are and for those of the
neighbouring rows. Clicks: does the vector of a candidate resemble its history more if the row is
clicked? Fields: do items of one category resemble each other? Both sum terms whose mean is zero if
vectors carry no information. z is the sum over the root of the sum of squares, computed by item and
by user, and the smaller of the two counts.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.audit.finding import Finding
from fusefront.datasets.audit.rows import RequestBlock, UserSample, blocks, histories
from fusefront.datasets.audit.vectors import moments, read_vectors
from fusefront.datasets.store import PreparedDataset

STRONG = 6.0  # z of the neighbour's vectors
BETTER = 5.0  # z of the difference to the vectors as they are
WIDTH = 32  # random directions that vectors are projected to
ROWS = 200_000
FEWEST = 50  # items with a vector
SHIFTS = (1, -1)
NEWEST = 20  # newest entries of a history that are used
PRIOR = 10.0

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]


class ShiftEvidence(NamedTuple):
    """z of the vectors as they are, of those `shift` rows further, and of the difference; `kind`
    names the evidence."""

    kind: str
    shift: int
    own: float
    shifted: float
    better: float

    @property
    def strong(self) -> bool:
        """Whether only a shift explains the evidence."""
        return self.shifted >= STRONG and self.better >= BETTER and self.own <= self.shifted / 2


def check_shifted(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Modalities whose vectors fit the items far better one row further."""
    findings = []
    for m, modality in enumerate(store.manifest.schema_.modalities):
        rows = np.flatnonzero(store.items.present[:, m])
        if len(rows) < FEWEST:
            continue
        own = projected(store, modality, rows)
        tables = [own, *(_moved(own, shift) for shift in SHIFTS)]
        strong = [z for z in (*of_clicks(store, tables), *of_fields(store, tables)) if z.strong]
        if strong:
            findings.append(_finding(modality, max(strong, key=lambda z: z.shifted)))
    return findings


def _moved(own: Floats, shift: int) -> Floats:
    """Item i with the vector of row i + shift; vectors that wrap around are absent."""
    moved = np.roll(own, -shift, axis=0)
    moved[0] = moved[-1 if shift > 0 else 1] = 0
    return moved


def _finding(modality: str, z: ShiftEvidence) -> Finding:
    where = "after" if z.shift > 0 else "before"
    return Finding(
        f"shifted_vectors.{modality}",
        "severe",
        f"The vectors of {modality!r} lie one row off: by {z.kind} an item fits the vector of the "
        f"row {where} it (z = {z.shifted:.1f}) far better than its own (z = {z.own:.1f}).",
        "A header counted as a row, or a list of ids cut at one end: every item then has another's "
        "vector; give the keys of the vectors in 'ids', or write the file again.",
        {"shift": z.shift, "z_own": z.own, "z_shifted": z.shifted, "z_better": z.better},
    )


def projected(store: PreparedDataset, modality: str, rows: Longs) -> Floats:
    """Centred vectors of length 1 in at most 32 random directions [n + 1, 32]; 0 where absent."""
    mean = moments(store, modality, rows)[0]
    random = np.random.Generator(np.random.PCG64(1))
    directions = random.standard_normal((len(mean), WIDTH)) / np.sqrt(WIDTH)
    table = np.zeros((len(store.items.present), WIDTH), np.float32)
    for part, vectors in read_vectors(store, modality, rows):
        centred = np.nan_to_num(vectors, posinf=0.0, neginf=0.0) - mean
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        table[rows[part]] = (centred / np.maximum(length, 1e-30)) @ directions
    return table


def of_clicks(store: PreparedDataset, tables: Sequence[Floats]) -> Iterator[ShiftEvidence]:
    """Evidence from rows of train: (click - the item's rate) times the likeness of candidate and
    history. `tables` has a table [items, width] for each shift."""
    clicks = np.asarray(store.items.clicks, np.float64)
    shown = np.asarray(store.items.impressions, np.float64)
    rate = (clicks + PRIOR * clicks.sum() / max(shown.sum(), 1)) / (shown + PRIOR)
    items, users, terms = [], [], []
    for block in blocks(store, "train", most_rows=ROWS):
        item = np.asarray(block.split.item[block.rows], np.int64)
        label = np.asarray(block.split.label[block.rows], np.float64)
        items.append(item)
        users.append(np.asarray(block.split.group[block.first : block.last])[block.owner])
        likeness = [_likeness(store, block, item, table) for table in tables]
        terms.append((label - rate[item]) * np.stack(likeness))
    if items:
        own, *others = np.concatenate(terms, axis=1)
        user = np.unique(np.concatenate(users), return_inverse=True)[1]
        by = (np.concatenate(items), user)
        for shift, shifted in zip(SHIFTS, others, strict=True):
            z = [_least(t, by) for t in (own, shifted, shifted - own)]
            yield ShiftEvidence("clicks", shift, *z)


def _likeness(store: PreparedDataset, block: RequestBlock, item: Longs, table: Floats) -> Doubles:
    """[n] dot product of each row's candidate with the mean of its history, without the candidate
    itself and minus the mean of all histories."""
    length = np.minimum(block.length, NEWEST)
    entries, request, _ = histories(
        store.history_values, block.start + block.length - length, length
    )
    total = np.zeros((len(length), WIDTH))
    filled = np.flatnonzero(length)
    if len(filled):
        begin = (np.cumsum(length) - length)[filled]
        total[filled] = np.add.reduceat(table[entries], begin, axis=0)
    middle = total.sum(axis=0) / max(len(entries), 1)
    candidate = table[item].astype(np.float64)
    same = _times_held(entries, request, block.owner, item)
    others = length[block.owner] - same
    mine = total[block.owner] - same[:, None] * candidate
    profile = mine / np.maximum(others, 1)[:, None] - middle
    return np.where(others > 0, (profile * candidate).sum(axis=1), 0.0)


def _times_held(entries: Longs, request: Longs, owner: Longs, item: Longs) -> Longs:
    """How often each row's own item is in its history [n]."""
    width = int(max(entries.max(initial=0), item.max(initial=0))) + 1
    keys, counts = np.unique(request * width + entries, return_counts=True)
    if not len(keys):
        return np.zeros(len(item), np.int64)
    pairs = owner * width + item
    at = np.minimum(np.searchsorted(keys, pairs), len(keys) - 1)
    return np.where(keys[at] == pairs, counts[at], 0)


def of_fields(store: PreparedDataset, tables: Sequence[Floats]) -> Iterator[ShiftEvidence]:
    """Evidence from each categorical field of the items: likeness of an item to the others in its
    category. `tables` has a table [items, width] for each shift."""
    start = 0
    for field in store.manifest.schema_.item_fields:
        code = np.asarray(store.items.fields[:, start], np.int64)
        start += field.columns
        own, *others = (_likeness_within(code, table) for table in tables)
        for shift, shifted in zip(SHIFTS, others, strict=True):
            # every pair of items is in two terms, which the sum of squares counts once
            parts = (own, shifted, shifted - own)
            z = [_least(t, (np.arange(len(code)),)) / 2**0.5 for t in parts]
            yield ShiftEvidence(f"the field {field.name!r}", shift, *z)


def _likeness_within(code: Longs, table: Floats) -> Doubles:
    there = (code > 0) & (table != 0).any(axis=1)
    order = np.argsort(code[there], kind="stable")
    vectors = table[there][order].astype(np.float64)
    _, begin, group, size = np.unique(
        code[there][order], return_index=True, return_inverse=True, return_counts=True
    )
    likeness = np.zeros(len(code))
    if len(begin):
        others = np.add.reduceat(vectors, begin, axis=0)[group] - vectors
        mean = others / np.maximum(size[group] - 1, 1)[:, None]
        likeness[np.flatnonzero(there)[order]] = (mean * vectors).sum(axis=1)
    return likeness


def _least(terms: Doubles, by: tuple[Longs, ...]) -> float:
    """The smallest z of a sum of terms, over the ways in which they are grouped."""
    scores = []
    for code in by:
        sums = np.bincount(code, terms)
        scores.append(float(sums.sum() / max(np.sqrt((sums**2).sum()), 1e-30)))
    return min(scores, key=abs)
