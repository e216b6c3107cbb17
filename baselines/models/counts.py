"""Control: logistic regression on numbers, small fields and their products; no ids, no vectors, no
history.

x = the row's counters, numbers and values of small fields, standardised on train; logit = w'
[x; x_i x_j] + b, solved exactly (Newton, float64) under a ridge too small to see. What learning
from content has to beat.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Batches, ItemTable, Parts, Schema
from fusefront.baselines.models.row_columns import ColumnControl, moments
from fusefront.baselines.newton import solve_logistic

RIDGE = 1e-6  # of the mean loss
FIRST_ROWS = 200_000  # rows, evenly spaced, on which the weights are first solved


@dataclass(frozen=True)
class CountsSettings:
    """Whether products are used, and the most columns they may add up to."""

    products: bool = True
    columns: int = 512


class Counts(ColumnControl):
    """A regression on the row's columns, the first model a sceptic would try."""

    name: ClassVar[str] = "counts"
    paper: ClassVar[str] = ""
    Settings: ClassVar[type[CountsSettings]] = CountsSettings
    mean: Tensor
    scale: Tensor
    left: Tensor
    right: Tensor

    def __init__(
        self, schema: Schema, items: ItemTable, settings: CountsSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        pairs = pairs_of(self.side.sizes, self.side.numeric, settings) if settings.products else []
        self.register_buffer("mean", torch.zeros(self.side.width))
        self.register_buffer("scale", torch.ones(self.side.width))
        self.register_buffer("left", torch.tensor([i for i, _ in pairs], dtype=torch.int64))
        self.register_buffer("right", torch.tensor([j for _, j in pairs], dtype=torch.int64))
        self.weight = nn.Parameter(torch.zeros(self.side.width + len(pairs)))
        self.intercept = nn.Parameter(torch.zeros(()))

    def logits_of(self, columns: Tensor) -> Tensor:
        """Raw columns [N, C] to logits [N]."""
        return self.expand(columns, self.mean, self.scale) @ self.weight + self.intercept

    def expand(self, columns: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Standardised columns [N, C] and their products [N, C + P]."""
        x = (columns - mean) * scale
        return torch.cat([x, x[:, self.left] * x[:, self.right]], 1)

    def solve(self, train: Batches, valid: Batches) -> None:
        """Moments in one pass, the weights on an even share of the batches, then on all of them."""
        mean, deviation = moments(self.side.blocks(train), self.side.width)
        scale = torch.where(deviation > 0, 1 / deviation, 0.0)
        rows = sum(len(batch.rows) for batch in train())
        weights: Tensor | None = None
        for every in strides(rows):

            def blocks(every: int = every) -> Iterator[tuple[Tensor, Tensor]]:
                for at, (x, y) in enumerate(self.side.blocks(train)):
                    if at % every == 0:
                        yield self.expand(x, mean, scale), y

            weights = solve_logistic(blocks, len(self.weight), RIDGE, weights)
        assert weights is not None
        with torch.no_grad():
            self.mean.copy_(mean)
            self.scale.copy_(scale)
            self.weight.copy_(weights[:-1])
            self.intercept.copy_(weights[-1])

    def report(self) -> dict[str, float]:
        """How many columns it reads, and how many products of two of them."""
        columns = self.side.width
        return {"columns": float(columns), "products": float(len(self.weight) - columns)}


def strides(rows: int) -> list[int]:
    """Of how many batches each solve takes one: first a share of about `FIRST_ROWS` rows, then
    all."""
    return list(dict.fromkeys((max(1, rows // FIRST_ROWS), 1)))


def pairs_of(
    sizes: list[int], numeric: list[bool], settings: CountsSettings
) -> list[tuple[int, int]]:
    """The pairs of columns to multiply, in whole blocks while they fit: numbers first, then numbers
    with fields.

    A number is also squared; values of one field are not multiplied with each other.
    """
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    blocks = [
        (numeric[a] + numeric[b], a, b)
        for a in range(len(sizes))
        for b in range(a, len(sizes))
        if a != b or numeric[a]
    ]
    pairs: list[tuple[int, int]] = []
    room = settings.columns - sum(sizes)
    for _, a, b in sorted(blocks, key=lambda block: -block[0]):
        if sizes[a] * sizes[b] <= room - len(pairs):
            left = range(starts[a], starts[a] + sizes[a])
            right = range(starts[b], starts[b] + sizes[b])
            pairs += [(i, j) for i in left for j in right]
    return pairs
