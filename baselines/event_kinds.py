"""What a user did with an item, as a learned vector of each kind: x_(i,k) = x_i + v_k, v_0 = 0.

Added before operator and pooler, to every slot by its own vector, and cleared where the slot is
absent.
"""

from torch import Tensor, nn

from fusefront.baselines.contract import Events
from fusefront.baselines.fields import small_embedding
from fusefront.baselines.packed import at


class EventKindTokens(nn.Module):
    """Turns tokens of items into tokens of events; without kinds or events, tokens stay
    unchanged."""

    def __init__(self, kinds: int, *shape: int) -> None:
        """`shape` is that of an item's tokens: (S, d), or (D,) where they lie side by side."""
        super().__init__()
        self.shape = shape
        width = 1
        for size in shape:
            width *= size
        self.vectors = small_embedding(kinds + 1, width) if kinds else None

    def forward(self, x: Tensor, present: Tensor, events: Events | None) -> tuple[Tensor, Tensor]:
        """Tokens [U, *shape], presence [U, S] or [U, 1] to those of events, [P, *shape] and
        [P, .]."""
        if events is None:
            return x, present
        x, present = at(x, events.item), at(present, events.item)
        if self.vectors is None:
            return x, present
        lead = (-1, *[1] * (x.ndim - 1))
        there = present if present.ndim == x.ndim else present.unsqueeze(-1)
        added = self.vectors(events.kind).unflatten(-1, self.shape)
        return x + added.masked_fill(~there | (events.kind == 0).view(lead), 0.0), present
