"""Categorical fields and numbers to vectors; code 0 is absent and contributes nothing."""

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Context, Field, Schema


def small_embedding(rows: int, width: int) -> nn.Embedding:
    """An embedding [rows, width] with small normal values; row 0 is zero and stays zero."""
    table = nn.Embedding(rows, width, padding_idx=0)
    with torch.no_grad():
        nn.init.normal_(table.weight, std=0.05)
        table.weight[0] = 0.0
    return table


class FieldEmbedding(nn.Module):
    """One embedding for each field, the mean over its filled columns; numbers are appended
    unchanged."""

    def __init__(self, fields: tuple[Field, ...], numbers: int, width: int) -> None:
        super().__init__()
        self.columns = [field.columns for field in fields]
        self.numbers = numbers
        self.tables = nn.ModuleList(small_embedding(field.size, width) for field in fields)
        self.width_out = width * len(fields) + numbers

    def forward(self, context: Context) -> Tensor:
        """Ids [..., C] and numbers [..., N] to [..., width_out]."""
        pieces, start = [], 0
        for table, columns in zip(self.tables, self.columns, strict=True):
            at, start = start, start + columns
            if columns == 1:
                pieces.append(table(context.ids[..., at]))
                continue
            ids = context.ids[..., at:start]
            count = (ids > 0).sum(-1, keepdim=True).clamp(min=1)
            pieces.append(table(ids).sum(-2) / count)
        if self.numbers:
            pieces.append(context.numbers.to(pieces[0].dtype) if pieces else context.numbers)
        return torch.cat(pieces, -1) if pieces else context.numbers[..., :0]


class ContextEncoder(nn.Module):
    """The context of a request and of its candidates side by side, [R, K, width_out]."""

    def __init__(
        self,
        request: tuple[tuple[Field, ...], int],
        candidate: tuple[tuple[Field, ...], int],
        width: int,
    ) -> None:
        super().__init__()
        self.request = FieldEmbedding(*request, width)
        self.candidate = FieldEmbedding(*candidate, width)
        self.width_out = self.request.width_out + self.candidate.width_out

    def forward(self, request: Context, candidate: Context, like: Tensor) -> Tensor:
        """Contexts [R, .] and [R, K, .] to [R, K, width_out]; `like` [R, K, .] tells K."""
        pieces = []
        if self.request.width_out:
            once = self.request(request).unsqueeze(1)  # [R, 1, C]
            pieces.append(once.expand(-1, like.shape[1], -1))
        if self.candidate.width_out:
            pieces.append(self.candidate(candidate))
        return torch.cat(pieces, -1) if pieces else like[..., :0]


def context_of(schema: Schema, embedding: int) -> ContextEncoder:
    """Embeddings of the request's and the candidate's fields side by side, [R, K, .]."""
    request: tuple[tuple[Field, ...], int] = (schema.request_fields, schema.request_numbers)
    return ContextEncoder(request, (schema.candidate_fields, schema.candidate_numbers), embedding)
