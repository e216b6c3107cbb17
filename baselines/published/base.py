"""What the published models share: checked settings, item tokens as the field makes them.

e_i = [E_id(i); mean of E_f over each item field's columns; numbers; W_m x_m for each modality], the
frozen vector x_m through one bias-free linear layer. Ids never seen in train read the zero row.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import (
    Baseline,
    Context,
    ItemTable,
    Parts,
    Schema,
)
from fusefront.baselines.fields import FieldEmbedding, small_embedding
from fusefront.baselines.settings import check_numbers, resolve
from fusefront.baselines.slots import ItemSlots, standardised


class Published(Baseline):
    """A model of the literature: `__init__(schema, items, settings, parts)` and the two halves."""

    family: str = "published"
    needs_history: ClassVar[bool] = True
    reads_kinds: ClassVar[bool] = True

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> Any:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        if cls.needs_history and schema.max_history == 0:
            raise ValueError(
                f"{cls.name}: the data has no history and this model reads one; "
                "use 'deepfm', 'autoint' or a family instead"
            )
        resolved: Any = resolve(cls.Settings, settings, cls.name)
        check_numbers(cls.name, resolved, cls.choices)
        return resolved

    def report(self) -> dict[str, float]:
        """What the compressors tell of their fit, where the model has any."""
        slots = dict(self.named_children()).get("slots")
        return slots.report() if isinstance(slots, ItemSlots) else {}


class ItemTokens(nn.Module):
    """Item ids [U] to tokens e [U, width_out]; the parts' widths in `widths`."""

    present: Tensor
    in_train: Tensor
    field_ids: Tensor
    numbers: Tensor

    def __init__(self, schema: Schema, items: ItemTable, embedding: int) -> None:
        super().__init__()
        self.ids = small_embedding(schema.items + 1, embedding)
        self.fields = FieldEmbedding(schema.item_fields, schema.item_numbers, embedding)
        self.vectors = nn.ModuleList(
            nn.Linear(width, width, bias=False) for width in schema.modalities.values()
        )
        self.modalities = list(schema.modalities)
        self.names = [f"vector_{m}" for m in range(len(self.vectors))]
        for name, modality in zip(self.names, schema.modalities, strict=True):
            self.register_buffer(name, items.stored(modality))
        self.frozen_tables = tuple(self.names)
        self.register_buffer("present", items.present.clone())
        self.register_buffer("in_train", items.in_train.clone())
        self.register_buffer("field_ids", items.fields.clone())
        self.register_buffer("numbers", standardised(items.numbers, items.in_train))
        self.widths = [embedding, self.fields.width_out, *schema.modalities.values()]
        self.width_out = sum(self.widths)

    def of_modality(self) -> dict[str, list[nn.Module]]:
        """The modules that serve one modality alone, by its name."""
        return {name: [part] for name, part in zip(self.modalities, self.vectors, strict=True)}

    def forward(self, ids: Tensor, keep: Tensor | None) -> Tensor:
        """Item ids [U] to [U, width_out]; an absent modality is zero."""
        there = self.present[ids] if keep is None else self.present[ids] & keep  # [U, M]
        pieces = [
            self.ids(ids * self.in_train[ids]),
            self.fields(Context(self.field_ids[ids], self.numbers[ids])),
        ]
        for m, (name, project) in enumerate(zip(self.names, self.vectors, strict=True)):
            rows = self.get_buffer(name)[ids].to(self.ids.weight.dtype)
            pieces.append(project(rows.masked_fill(~there[:, [m]], 0.0)))
        return torch.cat(pieces, -1)
