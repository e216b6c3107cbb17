"""One way in which a modality may be worse at serving time than it was in training."""

from typing import NamedTuple

KINDS = ("items", "requests", "noise", "stale")


class Hidden(NamedTuple):
    """One modality disturbed: hidden for a share of the items or of the requests, with noise of a
    size on its vectors, or with the vectors of other items for a share of the items."""

    modality: str
    share: float  # 0 .. 1; of noise its deviation over that of the vectors
    kind: str = "items"  # or requests, noise, stale
