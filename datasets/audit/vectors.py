"""Checks of the items' vectors: broken numbers, constant or exploding columns, near duplicates."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import UserSample
from fusefront.datasets.store import PreparedDataset

BLOCK = 16_384
TABLES, BITS, NEIGHBOURS = 4, 20, 3
TWIN_COSINE = 0.9998  # after centring

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


def check_columns(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Columns that are constant, or far larger than the others."""
    findings = []
    for m, modality in enumerate(store.manifest.schema_.modalities):
        rows = np.flatnonzero(store.items.present[:, m])
        if len(rows) < 2:
            continue
        mean, deviation, broken = moments(store, modality, rows)
        if broken:
            findings.append(_broken(modality, broken))
            continue
        constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-12)
        size = np.sqrt(mean**2 + deviation**2)
        typical = float(np.median(size[size > 0])) if (size > 0).any() else 0.0
        exploding = size > 100 * typical
        if constant.any():
            findings.append(_constant(modality, constant))
        if typical and exploding.any():
            findings.append(_exploding(modality, size, exploding, typical))
    return findings


def check_twins(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Items whose vector is nearly another item's vector."""
    findings = []
    for m, modality in enumerate(store.manifest.schema_.modalities):
        rows = _finite(store, modality, np.flatnonzero(store.items.present[:, m]))
        if len(rows) < 2:
            continue
        twins = twin_rows(store, modality, rows)
        share = len(twins) / len(rows)
        if share < 0.01:
            continue
        findings.append(
            Finding(
                f"near_duplicates.{modality}",
                "warning" if share >= 0.05 else "note",
                f"{percent(share)} of the items with {modality!r} ({len(twins):,}) have nearly the "
                "vector of another item.",
                "Re-uploads, a default picture or a failed extraction: nothing can tell such items "
                "apart by content; merge them or mark the vectors absent.",
                {"items": len(twins), "share": share},
            )
        )
    return findings


def twin_rows(store: PreparedDataset, modality: str, rows: Longs) -> Longs:
    """Which of rows [n] have a centred cosine above 0.9998 to another of them: [twins].

    Random hyperplanes put equal vectors into equal buckets; neighbours within a bucket are
    compared.
    """
    mean = moments(store, modality, rows)[0]
    width = len(mean)
    random = np.random.Generator(np.random.PCG64(0))
    planes = random.standard_normal((width, TABLES * BITS + 1))
    signs, place = np.empty((len(rows), TABLES), np.int64), np.empty(len(rows))
    weights = 1 << np.arange(BITS)
    for part, vectors in read_vectors(store, modality, rows):
        centred = vectors - mean
        projected = centred @ planes
        bits = projected[:, :-1].reshape(-1, TABLES, BITS) > 0
        signs[part] = bits @ weights
        place[part] = projected[:, -1] / np.maximum(np.linalg.norm(centred, axis=1), 1e-30)
    twin = np.zeros(len(rows), bool)
    for table in range(TABLES):
        order = np.lexsort((place, signs[:, table]))
        for step in range(1, NEIGHBOURS + 1):
            left, right = order[:-step], order[step:]
            near = (signs[left, table] == signs[right, table]) & (
                np.abs(place[left] - place[right]) < 0.1
            )
            left, right = left[near], right[near]
            close = _close(store, modality, mean, rows[left], rows[right])
            twin[left[close]] = True
            twin[right[close]] = True
    return rows[twin]


def _close(
    store: PreparedDataset, modality: str, mean: Floats, left: Longs, right: Longs
) -> NDArray[np.bool_]:
    close = np.zeros(len(left), bool)
    for start in range(0, len(left), BLOCK):
        part = slice(start, start + BLOCK)
        a = floats_of(store, modality, left[part]) - mean
        b = floats_of(store, modality, right[part]) - mean
        length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        close[part] = (a * b).sum(axis=1) > TWIN_COSINE * np.maximum(length, 1e-30)
    return close


def moments(store: PreparedDataset, modality: str, rows: Longs) -> tuple[Floats, Floats, int]:
    """Mean [D], standard deviation [D] and the number of values that are not finite."""
    width = store.manifest.schema_.modalities[modality]
    total, broken = np.zeros(width), 0
    for _, vectors in read_vectors(store, modality, rows):
        broken += int((~np.isfinite(vectors)).sum())
        total += np.nan_to_num(vectors, posinf=0.0, neginf=0.0).sum(axis=0)
    mean = total / len(rows)
    squares = np.zeros(width)
    for _, vectors in read_vectors(store, modality, rows):
        squares += np.square(np.nan_to_num(vectors, posinf=0.0, neginf=0.0) - mean).sum(axis=0)
    return mean, np.sqrt(squares / len(rows)), broken


def read_vectors(
    store: PreparedDataset, modality: str, rows: Longs
) -> Iterator[tuple[slice, Floats]]:
    """Blocks of the vectors of rows [n]: each block's places among the rows, and its vectors
    [block, width]."""
    for start in range(0, len(rows), BLOCK):
        part = slice(start, min(start + BLOCK, len(rows)))
        yield part, floats_of(store, modality, rows[part])


def _finite(store: PreparedDataset, modality: str, rows: Longs) -> Longs:
    """The rows whose vector is finite; the others are a finding of their own."""
    keep = np.ones(len(rows), bool)
    for part, vectors in read_vectors(store, modality, rows):
        keep[part] = np.isfinite(vectors).all(axis=1)
    return rows[keep]


def floats_of(store: PreparedDataset, modality: str, rows: Longs) -> Floats:
    """The vectors of some rows [n, D], int8 rescaled."""
    vectors = store.items.vectors[modality][rows].astype(np.float64)
    if modality in store.items.scales:
        vectors *= store.items.scales[modality][rows, None]
    return vectors


def _broken(modality: str, count: int) -> Finding:
    return Finding(
        f"not_finite.{modality}",
        "severe",
        f"{count:,} values of {modality!r} are infinite or not a number.",
        "One such value makes every loss NaN; mark those items absent or mend the file.",
        {"values": count},
    )


def _constant(modality: str, constant: NDArray[np.bool_]) -> Finding:
    count, width = int(constant.sum()), len(constant)
    return Finding(
        f"constant_columns.{modality}",
        "severe" if count == width else "warning",
        f"{count} of the {width} columns of {modality!r} are constant.",
        "All of them are: the modality says nothing, check its extraction."
        if count == width
        else "Dead columns cost time and tell nothing; check the extraction, or use PCA.",
        {"columns": count, "width": width, "first": int(np.argmax(constant))},
    )


def _exploding(
    modality: str, size: Floats, exploding: NDArray[np.bool_], typical: float
) -> Finding:
    worst = int(np.argmax(size))
    return Finding(
        f"exploding_columns.{modality}",
        "warning",
        f"{int(exploding.sum())} of the {len(size)} columns of {modality!r} are over 100 times "
        f"larger than a typical one (column {worst}: {size[worst]:.3g} against {typical:.3g}).",
        "Such columns drown the others in any projection; standardise the vectors.",
        {
            "columns": int(exploding.sum()),
            "worst": worst,
            "size": float(size[worst]),
            "typical": typical,
            "ratio": float(size[worst] / typical),
        },
    )
