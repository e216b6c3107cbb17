"""The exact click probability of a row, and the constants it needs.

Match of modality m between the history and candidate c: a_m = clip(r_cm <h_m, z_cm> / tau_m, +-3),
h_m the mean of z over the history items that have m, tau_m the standard deviation of the match.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fusefront.datasets.synthetic.draws import CALIBRATION, Bytes, draw
from fusefront.datasets.synthetic.latents import FACTORS, Floats, Ints, Latents, draw_latents
from fusefront.datasets.synthetic.worlds import World

CALIBRATION_REQUESTS = 20_000
CLIP = 3.0


@dataclass(frozen=True)
class Truth:
    """The constants of eta that come from one fixed calibration chunk."""

    scale: Floats  # tau [M]
    mean_present: Floats  # [M]
    base: float


@dataclass(frozen=True)
class WorldSource:
    """A world, its latents and its calibrated truth: all that chunks are made from."""

    world: World
    seed: int
    latents: Latents
    truth: Truth


def build_source(
    world: World, seed: int = 0, *, warm: int = 4_000, cold: int = 1_000
) -> WorldSource:
    """Draw the items and calibrate; takes under a second."""
    latents = draw_latents(world, seed, warm, cold)
    draws = draw(latents, seed, CALIBRATION, 0, CALIBRATION_REQUESTS)
    raw = _matches(latents.factors, latents.present, draws.history, draws.candidates)
    scale = raw.std(axis=(0, 1))
    mean_present = latents.present[draws.candidates].mean(axis=(0, 1))
    truth = Truth(np.where(scale > 0, scale, 1.0), mean_present, world.base or 0.0)
    source = WorldSource(world, seed, latents, truth)
    if world.base is not None:
        return source
    eta = true_logit(source, draws.history, draws.group, draws.candidates, draws.variant)
    return replace(source, truth=replace(truth, base=_base(eta, world.rate)))


def _base(eta: Floats, rate: float) -> float:
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        if float(np.mean(1 / (1 + np.exp(-(eta + middle))))) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _matches(
    factors: Floats, present: npt.NDArray[np.bool_], history: Ints, candidates: Ints
) -> Floats:
    """r_cm <h_m, z_cm> [R, K, M], before scaling; absent factors are zero."""
    requests, count = len(history), present.shape[1]
    flat = factors.reshape(len(factors), -1)
    total = np.zeros((requests, flat.shape[1]))
    having = np.zeros((requests, count))
    for items in history.T:  # position by position: the working set stays in the cache
        total += flat.take(items, axis=0)
        having += present.take(items, axis=0)
    mean = total.reshape(requests, count, FACTORS) / np.maximum(having, 1)[:, :, None]
    match: Floats = np.einsum("rkmf,rmf->rkm", factors.take(candidates, axis=0), mean)
    return match


def true_logit(
    source: WorldSource,
    history: Ints,
    group: Bytes,
    candidates: Ints,
    variant: Bytes,
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
