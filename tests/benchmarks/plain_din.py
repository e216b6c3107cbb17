"""DIN as one writes it first: row by row, padded, all four parts of a pair side by side.

The same inputs and widths as `din`: an id embedding, the mean of the tags' embeddings, each vector
through a linear layer, of every place of every history; the attention's first layer sees
[t; h; t - h; t * h] of every place. Lookups by `F.embedding`, whose backward sums equal places
without atomics; the data lies on the device. Nothing is encoded once a batch and no padding is
left out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusefront.baselines.contract import ItemTable, Losses, RequestBatch, Schema

DROPOUT = 0.1


class PlainDin(nn.Module):
    """What the ratios of `gpu.py` are to."""

    vectors: Tensor
    tags: Tensor

    def __init__(self, schema: Schema, table: ItemTable, width: int = 64) -> None:
        super().__init__()
        self.ids = nn.Embedding(schema.items + 1, width, padding_idx=0)
        self.tag = nn.Embedding(schema.item_fields[0].size, width, padding_idx=0)
        self.register_buffer("vectors", torch.cat(list(table.vectors.values()), -1))
        self.register_buffer("tags", table.fields)
        sizes = list(schema.modalities.values())
        self.sizes = sizes
        self.project = nn.ModuleList(nn.Linear(size, size, bias=False) for size in sizes)
        self.contexts = nn.ModuleList(nn.Embedding(f.size, width) for f in schema.candidate_fields)
        wide = 2 * width + sum(sizes)
        self.attention = nn.Sequential(
            nn.Linear(4 * wide, 512), nn.ReLU(), nn.Dropout(DROPOUT),
            nn.Linear(512, 256), nn.ReLU(), nn.Dropout(DROPOUT),
            nn.Linear(256, 1),
        )  # fmt: skip
        head: list[nn.Module] = []
        before = 2 * wide + width * len(self.contexts)
        for after in (1024, 512, 256):
            head += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
            before = after
        self.head = nn.Sequential(*head, nn.Linear(before, 1))

    def embedded(self, ids: Tensor) -> Tensor:
        """Item ids [...] to [..., D]."""
        tags = functional.embedding(ids, self.tags)
        rows = functional.embedding(ids, self.vectors).split(self.sizes, -1)
        count = (tags > 0).sum(-1, keepdim=True).clamp(min=1)
        mean = self.tag(tags).sum(-2) / count
        parts = [project(part) for project, part in zip(self.project, rows, strict=True)]
        return torch.cat([self.ids(ids), mean, *parts], -1)

    def losses(self, batch: RequestBatch) -> Losses:
        """The loss of a batch whose requests have one candidate."""
        h = self.embedded(batch.items[batch.history])  # [R, L, D]
        t = self.embedded(batch.items[batch.candidates[:, 0]])  # [R, D]
        wide = t.unsqueeze(1).expand_as(h)
        score = self.attention(torch.cat([wide, h, wide - h, wide * h], -1)).squeeze(-1)
        u = (score * batch.history_mask).unsqueeze(1) @ h  # [R, 1, D]
        ids = batch.candidate_context.ids[:, 0]
        context = [table(ids[:, n]) for n, table in enumerate(self.contexts)]
        logits = self.head(torch.cat([*context, t, u.squeeze(1)], -1)).squeeze(-1).float()
        labels = batch.labels[:, 0]
        click = functional.binary_cross_entropy_with_logits(logits, labels)
        return Losses(click, click.new_zeros(()), logits.unsqueeze(1))
