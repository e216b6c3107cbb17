"""The nine worlds whose click probability is known, as coefficients of one equation.

eta = b0 + sum_m w_m a_m + gate a_(g mod 2) + cross a_0 a_1 + popularity b_c
      + sum_m gamma_m (r_cm - mean r_m) + theta_g + phi_v,   p = sigmoid(eta)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fusefront.datasets.errors import SpecError

MODALITIES = ("text", "image", "audio")  # in the order of `World.dims`


@dataclass(frozen=True)
class World:
    """One world; tuples have one entry a modality, and coefficients that are not given are zero."""

    name: str
    dims: tuple[int, ...]
    weights: tuple[float, ...]  # w: how much each modality's match steers the click
    sigma: tuple[float, ...]  # noise of the vectors
    missing: tuple[float, ...]  # mean share of items without the modality
    presence_effect: tuple[float, ...]  # gamma
    gate: float = 0.0  # weight of the modality that the request's context picks
    cross: float = 0.0  # weight of the product of the first two matches
    popularity: float = 0.0
    noise_popularity: float = 0.0  # popular items have cleaner vectors
    missing_slope: float = 0.0  # popular items miss less
    context_sd: float = 0.0
    base: float | None = None  # None: found so that `rate` of the rows are clicks
    rate: float = 0.3
    tied: bool = False  # the second modality repeats the first

    @property
    def modalities(self) -> tuple[str, ...]:
        return MODALITIES[: len(self.dims)]


def _world(
    name: str,
    weights: tuple[float, ...],
    *,
    sigma: tuple[float, ...] | None = None,
    missing: tuple[float, ...] | None = None,
    presence_effect: tuple[float, ...] | None = None,
) -> World:
    count = len(weights)
    return World(
        name,
        (64, 64, 32)[:count],
        weights,
        sigma or (0.35,) * count,
        missing or (0.0,) * count,
        presence_effect or (0.0,) * count,
    )


WORLDS: Mapping[str, World] = {
    world.name: world
    for world in (
        _world("additive", (1.0, 1.0, 1.0)),
        replace(_world("multiplicative", (0.0, 0.0, 0.0)), cross=2.0, base=0.0),
        replace(_world("redundant", (1.7, 0.0), sigma=(0.35, 0.7)), tied=True),
        _world("noise", (1.7, 0.0)),
        replace(_world("gated", (0.0, 0.0)), gate=2.0),
        replace(
            _world(
                "missing_not_at_random",
                (0.8, 1.6),
                missing=(0.0, 0.6),
                presence_effect=(0.0, 1.5),
            ),
            missing_slope=2.0,
        ),
        replace(
            _world("popularity", (0.35, 0.35), sigma=(0.5, 0.5)),
            popularity=1.5,
            noise_popularity=0.2,
        ),
        replace(_world("null", (0.0, 0.0, 0.0)), context_sd=0.7),
        replace(
            _world(
                "tour",
                (0.8, 0.8, 0.5),
                missing=(0.0, 0.0, 0.3),
                presence_effect=(0.0, 0.0, 0.5),
            ),
            cross=1.0,
            popularity=0.4,
            context_sd=0.3,
            missing_slope=1.0,
        ),
    )
}


def find_world(name: str, dims: tuple[int, ...] | None = None) -> World:
    """The world of that name, with other vector widths where `dims` gives them.

    >>> find_world("null").modalities
    ('text', 'image', 'audio')

    Raises:
        SpecError: there is no world of that name, or `dims` does not fit it.
    """
    if name not in WORLDS:
        raise SpecError(f"unknown synthetic world {name!r}; choose one of {', '.join(WORLDS)}")
    world = WORLDS[name]
    if dims is None:
        return world
    if len(dims) != len(world.dims) or min(dims) < 8:
        raise SpecError(
            f"world {name!r} has {len(world.dims)} modalities, so 'dims' needs as many widths "
            f"of at least 8, got {dims}"
        )
    return replace(world, dims=tuple(dims))
