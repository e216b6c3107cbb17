"""One way in which a modality can be worse at serving time than in training."""

from typing import NamedTuple

KINDS = ("items", "requests", "noise", "stale")


class Hidden(NamedTuple):
    """One disturbed modality: hidden for a share of the items or of the requests, with noise on its
    vectors, or with vectors of other items for a share of the items."""

    modality: str
    share: float  # 0 .. 1; for noise: its standard deviation over that of the vectors
    kind: str = "items"  # or requests, noise, stale
