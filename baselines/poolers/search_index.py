"""Content search made ahead of the request: for every key, the K most alike items of a history.

Offline, when a user's history changes: table[n] = the places of the K largest cos(key_n, g_l), the
newer of equals first. Online a candidate looks up the row of its key, so that what is paid grows
with K and not with L. Exact: every item is its own key. Quantised: items share the key of the
nearest of N centres, and a table has N rows whatever the catalogue.
"""

import torch
from torch import Tensor

from fusefront.baselines.poolers.content_search import ranked
from fusefront.baselines.poolers.similarity import direction

NOBODY = -1  # a place of a history that has fewer than K items
_ROWS = 1_024  # keys at a time


class HistoryIndex:
    """Which history items each item of a catalogue would find."""

    def __init__(self, keys: Tensor, key_of: Tensor, nearest: int) -> None:
        """Directions `keys` [N, C]; `key_of` [I] is each item's row in them; `nearest` is K."""
        if nearest < 1 or not len(keys):
            raise ValueError(
                f"got {len(keys)} keys and nearest {nearest}, expected at least 1 each"
            )
        self.keys, self.key_of, self.nearest = direction(keys), key_of, nearest

    @classmethod
    def exact(cls, content: Tensor, nearest: int) -> "HistoryIndex":
        """Content [I, C] of every item; nothing is lost."""
        return cls(content, torch.arange(len(content)), nearest)

    @classmethod
    def quantised(cls, content: Tensor, centres: Tensor, nearest: int) -> "HistoryIndex":
        """Content [I, C] of every item, centres [N, C]: an item searches as its centre would."""
        toward = direction(centres).T
        rows = [(part @ toward).argmax(-1) for part in torch.split(direction(content), _ROWS)]
        return cls(centres, torch.cat(rows), nearest)

    def table(self, content: Tensor) -> Tensor:
        """Content [L, C] of a history, oldest first, to places [N, K] int32, the most alike
        first; `NOBODY` where it is shorter than K. Made offline."""
        ways, count = direction(content), min(self.nearest, len(content))
        rows = [
            ranked(part @ ways.T).topk(count, -1).indices for part in torch.split(self.keys, _ROWS)
        ]
        table = torch.full((len(self.keys), self.nearest), NOBODY, dtype=torch.int32)
        table[:, :count] = torch.cat(rows)
        return table

    def places(self, tables: Tensor, candidates: Tensor) -> Tensor:
        """Tables [R, N, K] of requests, their candidates' items [R, k] to places [R, k, K]."""
        request = torch.arange(len(tables)).unsqueeze(-1)
        return tables[request, self.key_of[candidates]].long()
