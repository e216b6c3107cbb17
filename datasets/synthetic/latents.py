"""What a synthetic world draws once: items, tastes, vectors and the constants of the truth.

Item rows are 1 .. n, the warm items first; row 0 is padding, with zeros everywhere.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fusefront.datasets.synthetic.worlds import World

FACTORS = 8  # width of every latent
TASTES = 256
GROUPS = 4  # levels of the request's context g
VARIANTS = 8  # levels of the candidate's context v
LADDER = np.linspace(1.0, 0.6, FACTORS)  # scale of each factor in the vectors

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Latents:
    """Items in axis n + 1 (row 0 = padding), modalities in axis M."""

    popularity: Floats  # [n + 1]
    present: Bools  # [n + 1, M]
    factors: Floats  # [n + 1, M, 8], zero where the modality is absent
    group_effect: Floats  # theta [4]
    variant_effect: Floats  # phi [8]
    taste_items: Ints  # [256, S] warm items, as often as the taste's histories show them
    warm: int
    warm_cdf: Floats  # [warm]
    cold_cdf: Floats  # [cold]


def stream(*key: int) -> np.random.Generator:
    """An independent random stream for that key."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


def normal_quantiles(random: np.random.Generator, count: int) -> Floats:
    """[count] normal quantiles in random order, with mean 0 and variance 1 exactly."""
    grid = (np.arange(count) + 0.5) / max(count, 1)
    values = np.array([NormalDist().inv_cdf(float(u)) for u in grid])
    values = values / values.std() if count > 1 else values
    return random.permutation(values)


def draw_latents(world: World, seed: int, warm: int, cold: int) -> Latents:
    """The hidden factors of `warm` + `cold` items and of all tastes, drawn by a seed."""
    count = len(world.dims)
    random = stream(seed, 1)
    popularity = np.concatenate(
        [[0.0], normal_quantiles(random, warm), normal_quantiles(random, cold)]
    )
    factors = random.standard_normal((warm + cold, count, FACTORS))
    if world.tied:
        factors[:, 1] = factors[:, 0]
    present = np.zeros((warm + cold + 1, count), bool)
    uniform = random.random((warm + cold, count))
    for m, missing in enumerate(world.missing):
        present[1:, m] = uniform[:, m] < _presence(popularity[1:], missing, world.missing_slope)
    factors = np.concatenate([np.zeros((1, count, FACTORS)), factors])
    factors[~present] = 0.0
    effects = normal_quantiles(random, GROUPS), normal_quantiles(random, VARIANTS)
    tastes = random.standard_normal((TASTES, count, FACTORS))
    exposure = np.exp(popularity[1:])
    return Latents(
        popularity,
        present,
        factors,
        world.context_sd * effects[0],
        world.context_sd * effects[1],
        _taste_items(tastes, factors[1 : warm + 1], popularity[1 : warm + 1]),
        warm,
        _cdf(exposure[:warm]),
        _cdf(exposure[warm:]),
    )


def _cdf(weights: Floats) -> Floats:
    total: Floats = np.cumsum(weights) / weights.sum()
    total[-1] = 1.0  # despite round-off, every draw gets an item
    return total


def _presence(popularity: Floats, missing: float, slope: float) -> Floats:
    """Chance that an item has a modality; its mean is about 1 - missing."""
    if missing == 0:
        return np.ones_like(popularity)
    centre = math.log((1 - missing) / missing) * math.sqrt(1 + slope**2 / 2.9)
    return 1 / (1 + np.exp(-(centre + slope * popularity)))


def _taste_items(tastes: Floats, factors: Floats, popularity: Floats) -> Ints:
    """Items in exp(b_i + 0.8 sum_m u_m . z_im / sqrt 8), at S evenly spaced quantiles."""
    slots = max(4_096, 2 ** math.ceil(math.log2(len(popularity) / 16)))
    places = (np.arange(slots) + 0.5) / slots
    table = np.empty((len(tastes), slots), np.int32)
    flat = factors.reshape(len(factors), -1)
    for row, taste in enumerate(tastes):
        score = popularity + 0.8 / math.sqrt(FACTORS) * (flat @ taste.ravel())
        cdf = np.cumsum(np.exp(score - score.max()))
        table[row] = np.searchsorted(cdf, places * cdf[-1]) + 1
    return table


def vectors(world: World, latents: Latents, seed: int, modality: int) -> npt.NDArray[np.float32]:
    """Content vectors [n + 1, D] of one modality; absent items and row 0 are zero."""
    directions, sigma = _directions(world, seed, modality), _noise(world, latents, modality)
    random = stream(seed, 3, modality)
    clean = (latents.factors[:, modality] * LADDER) @ directions.T
    noisy = clean.astype(np.float32)
    noise = random.standard_normal(noisy.shape, np.float32)
    noisy += noise * sigma[:, None].astype(np.float32)
    noisy[~latents.present[:, modality]] = 0.0
    return noisy


def estimate_factors(
    world: World, latents: Latents, seed: int, modality: int, rows: npt.NDArray[np.float32]
) -> Floats:
    """Ridge estimate E[z | x] [n + 1, 8] from that modality's own vectors [n + 1, D]."""
    directions, sigma = _directions(world, seed, modality), _noise(world, latents, modality)
    gain = world.dims[modality] / FACTORS
    projected = rows.astype(np.float64) @ directions / gain
    shrink = LADDER / (LADDER**2 + sigma[:, None] ** 2 / gain)
    return projected * shrink


def _directions(world: World, seed: int, modality: int) -> Floats:
    """A [D, 8]: orthonormal columns times sqrt(D / 8)."""
    width = world.dims[modality]
    random = stream(seed, 2, modality)
    columns = np.linalg.qr(random.standard_normal((width, FACTORS)))[0]
    return columns * math.sqrt(width / FACTORS)


def _noise(world: World, latents: Latents, modality: int) -> Floats:
    return world.sigma[modality] * np.exp(-world.noise_popularity * latents.popularity)
