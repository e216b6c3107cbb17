"""Frozen content of items: what similarity is taken over, never learned.

g_i = [PCA_k(x_1); ...; PCA_k(x_M)], each at length 1 and fitted on items of train: cos(g_t, g_l) of
a modality is the product of its pieces.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Baseline, Batches, ItemTable, Parts, Request, Schema
from fusefront.baselines.poolers.similarity import bucket, cosines, direction, tier_counts
from fusefront.baselines.published.base import ItemTokens, Published
from fusefront.baselines.published.recipes import DIN, DIN_SOURCE, Recipe
from fusefront.baselines.settings import make_part
from fusefront.baselines.slots import CompressedModality, ItemSlots, source_of


class Content(nn.Module):
    """Item ids [U] to g [U, width_out]; an absent modality is zero and takes no part in a
    cosine."""

    present: Tensor

    def __init__(
        self, schema: Schema, items: ItemTable, parts: Parts, content: int, seed: int
    ) -> None:
        super().__init__()
        self.register_buffer("present", items.present.clone())
        modalities = []
        for name, width in schema.modalities.items():
            spec = {"name": "pca", "k": min(content, width), "whiten": False}
            pca = make_part("compressor", parts.compressors, spec, width)
            source = source_of(items, list(schema.modalities), (name,), spec)
            modalities.append(CompressedModality(pca, source, seed))
        self.modalities = nn.ModuleList(modalities)
        self.widths: Sequence[int] = [part.width_out for part in modalities]
        self.width_out = sum(self.widths)

    def there(self, ids: Tensor, keep: Tensor | None) -> Tensor:
        """Which modalities items [U] have and `keep` [M] or [U, M] lets in: [U, M]."""
        return self.present[ids] if keep is None else self.present[ids] & keep

    def forward(self, ids: Tensor, keep: Tensor | None) -> Tensor:
        """Directions of the present modalities of items ids [U], side by side: [U, M * d]. keep [M]
        or [U, M] leaves some out."""
        pairs = zip(self.modalities, self.there(ids, keep).unbind(-1), strict=True)
        return torch.cat([direction(part(ids, some)[0]) for part, some in pairs], -1)


class TierCounts(nn.Module):
    """s_b = w_b log(1 + n_b), n_b history items in tier b of B equal steps of the cosine, for each
    modality over the items that have it; w is learned."""

    def __init__(self, widths: Sequence[int], tiers: int) -> None:
        super().__init__()
        self.widths = list(widths)
        self.weights = nn.Parameter(torch.rand(len(self.widths), tiers))

    def forward(self, request: Request) -> Tensor:
        """Codes that end in g, presences that end in the modalities', to [R, K, M * B]."""
        start, count = sum(self.widths), len(self.widths)
        codes, past = request.candidates, request.history
        toward = torch.split(codes.values[..., -start:], self.widths, -1)
        ways = torch.split(past.values[..., -start:], self.widths, -1)
        pieces = []
        for m, (t, h) in enumerate(zip(toward, ways, strict=True)):
            place = bucket(cosines(t, h), self.weights.shape[1])  # [R, K, L]
            mask = request.history_mask & past.present[..., m - count]
            counts = tier_counts(mask, place, self.weights.shape[1], t)  # [R, K, B]
            counts = counts * codes.present[..., m - count].unsqueeze(-1).to(t.dtype)
            pieces.append((counts + 1.0).log() * self.weights[m])
        return torch.cat(pieces, -1)


class WithContent(Published):
    """A model that compares items by frozen content, trained as `din` unless it says otherwise."""

    recipe: ClassVar[Recipe] = DIN
    recipe_source: ClassVar[str] = DIN_SOURCE

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> Any:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved = super().check(schema, settings, parts)
        if not schema.modalities:
            raise ValueError(f"{cls.name}: the data has no modality to compare items by; use 'din'")
        if resolved.content < 1:
            raise ValueError(f"{cls.name}: got content {resolved.content}, expected at least 1")
        return resolved


def id_tokens(schema: Schema, items: ItemTable, embedding: int) -> ItemTokens:
    """Tokens of id, item fields and numbers, without any content."""
    return ItemTokens(schema._replace(modalities={}), items._replace(vectors={}), embedding)


def content_slots(
    schema: Schema,
    items: ItemTable,
    parts: Parts,
    width: int,
    *,
    id_width: int = 0,
    side_width: int = 0,
) -> ItemSlots:
    """A token of `width` for each modality, uncompressed; by default without id and item fields."""
    return ItemSlots(
        schema,
        items,
        parts,
        modalities=tuple(schema.modalities),
        compressor={"name": "none"},
        id_width=id_width,
        side_width=side_width,
        width=width,
        seed=torch.initial_seed(),
    )


def descend(model: Baseline, half: nn.Module, train: Batches, epochs: int, rate: float) -> None:
    """Some epochs of Adam on the model's auxiliary loss alone, over the parameters of `half`."""
    optimizer = torch.optim.Adam(half.parameters(), rate)
    model.train()
    for _ in range(epochs):
        for batch in train():
            optimizer.zero_grad()
            model.losses(batch).auxiliary.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
