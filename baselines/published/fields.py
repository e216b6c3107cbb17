"""Everything of a row as fields of one width: what DeepFM and AutoInt read.

Item: id, each item field, each modality through a bias-free layer, all numbers through one; request
and candidate: each context field, all numbers through one; history: the mean of each item field
over the real items.
"""

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Context, Field, ItemTable, Request, Schema
from fusefront.baselines.fields import FieldEmbedding, small_embedding
from fusefront.baselines.slots import standardised


class NamedFields(nn.Module):
    """Fields of a context as [..., count * width], the numbers as one more field."""

    def __init__(self, fields: tuple[Field, ...], numbers: int, width: int) -> None:
        super().__init__()
        self.fields = FieldEmbedding(fields, 0, width)
        self.project = nn.Linear(numbers, width, bias=False) if numbers else None
        self.count = len(fields) + bool(numbers)

    def forward(self, context: Context) -> Tensor:
        """Vectors of a context's fields and of its numbers: [..., width_out]."""
        pieces = [self.fields(context)] if self.fields.width_out else []
        if self.project is not None:
            pieces.append(self.project(context.numbers.to(self.project.weight.dtype)))
        return torch.cat(pieces, -1)


class ContextFields(nn.Module):
    """Request and candidate context of every candidate, [R, K, count * width]."""

    def __init__(self, schema: Schema, width: int) -> None:
        super().__init__()
        self.request = NamedFields(schema.request_fields, schema.request_numbers, width)
        self.candidate = NamedFields(schema.candidate_fields, schema.candidate_numbers, width)
        self.count = self.request.count + self.candidate.count

    def forward(self, request: Request, like: Tensor) -> Tensor:
        """A request to its context fields; `like` [R, K, .] tells K."""
        pieces = []
        if self.request.count:
            once = self.request(request.request_context).unsqueeze(1)
            pieces.append(once.expand(-1, like.shape[1], -1))
        if self.candidate.count:
            pieces.append(self.candidate(request.candidate_context))
        return torch.cat(pieces, -1) if pieces else like[..., :0]


class FieldTokens(nn.Module):
    """Offline the item's fields, online those of context and history beside them."""

    present: Tensor
    in_train: Tensor
    field_ids: Tensor
    numbers: Tensor

    def __init__(self, schema: Schema, items: ItemTable, width: int) -> None:
        super().__init__()
        self.width = width
        self.ids = small_embedding(schema.items + 1, width)
        self.modalities = list(schema.modalities)
        self.side = NamedFields(schema.item_fields, schema.item_numbers, width)
        self.vectors = nn.ModuleList(
            nn.Linear(wide, width, bias=False) for wide in schema.modalities.values()
        )
        for m, modality in enumerate(schema.modalities):
            self.register_buffer(f"vector_{m}", items.stored(modality))
        self.frozen_tables = tuple(f"vector_{m}" for m in range(len(self.vectors)))
        self.register_buffer("present", items.present.clone())
        self.register_buffer("in_train", items.in_train.clone())
        self.register_buffer("field_ids", items.fields.clone())
        self.register_buffer("numbers", standardised(items.numbers, items.in_train))
        self.context = ContextFields(schema, width)
        item = 1 + self.side.count + len(self.vectors)
        self.item_width = item * width
        self.has_history = schema.max_history > 0
        self.count = item * (1 + self.has_history) + self.context.count

    def of_modality(self) -> dict[str, list[nn.Module]]:
        """The modules that serve one modality alone, by its name."""
        return {name: [part] for name, part in zip(self.modalities, self.vectors, strict=True)}

    def encode(self, ids: Tensor, keep: Tensor | None) -> Tensor:
        """Item ids [U] to the item's fields [U, F_item * width]."""
        there = self.present[ids] if keep is None else self.present[ids] & keep  # [U, M]
        pieces = [self.ids(ids * self.in_train[ids])]
        if self.side.count:
            pieces.append(self.side(Context(self.field_ids[ids], self.numbers[ids])))
        for m, project in enumerate(self.vectors):
            rows = self.get_buffer(f"vector_{m}")[ids].to(self.ids.weight.dtype)
            pieces.append(project(rows.masked_fill(~there[:, [m]], 0.0)))
        return torch.cat(pieces, -1)

    def forward(self, request: Request) -> Tensor:
        """A request to all fields of its candidates [R, K, count * width]."""
        item = request.candidates.values
        pieces = [item]
        if self.has_history:
            weight = request.history_mask.to(item.dtype)
            weight = weight / weight.sum(-1, keepdim=True).clamp(min=1.0)  # [R, L]
            mean = weight.unsqueeze(1) @ request.history.values  # [R, 1, .]
            pieces.append(mean.expand(-1, item.shape[1], -1))
        return torch.cat([*pieces, self.context(request, item)], -1)
