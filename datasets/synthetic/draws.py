"""Draws the histories, candidates and contexts of a chunk, before any probability is computed."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fusefront.datasets.synthetic.latents import (
    GROUPS,
    VARIANTS,
    Floats,
    Ints,
    Latents,
    stream,
)

SPLITS = ("train", "valid", "test")
HELD_OUT = (1, 2)
CALIBRATION = 3  # the stream that sets tau, mean presence and b0
HISTORY = 16
CANDIDATES = 8
COLD_SHARE = 0.2  # of the candidates in validation and test

Bytes = npt.NDArray[np.int8]


class Draws(NamedTuple):
    """R requests with K candidates each; item rows count from 1, 0 = padding."""

    history: Ints  # [R, L] left-padded, newest last
    group: Bytes  # [R] request context g
    candidates: Ints  # [R, K]
    variant: Bytes  # [R, K] candidate context v
    uniform: Floats  # [R, K] decides the labels


def draw(latents: Latents, seed: int, split: int, number: int, size: int) -> Draws:
    """`size` requests of a split, the same for the same seed and number."""
    random = stream(seed, 4, split, number, size)
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
