"""One way in which a modality, an item or a user can be worse at serving time than in training."""

from typing import NamedTuple

MODALITY_KINDS = ("items", "requests", "noise", "stale")
COLD_KINDS = ("cold_items", "cold_users")  # of no modality
KINDS = (*MODALITY_KINDS, *COLD_KINDS)
OTHER = "other"  # with a second vector file


class Hidden(NamedTuple):
    """One disturbed modality: hidden for a share of the items or of the requests, with noise on its
    vectors, with vectors of other items or of another file for a share of the items; or a share of
    the items or users that is new to the model."""

    modality: str  # "" where items or users are cold
    share: float = 1.0  # 0 .. 1; for noise: its standard deviation over that of the vectors
    kind: str = "items"  # of KINDS, or OTHER
