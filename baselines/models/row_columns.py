"""What is plainly known of a row, as columns: numbers, and small fields as shares of their values.

No ids, no vectors, no history. A field of more than `MOST_VALUES` values is an id by another name
and stays out; of a field with several columns each value has its share of those that are filled.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Batches, Context, Field, ItemTable, Request, Schema
from fusefront.baselines.placements.stream import select

MOST_VALUES = 64


def is_small(field: Field) -> bool:
    """Whether each of its values can have a column."""
    return field.size - 1 <= MOST_VALUES


class FieldColumns(nn.Module):
    """Context [..., .] to numbers, then the values' shares [..., width]; `groups` has one a
    block."""

    def __init__(self, fields: tuple[Field, ...], numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.small: list[tuple[int, Field]] = []
        start = 0
        for field in fields:
            if is_small(field):
                self.small.append((start, field))
            start += field.columns
        self.sizes = [1] * numbers + [field.size - 1 for _, field in self.small]
        self.width = sum(self.sizes)

    def forward(self, context: Context) -> Tensor:
        numbers = context.numbers
        pieces = [numbers] if self.numbers else []
        for start, field in self.small:
            ids = context.ids[..., start : start + field.columns]
            values = torch.arange(1, field.size, device=ids.device)
            hits = (ids.unsqueeze(-1) == values).to(numbers.dtype).sum(-2)  # [..., size - 1]
            filled = (ids > 0).sum(-1, keepdim=True).clamp(min=1)
            pieces.append(hits / filled)
        return torch.cat(pieces, -1) if pieces else numbers[..., :0]


class RowColumns(nn.Module):
    """Columns of items, which are cached, of requests and of candidates, side by side."""

    def __init__(self, schema: Schema, items: ItemTable) -> None:
        super().__init__()
        self.item = FieldColumns(schema.item_fields, schema.item_numbers)
        self.request = FieldColumns(schema.request_fields, schema.request_numbers)
        self.candidate = FieldColumns(schema.candidate_fields, schema.candidate_numbers)
        parts = (self.item, self.request, self.candidate)
        self.sizes = [size for part in parts for size in part.sizes]  # columns of each block
        self.numeric = [i < part.numbers for part in parts for i in range(len(part.sizes))]
        self.width = sum(self.sizes)
        self.register_buffer("fields", items.fields.clone())
        self.register_buffer("numbers", items.numbers.clone())

    def encode(self, ids: Tensor) -> Tensor:
        """The items' columns [U, .], for the code table."""
        context = Context(self.get_buffer("fields")[ids], self.get_buffer("numbers")[ids])
        columns: Tensor = self.item(context)
        return columns

    def forward(self, request: Request, rows: Tensor | None) -> Tensor:
        """All columns of the rows [N, width], or [R, K, width] without `rows`."""
        joined = self._joined(
            request.candidates.values, request.request_context, request.candidate_context
        )
        return select(joined, rows)

    def blocks(self, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """Raw columns [N, width] and labels [N] of every batch, float64."""
        fields, numbers = self.get_buffer("fields"), self.get_buffer("numbers").double()
        for batch in batches():
            code = self.item(Context(fields[batch.items], numbers[batch.items]))[batch.candidates]
            contexts = (batch.request_context, batch.candidate_context)
            joined = self._joined(code, *(Context(c.ids, c.numbers.double()) for c in contexts))
            yield joined.flatten(0, 1)[batch.rows], batch.labels.flatten()[batch.rows].double()

    def _joined(self, code: Tensor, request: Context, candidate: Context) -> Tensor:
        """Side by side [R, K, width]."""
        once = self.request(request).unsqueeze(1).expand(-1, code.shape[1], -1)
        return torch.cat([code, once.to(code.dtype), self.candidate(candidate).to(code.dtype)], -1)


def moments(blocks: Iterator[tuple[Tensor, Tensor]], width: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation [width] of the columns over all rows; a constant column has deviation
    0."""
    rows, mean = 0, torch.zeros(width, dtype=torch.float64)
    squares = torch.zeros(width, dtype=torch.float64)
    for x, _ in blocks:  # Chan et al. 1979: the batch's own moments joined to those so far
        here = x.mean(0)
        gap, total = here - mean, rows + len(x)
        squares += (x - here).square().sum(0) + gap.square() * rows * len(x) / total
        mean += gap * len(x) / total
        rows = total
    deviation = (squares / max(rows, 1)).sqrt()
    return mean, torch.where(deviation > 1e-9 * (1 + mean.abs()), deviation, 0.0)
