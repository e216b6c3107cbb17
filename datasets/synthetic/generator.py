"""Requests of a synthetic world, in chunks that may be made in any order, with exact p.

Match of modality m between the history and candidate c: a_m = clip(r_cm <h_m, z_cm> / tau_m, +-3),
h_m the mean of z over the history items that have m, tau_m the standard deviation of the match.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fusefront.datasets.synthetic.latents import (
    FACTORS,
    GROUPS,
    VARIANTS,
    Floats,
    Ints,
    Latents,
    draw_latents,
    stream,
)
from fusefront.datasets.synthetic.worlds import World

SPLITS = ("train", "valid", "test")
HELD_OUT = (1, 2)
CALIBRATION = 3  # the stream that sets tau, mean presence and b0
CALIBRATION_REQUESTS = 20_000
CHUNK = 4_096
HISTORY = 16
CANDIDATES = 8
COLD_SHARE = 0.2  # of candidates in validation and test
CLIP = 3.0

Longs = npt.NDArray[np.int64]


class Chunk(NamedTuple):
    """R requests with K candidates each; item rows count from 1, 0 = padding."""

    first: int  # position of the first request in its split
    user: Longs  # [R]
    history: Ints  # [R, L] left-padded, newest last
    group: npt.NDArray[np.int8]  # [R] request context g
    candidates: Ints  # [R, K]
    variant: npt.NDArray[np.int8]  # [R, K] candidate context v
    p: Floats  # [R, K]
    label: npt.NDArray[np.uint8]  # [R, K]


class Draws(NamedTuple):
    """What a chunk draws before any truth is known."""

    history: Ints
    group: npt.NDArray[np.int8]
    candidates: Ints
    variant: npt.NDArray[np.int8]
    uniform: Floats  # [R, K] decides the labels


@dataclass(frozen=True)
class Truth:
    """The constants of eta that come from the calibration chunk."""

    scale: Floats  # tau [M]
    mean_present: Floats  # [M]
    base: float


@dataclass(frozen=True)
class Source:
    """A world, its latents and its calibrated truth: all that chunks are made from."""

    world: World
    seed: int
    latents: Latents
    truth: Truth


def build_source(world: World, seed: int = 0, *, warm: int = 4_000, cold: int = 1_000) -> Source:
    """Draw the items and calibrate; takes under a second."""
    latents = draw_latents(world, seed, warm, cold)
    count = len(world.dims)
    source = Source(world, seed, latents, Truth(np.ones(count), np.zeros(count), 0.0))
    draws = _draw(source, CALIBRATION, 0, CALIBRATION_REQUESTS)
    raw = _matches(latents.factors, latents.present, draws.history, draws.candidates)
    scale = raw.std(axis=(0, 1))
    mean_present = latents.present[draws.candidates].mean(axis=(0, 1))
    truth = Truth(np.where(scale > 0, scale, 1.0), mean_present, 0.0)
    source = replace(source, truth=truth)
    eta = true_logit(source, draws.history, draws.group, draws.candidates, draws.variant)
    base = _base(eta, world.rate) if world.base is None else world.base
    return replace(source, truth=replace(truth, base=base))


def _base(eta: Floats, rate: float) -> float:
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        if float(np.mean(1 / (1 + np.exp(-(eta + middle))))) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def make_chunk(source: Source, split: str, number: int, *, size: int = CHUNK) -> Chunk:
    """Chunk `number` of a split: always the same, whichever chunks were made before."""
    draws = _draw(source, SPLITS.index(split), number, size)
    eta = true_logit(source, draws.history, draws.group, draws.candidates, draws.variant)
    p = 1 / (1 + np.exp(-eta))
    label = (draws.uniform < p).astype(np.uint8)
    first = number * size
    user = np.arange(first, first + size, dtype=np.int64)
    return Chunk(first, user, draws.history, draws.group, draws.candidates, draws.variant, p, label)


def make_chunks(source: Source, split: str, requests: int, *, size: int = CHUNK) -> Iterator[Chunk]:
    """The first `requests` requests of a split, chunk by chunk."""
    for number in range(-(-requests // size)):
        chunk = make_chunk(source, split, number, size=size)
        keep = min(size, requests - chunk.first)
        yield chunk if keep == size else _head(chunk, keep)


def _head(chunk: Chunk, keep: int) -> Chunk:
    return Chunk(
        chunk.first,
        chunk.user[:keep],
        chunk.history[:keep],
        chunk.group[:keep],
        chunk.candidates[:keep],
        chunk.variant[:keep],
        chunk.p[:keep],
        chunk.label[:keep],
    )


def _draw(source: Source, split: int, number: int, size: int) -> Draws:
    latents = source.latents
    random = stream(source.seed, 4, split, number, size)
    tastes, slots = latents.taste_items.shape
    taste = random.integers(0, tastes, size)
    group = random.integers(0, GROUPS, size, np.int8)
    length = random.integers(HISTORY // 2, HISTORY + 1, size)
    history = latents.taste_items[taste[:, None], random.integers(0, slots, (size, HISTORY))]
    history[np.arange(HISTORY) < (HISTORY - length)[:, None]] = 0
    pick = random.random((size, CANDIDATES))
    candidates = np.searchsorted(latents.warm_cdf, pick).astype(np.int32) + 1
    if split in HELD_OUT:
        cold = random.random((size, CANDIDATES)) < COLD_SHARE
        candidates[cold] = np.searchsorted(latents.cold_cdf, pick[cold]) + 1 + latents.warm
    variant = random.integers(0, VARIANTS, (size, CANDIDATES), np.int8)
    return Draws(history, group, candidates, variant, random.random((size, CANDIDATES)))


def _matches(
    factors: Floats, present: npt.NDArray[np.bool_], history: Ints, candidates: Ints
) -> Floats:
    """r_cm <h_m, z_cm> [R, K, M], before scaling; absent factors are zero."""
    requests, count = len(history), present.shape[1]
    flat = factors.reshape(len(factors), -1)
    total = np.zeros((requests, flat.shape[1]))
    having = np.zeros((requests, count))
    for items in history.T:  # position by position: the working set stays in the cache
        total += flat[items]
        having += present[items]
    mean = total.reshape(requests, 1, count, FACTORS) / np.maximum(having, 1)[:, None, :, None]
    shown: Floats = factors[candidates]
    match: Floats = np.einsum("rkmf,romf->rkm", shown, mean)
    return match


def true_logit(
    source: Source,
    history: Ints,
    group: npt.NDArray[np.int8],
    candidates: Ints,
    variant: npt.NDArray[np.int8],
    factors: Floats | None = None,
) -> Floats:
    """eta [R, K]; with other `factors` (estimates from the vectors) it is the x-oracle's score."""
    world, latents, truth = source.world, source.latents, source.truth
    factors = latents.factors if factors is None else factors
    match = _matches(factors, latents.present, history, candidates) / truth.scale
    match = match.clip(-CLIP, CLIP)
    eta: Floats = match @ np.array(world.weights) + truth.base
    if world.gate:
        picked = np.take_along_axis(match, (group[:, None, None] % 2).astype(np.int64), axis=2)
        eta += world.gate * picked[..., 0]
    if world.cross:
        eta += world.cross * match[..., 0] * match[..., 1]
    if world.popularity:
        eta += world.popularity * latents.popularity[candidates]
    if any(world.presence_effect):
        shown = latents.present[candidates] - truth.mean_present
        eta += shown @ np.array(world.presence_effect)
    if world.context_sd:
        eta += latents.group_effect[group][:, None] + latents.variant_effect[variant]
    return eta
