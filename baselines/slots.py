"""The slots of an item: its id, its modalities, its side fields, each a token of width d.

id:        e = W E[i]; absent where the item was never seen in train
modality:  e = W c(x_m), with c the compressor: a table frozen at birth, then its learned part
side:      e = W [fields; numbers] + b
An absent slot is a zero token whose presence is False.
"""

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Context, ItemTable, Parts, Schema, no_loss
from fusefront.baselines.fields import FieldEmbedding, small_embedding
from fusefront.baselines.frozen import FitVectors, freeze
from fusefront.baselines.initial import near_identity
from fusefront.baselines.settings import Part, find_part, make_part

JOINT = "joint"  # name of the single slot of a joint compressor


class CompressedModality(nn.Module):
    """One modality: the frozen table [n, F] and the compressor's learned part."""

    frozen_tables = ("frozen",)
    frozen: Tensor
    fit_mask: Tensor

    def __init__(self, compressor: nn.Module, source: FitVectors, seed: int) -> None:
        """The compressor is fitted on the source's rows of its `fit_mask` (see `freeze`)."""
        super().__init__()
        self.compressor = compressor
        self.register_buffer("fit_mask", source.fit_mask, persistent=False)
        table, self.fitted = freeze(compressor, source, seed)
        self.register_buffer("frozen", table)

    def report(self) -> dict[str, float]:
        """The compressor's measures of its fit and, if it learns, of its current codes."""
        now = getattr(self.compressor, "report", None)  # a plug-in's may have none
        return self.fitted | (dict(now(self.frozen[self.fit_mask])) if now is not None else {})

    @property
    def width_out(self) -> int:
        """Width of what the learned part gives."""
        return int(self.compressor.width_out)  # type: ignore[arg-type]

    def forward(self, ids: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Item ids [U], present [U] to (x [U, width_out], loss [])."""
        return self.compressor(self.frozen[ids], present)  # type: ignore[no-any-return]


class ItemSlots(nn.Module):
    """Item ids [U] to tokens [U, S, d] and presence [U, S]."""

    present: Tensor
    fields: Tensor
    numbers: Tensor

    def __init__(
        self,
        schema: Schema,
        items: ItemTable,
        parts: Parts,
        *,
        modalities: tuple[str, ...],
        compressor: Part,
        id_width: int,
        side_width: int,
        width: int,
        seed: int,
    ) -> None:
        """`id_width` 0 = no id slot; `side_width` 0 = no side slot; `width` = d."""
        super().__init__()
        self.joint = is_joint(parts, compressor)
        self.names = slot_names(schema, modalities, self.joint, id_width, side_width)
        order = list(schema.modalities)
        self.groups = [order.index(name) for name in modalities]
        self.width = width
        self.register_buffer("present", items.present.clone())
        self.ids = small_embedding(schema.items + 1, id_width) if id_width else None
        self.register_buffer("in_train", items.in_train.clone())
        self.in_train: Tensor
        self.lift = nn.Linear(id_width, width, bias=False) if id_width not in (0, width) else None
        groups = [modalities] if self.joint and modalities else [(name,) for name in modalities]
        widths = [sum(schema.modalities[name] for name in group) for group in groups]
        self.modalities = nn.ModuleList(
            CompressedModality(
                make_part("compressor", parts.compressors, part, wide),
                source_of(items, order, group, part),
                seed,
            )
            for group, wide in zip(groups, widths, strict=True)
            for part in [fit_width(compressor, wide)]
        )
        self.project = nn.ModuleList(
            near_identity(nn.Linear(int(part.width_out), width, bias=False))  # type: ignore[arg-type]
            for part in self.modalities
        )
        self.side = None
        if side_width and "side" in self.names:
            self.side = FieldEmbedding(schema.item_fields, schema.item_numbers, side_width)
            self.register_buffer("fields", items.fields.clone())
            self.register_buffer("numbers", standardised(items.numbers, items.in_train))
            self.side_project = nn.Linear(self.side.width_out, width)

    def forward(self, ids: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Ids [U] to (tokens [U, S, d], present [U, S], loss []); keep [M] or [U, M] by schema."""
        tokens, present = [], []
        known = self.in_train[ids]
        loss = None
        if self.ids is not None:
            token = self.ids(ids * known)
            tokens.append(token if self.lift is None else self.lift(token))
            present.append(known)
        let_in = self.present[ids] if keep is None else self.present[ids] & keep
        shares = [let_in[:, m] for m in self.groups]
        if self.joint and shares:
            had = self.present[ids][:, self.groups]  # one frozen code: used whole or not
            shares = [had.any(-1) & (let_in[:, self.groups] == had).all(-1)]
        for part, project, there in zip(self.modalities, self.project, shares, strict=True):
            x, extra = part(ids, there)
            loss = extra if loss is None else loss + extra
            tokens.append(project(x.to(project.weight.dtype)))  # small rows come back as float32
            present.append(there)
        if self.side is not None:
            context = Context(self.fields[ids], self.numbers[ids])
            tokens.append(self.side_project(self.side(context)))
            present.append(ids > 0)
        there = torch.stack(present, -1)  # [U, S]
        x = torch.stack(tokens, -2).masked_fill(~there.unsqueeze(-1), 0.0)  # [U, S, d]
        return x, there, no_loss(x) if loss is None else loss

    def of_modality(self) -> dict[str, list[nn.Module]]:
        """The modules that serve one modality alone, by its name; none where they are joined."""
        names = [name for name in self.names if name not in ("id", "side")]
        if self.joint:
            return {}
        both = zip(self.modalities, self.project, strict=True)
        return {name: list(pair) for name, pair in zip(names, both, strict=True)}

    @property
    def prefixes(self) -> list[int]:
        """The widths that nested codes can be narrowed to, widest first; none without nesting."""
        nested = [getattr(part.compressor, "prefixes", ()) for part in self.modalities]
        if not all(nested):
            return []
        return sorted({int(prefix) for widths in nested for prefix in widths}, reverse=True)

    def narrow(self, prefix: int) -> None:
        """Let every compressor return its first `prefix` numbers; the projections are cut to match.

        A modality that is narrower, or has other prefixes, returns the next smaller width that it
        nests.
        """
        for at, part in enumerate(self.modalities):
            assert isinstance(part, CompressedModality)
            nested: list[int] = part.compressor.prefixes  # type: ignore[assignment]
            width = max((p for p in nested if p <= prefix), default=min(nested))
            part.compressor.narrow(width)  # type: ignore[operator]
            wide = self.project[at]
            assert isinstance(wide, nn.Linear)
            small = nn.Linear(width, wide.out_features, bias=False).to(wide.weight)
            with torch.no_grad():
                small.weight.copy_(wide.weight[:, :width])
            self.project[at] = small

    def report(self) -> dict[str, float]:
        """What the compressors tell of their fit, by modality."""
        names = [name for name in self.names if name not in ("id", "side")]
        return {
            f"{name}.{key}": value
            for name, part in zip(names, self.modalities, strict=True)
            for key, value in part.report().items()  # type: ignore[operator]
        }


def is_joint(parts: Parts, compressor: Part) -> bool:
    """Whether the compressor takes all modalities side by side."""
    return bool(getattr(find_part("compressor", parts.compressors, compressor)[0], "joint", False))


def slot_names(
    schema: Schema, modalities: tuple[str, ...], joint: bool, id_width: int, side_width: int
) -> tuple[str, ...]:
    """The slots in order: id first, side last."""
    side = bool(side_width) and bool(schema.item_fields or schema.item_numbers)
    middle = (JOINT,) if joint and modalities else modalities
    return ("id",) * bool(id_width) + tuple(middle) + ("side",) * side


def source_of(
    items: ItemTable, order: list[str], modalities: tuple[str, ...], part: Part
) -> FitVectors:
    """What a compressor of one modality, or of several side by side, is fitted on; `order` lists
    all modalities as `items.present` does.

    Absent rows are zero. Side by side, the gaps of an item that has another modality are NaN,
    which a joint compressor fills.

    Raises:
        ValueError: no item of train has one of the modalities.
    """
    usable = [items.present[:, order.index(name)] for name in modalities]
    for name, there in zip(modalities, usable, strict=True):
        if not there.is_meta and not bool((there & items.in_train).any()):
            raise ValueError(
                f"no train item has modality {name!r}; leave it out of 'modalities' or check the "
                "data"
            )
    any_there = torch.stack(usable).any(0)

    def rows() -> Tensor:
        gap = torch.nan if len(modalities) > 1 else 0.0
        vectors = [
            items.vectors[name].float().masked_fill(~there.unsqueeze(-1), gap)
            for name, there in zip(modalities, usable, strict=True)
        ]
        if len(vectors) == 1:
            return vectors[0]
        return torch.cat(vectors, -1).masked_fill(~any_there.unsqueeze(-1), 0.0)

    return FitVectors(modalities, part, rows, any_there & items.in_train)


def fit_width(spec: Part, width: int) -> Part:
    """The spec with `k` reduced to the width of the vectors if it is larger."""
    k = spec.get("k")
    return {**spec, "k": min(k, width)} if isinstance(k, int) else spec


def standardised(numbers: Tensor, in_train: Tensor) -> Tensor:
    """Numbers [n, N] at mean 0 and deviation 1 over the train items."""
    if not numbers.shape[1] or numbers.is_meta or int(in_train.sum()) < 2:
        return numbers.clone()
    known = numbers[in_train]
    return (numbers - known.mean(0)) / known.std(0).clamp(min=1e-6)
