"""The plain columns of a row, and the controls that read nothing else.

The columns are numbers, and small fields as shares of their values; no ids, vectors or history. A
field with more than `MOST_VALUES` values is left out, because it acts as an id. In a field with
several columns, each value gets its share of the filled ones.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import (
    Baseline,
    Batches,
    Context,
    Events,
    Field,
    ItemCodes,
    ItemTable,
    Parts,
    Request,
    Rows,
    Schema,
    Scored,
    no_loss,
)
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.settings import check_numbers, resolve

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
        """Numbers, and the share of each value among a small field's values: [..., width]."""
        numbers = context.numbers
        pieces = [numbers]
        for start, field in self.small:
            ids = context.ids[..., start : start + field.columns]
            values = torch.arange(1, field.size, device=ids.device)
            hits = (ids.unsqueeze(-1) == values).to(numbers.dtype).sum(-2)  # [..., size - 1]
            filled = (ids > 0).sum(-1, keepdim=True).clamp(min=1)
            pieces.append(hits / filled)
        return torch.cat(pieces, -1)


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
        """All columns of the rows, or without `rows` of every place: [N, width]."""
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


class ColumnControl(Baseline):
    """A control whose logit is a formula of a row's columns (`logits_of`), with weights that are
    solved."""

    family = "control"
    reads_history: ClassVar[bool] = False
    solved: ClassVar[bool] = True

    def __init__(self, schema: Schema, items: ItemTable, settings: Any, parts: Parts) -> None:
        super().__init__(schema, items, settings, parts)
        self.side = RowColumns(schema, items)

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> Any:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: Any = resolve(cls.Settings, settings, cls.name)
        check_numbers(cls.name, resolved, cls.choices)
        _refuse_no_column(cls.name, schema)
        return resolved

    def logits_of(self, columns: Tensor) -> Tensor:
        """Raw columns [N, C] to logits [N]."""
        raise NotImplementedError

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        """Item ids [U] to their columns [U, .] as candidate code; a history item has no code."""
        code, there = self.side.encode(ids), (ids > 0)[:, None]
        return ItemCodes(Rows(code[:, :0], there), Rows(code, there)), no_loss(code)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        """Request to logits [R, K], 0 at what `rows` [N] leaves out."""
        logits = self.logits_of(self.side(request, rows))
        return Scored(spread(logits, rows, request.candidates.values), no_loss(logits))


def _refuse_no_column(name: str, schema: Schema) -> None:
    """A ValueError where the data has nothing that these controls read."""
    fields = (*schema.item_fields, *schema.request_fields, *schema.candidate_fields)
    numbers = (schema.item_numbers, schema.request_numbers, schema.candidate_numbers)
    if not any((*numbers, *map(is_small, fields))):
        raise ValueError(f"{name}: the data has no number and no small field to learn from")


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
    deviation = (squares / rows).sqrt()
    return mean, torch.where(deviation > 1e-9 * (1 + mean.abs()), deviation, 0.0)
